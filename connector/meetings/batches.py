"""Many things saved in one go: cut into chunks, and what became of them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar
from uuid import UUID

from sqlalchemy.orm import Session

from keystore.db import writing

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


class Outcome(Protocol):
    """What became of one."""

    @property
    def created(self) -> bool:
        """Whether it was made."""
        ...

    @property
    def changed(self) -> bool:
        """Whether it was made or changed."""
        ...


def save_all(
    session: Session,
    records: Iterable[tuple[UUID, T]],
    save: Callable[[Sequence[tuple[UUID, T]]], Iterable[Outcome]],
    progress: Callable[[Totals], None] = lambda _: None,
) -> Totals:
    """Save all of these in one transaction or, when an exception comes up, none.

    save: what does so with a chunk. progress: called now and then with what was done so far.
    """
    totals = Totals()
    with writing(session):
        for chunk in chunks(records):
            for one in save(chunk):
                totals.count(created=one.created, changed=one.changed)
            session.expunge_all()  # written and done with; a long file must not pile up
            progress(totals)
    return totals


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
