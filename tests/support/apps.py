"""Apps that are quick to make: each test has its own, and what would be the same is made once."""

from collections.abc import Callable
from typing import Any

from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from werkzeug.routing import Rule


class _Templates(BytecodeCache):
    """What templates become, for every app of a run."""

    def __init__(self) -> None:
        self._codes: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._codes:
            bucket.bytecode_from_string(self._codes[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._codes[bucket.key] = bucket.bytecode_to_string()


class _LazyRule(Rule):
    """A rule that learns how to write its address when it first has to; few ever do."""

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., Any]:
        learn, known = super()._compile_builder, list[Callable[..., Any]]()

        def build(*given: Any, **more: Any) -> Any:
            if not known:
                known.append(learn(append_unknown))
            return known[0](*given, **more)

        return build


def make_quickly() -> None:
    """Do so for every app from now on."""
    Flask.jinja_options = Flask.jinja_options | {"bytecode_cache": _Templates()}
    Flask.url_rule_class = _LazyRule
