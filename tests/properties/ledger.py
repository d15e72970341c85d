"""What the properties of keys are held against: a flat list of (secret, from, until).

The ledger knows nothing of how the key store does it. It writes down what was issued and until when
it may work, and answers who may come in at a moment.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from keystore.keys import Issued


@dataclass
class Fact:
    """One secret that was once issued: good from the start until `until` (None: no end is set).

    Once its end was seen it is dead, whatever any clock says later.
    """

    key_id: UUID
    client_key: str
    client_secret: str
    generation: int
    until: datetime | None = None
    dead: bool = False


@dataclass
class Known:
    """One key as its owner remembers it."""

    name: str
    generation: int
    deleted: bool = False
    disabled: bool = False
    expires_at: datetime | None = None
    lapsed: bool = False  # its expiry was seen to pass
    unseen: bool = False  # its current secret is one that nobody holds


@dataclass
class Ledger:
    """Everything that ought to be true."""

    now: datetime  # the highest time that this process has seen
    facts: list[Fact] = field(default_factory=list)
    keys: dict[UUID, Known] = field(default_factory=dict)
    changes: int = 0

    def seen(self, now: datetime) -> None:
        """Let time pass; when the clock goes back, nothing comes back with it."""
        self.now = max(self.now, now)
        for fact in self.facts:
            fact.dead = fact.dead or (fact.until is not None and self.now >= fact.until)
        for known in self.keys.values():
            passed = known.expires_at is not None and self.now >= known.expires_at
            known.lapsed = known.lapsed or passed

    def restarted(self, now: datetime) -> None:
        """Forget the highest time; what has died meanwhile is written down elsewhere."""
        self.now = now

    def expired(self, key_id: UUID) -> bool:
        return self.keys[key_id].lapsed

    def over(self, key_id: UUID) -> bool:
        """Tell whether a key has ended for good."""
        return self.keys[key_id].deleted or self.expired(key_id)

    def awake(self, key_id: UUID) -> bool:
        return not self.over(key_id) and not self.keys[key_id].disabled

    def works(self, fact: Fact) -> bool:
        return (
            self.awake(fact.key_id)
            and not fact.dead
            and (fact.until is None or self.now < fact.until)
        )

    def issued(self, issued: Issued) -> None:
        self.facts.append(
            Fact(
                issued.key.id,
                issued.key.client_key,
                issued.client_secret.reveal(),
                issued.key.generation,
            )
        )
        self.changes += 1

    def end(self, key_id: UUID, generations: set[int] | None = None) -> None:
        """End these generations of a key's secrets now, or all of them."""
        for fact in self.facts:
            ends = fact.key_id == key_id and (generations is None or fact.generation in generations)
            fact.dead = fact.dead or ends

    def regenerated(self, issued: Issued, overlap: timedelta) -> None:
        known = self.keys[issued.key.id]
        former = known.generation
        if not (known.unseen and overlap):  # else what is retiring lives on
            self.end(issued.key.id, set(range(1, former)))
        known.unseen = False
        for fact in self.facts:
            if (fact.key_id, fact.generation) == (issued.key.id, former):
                fact.until, fact.dead = self._within(fact, overlap), not overlap
        known.generation += 1
        self.issued(issued)

    def leaked(self, fact: Fact, overlap: timedelta | None) -> None:
        """Somebody reports a secret; its time is to be so long from now, or stays (None)."""
        self.changes += 1
        if overlap is None or not self.works(fact):
            return
        known, end = self.keys[fact.key_id], self._within(fact, overlap)
        if fact.generation == known.generation:
            self.end(fact.key_id, set(range(1, fact.generation)))
            known.generation += 1
            known.unseen = True
        elif fact.until is not None:
            end = min(fact.until, end)
        fact.until, fact.dead = end, end <= self.now

    def _within(self, fact: Fact, overlap: timedelta) -> datetime:
        """Return the end of an overlap that begins now: with the key's at the latest."""
        end, expires_at = self.now + overlap, self.keys[fact.key_id].expires_at
        return end if expires_at is None else min(end, expires_at)

    def retiring(self, key_id: UUID) -> list[Fact]:
        """Return what still works beside the current secret, were its key awake."""
        current = self.keys[key_id].generation
        return [
            fact
            for fact in self.facts
            if fact.key_id == key_id
            and fact.generation != current
            and fact.until is not None
            and not fact.dead
        ]
