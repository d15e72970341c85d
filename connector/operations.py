"""The words of a declaration, neutral between platforms: what a connector is made of.

HTTP requests are written down as `Call`s with slots (`Given`, `Target`, `Held`) that each platform
fills in its own way.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from connector.shapes import Output

InputKind = Literal["text", "email", "uuid", "datetime", "secret"]
Method = Literal["GET", "POST", "PATCH", "DELETE"]

_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
_SLOT = re.compile(r"\{(\w*)\}")


class SpecError(ValueError):
    """A declaration that no platform could be emitted from; `detail` says what to mend."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Given:
    """Slot: what the person filled into the input of this name."""

    name: str


@dataclass(frozen=True, slots=True)
class Target:
    """Slot: the address that the platform wants the events sent to."""


@dataclass(frozen=True, slots=True)
class Held:
    """Slot: a member of the subscribe call's answer, which the platform keeps until the end."""

    name: str


Value = str | int | Given | Target | Held | Mapping[str, "Value"]


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request. `{name}` in the path stands for the slot of that name in `segments`."""

    method: Method
    path: str
    segments: Mapping[str, Value] = field(default_factory=dict)
    query: Mapping[str, Value] = field(default_factory=dict)
    body: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.path.startswith("/"):
            raise SpecError(f"A call's path starts with a slash, not as in {self.path!r}.")
        if set(_SLOT.findall(self.path)) != set(self.segments):
            raise SpecError(f"The braces of {self.path!r} do not match its segments.")


@dataclass(frozen=True, slots=True)
class Input:
    """Something a person fills in. A `default` that is a span of time counts from the run."""

    name: str
    label: str
    help: str
    kind: InputKind = "text"
    required: bool = False
    default: timedelta | None = None
    pattern: str | None = None
    found_by: tuple[str, str] | None = None  # key of a search, name of one of its outputs

    def __post_init__(self) -> None:
        _check_name(self.name)


@dataclass(frozen=True, slots=True)
class Link:
    """A page to point a person to."""

    text: str
    url: str


@dataclass(frozen=True, slots=True)
class Auth:
    """How a person connects: what to fill in, where to find it, and the call that proves it.

    `authorization` is the header's value with the fields' names in braces; `label` tells one
    connection from another, with members of the test call's answer in braces.
    """

    fields: tuple[Input, ...]
    found_at: Link
    authorization: str
    test: Call
    label: str


@dataclass(frozen=True, slots=True)
class Item:
    """What an operation hands on: its fields, one example, and the field that names it."""

    outputs: tuple[Output, ...]
    sample: Mapping[str, Any]
    identity: str = "uuid"

    def __post_init__(self) -> None:
        if not isinstance(self.sample.get(self.identity), str):
            raise SpecError(f"The sample has no text under {self.identity!r}, which names it.")


@dataclass(frozen=True, slots=True)
class Trigger:
    """Something that happens. Events are pushed; `samples` lists recent ones in the same shape.

    `when` ends the sentence "Starts when ...". An answer to `unsubscribe` with a status in
    `already_over` means that there is nothing left to end.
    """

    key: str
    title: str
    noun: str
    when: str
    item: Item
    subscribe: Call
    unsubscribe: Call
    samples: Call
    already_over: tuple[int, ...] = (404, 410)

    def __post_init__(self) -> None:
        _check_name(self.key)


@dataclass(frozen=True, slots=True)
class Search:
    """A look-up. The answer's member `results` holds the items found, best first."""

    key: str
    title: str
    noun: str
    summary: str
    inputs: tuple[Input, ...]
    call: Call
    item: Item
    results: str = "results"

    def __post_init__(self) -> None:
        _check_name(self.key)


@dataclass(frozen=True, slots=True)
class Action:
    """A change. The answer is the changed item."""

    key: str
    title: str
    noun: str
    summary: str
    inputs: tuple[Input, ...]
    call: Call
    item: Item

    def __post_init__(self) -> None:
        _check_name(self.key)


@dataclass(frozen=True, slots=True)
class Spec:
    """All that can be connected.

    `base_url` has no slash at its end. `signing_secret` names the member of every subscribe
    answer that signs what is pushed (Standard Webhooks 1.0.0, v1).
    """

    name: str
    description: str
    base_url: str
    auth: Auth
    triggers: tuple[Trigger, ...]
    searches: tuple[Search, ...]
    actions: tuple[Action, ...]
    signing_secret: str = "signing_secret"  # noqa: S105 - the name of a member, not a secret


def _check_name(name: str) -> None:
    # Names become file names, object members and table columns on the platforms.
    if not _NAME.match(name):
        raise SpecError(f"A name is lower-case letters, digits and underscores, not {name!r}.")
