"""What is told of keys to the floors above, within the transaction in which it happens.

Whoever listens is a plain callable. What it writes is committed with the change that it was told
of, or not at all; an exception of its takes the change back.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy.orm import Session

from keystore.leak_models import LeakReport
from keystore.models import Key


@dataclass(frozen=True, slots=True)
class KeyEvent:
    """Something that happened to a key at a moment; never holds a secret."""

    key: Key
    at: datetime


@dataclass(frozen=True, slots=True)
class Created(KeyEvent):
    """There is a new key."""


@dataclass(frozen=True, slots=True)
class Regenerated(KeyEvent):
    """Somebody has replaced its secret; the former one works until then, None: it is dead."""

    former_until: datetime | None


@dataclass(frozen=True, slots=True)
class Revoked(KeyEvent):
    """Somebody has ended it: deleted it for good, or disabled it for the time being."""

    how: Literal["deleted", "disabled"]


@dataclass(frozen=True, slots=True)
class Enabled(KeyEvent):
    """Somebody has enabled it again."""


@dataclass(frozen=True, slots=True)
class Expiring(KeyEvent):
    """Its expiry is no further than so many days off, one of `expiry.THRESHOLDS`."""

    within_days: int


@dataclass(frozen=True, slots=True)
class Expired(KeyEvent):
    """Its expiry has come."""


@dataclass(frozen=True, slots=True)
class Leaked(KeyEvent):
    """A secret of it that worked was found in the open; the report says what was done."""

    report: LeakReport


@dataclass(frozen=True, slots=True)
class QuotaNear(KeyEvent):
    """It has used up nearly all of the requests that it may make in a window."""

    limit: int
    used: int


#: Called in the transaction of the change.
OnEvent = Callable[[Session, KeyEvent], None]


def tell(listeners: Iterable[OnEvent], session: Session, event: KeyEvent) -> None:
    """Tell all of them, in the caller's transaction, with the key's row held."""
    for listener in listeners:
        listener(session, event)
