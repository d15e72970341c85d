"""Each invariant of keys has its id in the name of a test that holds it, or of a machine's rule."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
#: Authentication, regeneration, independence, secrecy; scopes, limits, last use, the audit's chain.
INVARIANTS = [
    *(f"a{number}" for number in range(1, 8)),
    *(f"r{number}" for number in range(1, 12)),
    *(f"i{number}" for number in range(1, 5)),
    *(f"s{number}" for number in range(1, 5)),
    *("z1", "l1", "l2", "u1", "g1"),
]
#: What runs when a machine of Hypothesis does.
MACHINE = {"rule", "invariant", "initialize"}


@cache
def names() -> frozenset[str]:
    return frozenset(found())


def found() -> Iterator[str]:
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                marks = {getattr(one.func, "id", "") for one in calls(node)}
                if node.name.startswith("test_") or marks & MACHINE:
                    yield node.name


def calls(function: ast.FunctionDef) -> list[ast.Call]:
    return [one for one in function.decorator_list if isinstance(one, ast.Call)]


@pytest.mark.parametrize("invariant", INVARIANTS)
def test_each_invariant_has_a_test(invariant: str) -> None:
    held = re.compile(rf"(^|_){invariant}_")

    assert any(held.search(name) for name in names())
