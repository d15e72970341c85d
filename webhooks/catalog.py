"""Event types: name, what it means, schema, sample. Filled by the floor above, read by all."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from webhooks.errors import UnknownEventType

#: Who may not manage subscriptions gets nothing through one either.
RECEIVING = "webhooks:manage"


@dataclass(frozen=True)
class EventType:
    """One kind of event that somebody can subscribe to."""

    name: str  # as it stands in the API, e.g. `new_conversation`
    title: str  # for a person's eyes
    summary: str  # one sentence: when it is sent
    schema: dict[str, Any]  # JSON Schema (2020-12) of the body
    sample: dict[str, Any]  # a made-up body that satisfies the schema
    scopes: frozenset[str]  # operation scopes for what is in the body
    #: What a subscription may do without: parts by name, each of them fields of the body.
    parts: Mapping[str, frozenset[str]] = field(default_factory=dict)
    #: By part: from a body, those of its other fields that repeat the part, as they are without it.
    retold: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = field(default_factory=dict)

    @property
    def needs(self) -> frozenset[str]:
        """All operation scopes that a key has to have to be sent this."""
        return self.scopes | {RECEIVING}

    def cut(self, body: bytes, without: str) -> bytes | None:
        """Return a body, a JSON object, without some parts; None when it has none of them.

        without: names with blanks between; those that other types have are of no matter.
        """
        parts = [part for part in without.split() if part in self.parts]
        gone = frozenset[str]().union(*[self.parts[part] for part in parts])
        whole = json.loads(body) if gone else {}
        if not gone & whole.keys():
            return None
        for part in self.retold.keys() & parts:
            retold = self.retold[part](whole)
            whole |= {name: value for name, value in retold.items() if name in whole}
        left = {name: value for name, value in whole.items() if name not in gone}
        return json.dumps(left, ensure_ascii=False, separators=(",", ":")).encode()


class Catalog:
    """All event types of an installation, in the order in which they were registered."""

    def __init__(self) -> None:
        self._types: dict[str, EventType] = {}

    def register(self, event_type: EventType) -> EventType:
        """Add an event type. A name that is taken is a mistake in our code: ValueError."""
        if event_type.name in self._types:
            raise ValueError(f"event type {event_type.name!r} is registered twice")
        self._types[event_type.name] = event_type
        return event_type

    def get(self, name: str) -> EventType:
        """Return the event type of this name. Raises UnknownEventType, which lists the names."""
        try:
            return self._types[name]
        except KeyError:
            raise UnknownEventType(name, self.names) from None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all event types."""
        return tuple(self._types)

    def __iter__(self) -> Iterator[EventType]:
        return iter(self._types.values())

    def __contains__(self, name: object) -> bool:
        return name in self._types

    def __len__(self) -> int:
        return len(self._types)
