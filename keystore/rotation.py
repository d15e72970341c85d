"""The life of a key and its secrets. Pure decisions, no database, no clock of its own.

A secret is current; when its key is regenerated with an overlap it is retiring until a set moment,
so that whoever uses it has time to change over; then, or at once without an overlap, it is dead.

A key's secrets are numbered by generation. Whoever regenerates says which generation they have
seen; if another was there first, their request is refused and changes nothing. So of two at once
one wins, the loser is told so, and nobody is handed a secret that is dead already.

All spans of time are half open: what is good until a moment is good strictly before it.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from keystore.errors import (
    BadExpiry,
    BadOverlap,
    GenerationConflict,
    KeyDisabled,
    KeyExpired,
    KeyNotFound,
)

NO_OVERLAP = timedelta(0)  # for a secret that somebody else has seen
DEFAULT_OVERLAP = timedelta(hours=24)
LONGEST_OVERLAP = timedelta(days=7)
LEAK_OVERLAP = timedelta(hours=24)
NEVER = datetime.max.replace(tzinfo=UTC)


class SecretState(StrEnum):
    """Where a secret is in its life."""

    CURRENT = "current"  # authenticates
    RETIRING = "retiring"  # still authenticates, until its moment
    DEAD = "dead"  # never authenticates again, whatever happens later


class LeakPolicy(StrEnum):
    """What an organization wants done when one of its secrets was found in the open."""

    NOTIFY = "notify"  # tell the admins
    RETIRE = "retire"  # and let the secret end in a day
    KILL = "kill"  # and end it now


class LeakAction(StrEnum):
    """What was done about a leaked secret."""

    NONE = "none"
    RETIRED = "retired"
    KILLED = "killed"


class KeyState(StrEnum):
    """What a person wants to know of a key at a glance."""

    ACTIVE = "active"
    DISABLED = "disabled"  # by an admin, who can enable it again
    EXPIRED = "expired"  # for good
    DELETED = "deleted"  # for good


@dataclass(frozen=True, slots=True)
class KeyLife:
    """As much of a key as decides whether its secrets live."""

    generation: int
    expires_at: datetime | None
    disabled_at: datetime | None
    deleted_at: datetime | None

    def state(self, now: datetime) -> KeyState:
        """Say what this key is at a moment."""
        if self.deleted_at is not None:
            return KeyState.DELETED
        if self.expires_at is not None and now >= self.expires_at:
            return KeyState.EXPIRED
        return KeyState.ACTIVE if self.disabled_at is None else KeyState.DISABLED


@dataclass(frozen=True, slots=True)
class Successor:
    """What regenerating does: the new secret's number, and until when the former one works."""

    generation: int
    former_until: datetime | None  # None: it is dead at once
    spares_retiring: bool = False  # the one before that goes on retiring


@dataclass(frozen=True, slots=True)
class Consequence:
    """What follows from a leak."""

    action: LeakAction
    until: datetime | None = None  # when retired: the secret works until then
    successor: Successor | None = None  # when it was the current one


def regenerate(
    key: KeyLife, *, seen: int, overlap: timedelta, now: datetime, unseen: bool = False
) -> Successor:
    """Decide what follows the current secret.

    The former secret never outlives the key's own expiry. One that was made because its predecessor
    had leaked is `unseen`: nobody holds it, so an overlap is not for it but for that predecessor,
    which may still be in use and goes on retiring. Raises KeyNotFound, KeyExpired, KeyDisabled
    (what is dead or asleep is not revived), GenerationConflict, BadOverlap.
    """
    require(key, KeyState.ACTIVE, now)
    if not NO_OVERLAP <= overlap <= LONGEST_OVERLAP:
        raise BadOverlap
    if seen != key.generation:
        raise GenerationConflict
    if unseen:
        return Successor(key.generation + 1, None, spares_retiring=overlap > NO_OVERLAP)
    until = _within(key, now + overlap)
    return Successor(key.generation + 1, until if until > now else None)


def leaked(
    policy: LeakPolicy, state: SecretState, until: datetime | None, key: KeyLife, now: datetime
) -> Consequence:
    """Decide what follows when a secret was found where everybody can read it.

    Nothing for one that does not work: it is dead, or its key is, or its key is asleep and must not
    change in its sleep. A current secret gets a successor, as a key always has one, and nobody is
    shown it. A retiring one keeps its end, if that is near enough.
    """
    nothing = Consequence(LeakAction.NONE)
    if policy is LeakPolicy.NOTIFY or not authenticates(state, until, key, now):
        return nothing
    end = now if policy is LeakPolicy.KILL else _within(key, now + LEAK_OVERLAP)
    action = LeakAction.RETIRED if end > now else LeakAction.KILLED
    if state is SecretState.CURRENT:
        former_until = end if action is LeakAction.RETIRED else None
        return Consequence(action, former_until, Successor(key.generation + 1, former_until))
    if until is not None and until <= end:
        return nothing
    return Consequence(action, end if action is LeakAction.RETIRED else None)


def _within(key: KeyLife, until: datetime) -> datetime:
    """Return this moment, or the key's expiry if that is earlier."""
    return until if key.expires_at is None else min(until, key.expires_at)


def require(key: KeyLife, state: KeyState, now: datetime) -> None:
    """Raise the error that says why a key is not in this state."""
    present = key.state(now)
    if present is state:
        return
    if present is KeyState.DELETED:
        raise KeyNotFound
    if present is KeyState.EXPIRED:
        raise KeyExpired
    raise KeyDisabled


def check_expiry(key: KeyLife, expires_at: datetime | None, now: datetime) -> None:
    """Refuse an expiry that lies behind us, and any for a key that has expired already."""
    if key.state(now) is KeyState.DELETED:
        raise KeyNotFound
    if key.state(now) is KeyState.EXPIRED:
        raise KeyExpired
    if expires_at is not None and expires_at <= now:
        raise BadExpiry


def authenticates(state: SecretState, until: datetime | None, key: KeyLife, now: datetime) -> bool:
    """Tell whether a secret opens its key at a moment."""
    return key.state(now) is KeyState.ACTIVE and not lapsed(state, until, key, now)


def lapsed(state: SecretState, until: datetime | None, key: KeyLife, now: datetime) -> bool:
    """Tell whether a secret is dead at a moment, whether or not anybody has written that down."""
    if state is SecretState.RETIRING and until is not None and now >= until:
        return True
    return state is SecretState.DEAD or key.state(now) in {KeyState.EXPIRED, KeyState.DELETED}


def end(state: SecretState, until: datetime | None, key: KeyLife) -> datetime:
    """Return when a secret that opens its key now will do so no more, if nobody does anything."""
    own = until if state is SecretState.RETIRING else None
    return min(own or NEVER, key.expires_at or NEVER)
