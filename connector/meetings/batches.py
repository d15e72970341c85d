"""Many things saved in one go: cut into chunks, and what became of them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

CHUNK = 500

T = TypeVar("T")


@dataclass
class Totals:
    """What became of many."""

    created: int = 0
    changed: int = 0
    unchanged: int = 0

    @property
    def seen(self) -> int:
        """All of them."""
        return self.created + self.changed + self.unchanged

    def count(self, *, created: bool, changed: bool) -> None:
        """Add one. What was made has changed as well, and counts once."""
        if created:
            self.created += 1
        elif changed:
            self.changed += 1
        else:
            self.unchanged += 1


def chunks(records: Iterable[tuple[UUID, T]]) -> Iterator[list[tuple[UUID, T]]]:
    """Cut into chunks; a uuid that comes again starts a new one, so that it finds the first."""
    chunk: dict[UUID, T] = {}
    for uuid, given in records:
        if uuid in chunk or len(chunk) == CHUNK:
            yield list(chunk.items())
            chunk = {}
        chunk[uuid] = given
    if chunk:
        yield list(chunk.items())
