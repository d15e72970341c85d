"""The life of a secret: current, then dead. Pure decisions, no database.

A key's secrets are numbered by generation. Whoever regenerates says which generation they have
seen; if another was there first, their request is refused and changes nothing. So of two at once
one wins, the loser is told so, and nobody is handed a secret that is dead already.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from keystore.errors import GenerationConflict, KeyNotFound


class SecretState(StrEnum):
    """Where a secret is in its life."""

    CURRENT = "current"  # authenticates
    DEAD = "dead"  # never authenticates again, whatever happens later


@dataclass(frozen=True)
class KeyLife:
    """As much of a key as decides whether its secrets live."""

    generation: int
    deleted_at: datetime | None


def next_generation(key: KeyLife, seen: int) -> int:
    """Return the number of the secret that replaces the current one.

    Raises KeyNotFound for a deleted key, GenerationConflict when `seen` is not the current one.
    """
    if key.deleted_at is not None:
        raise KeyNotFound
    if seen != key.generation:
        raise GenerationConflict
    return key.generation + 1


def authenticates(state: SecretState, *, key_deleted_at: datetime | None) -> bool:
    """Tell whether a secret in this state opens its key."""
    return state is SecretState.CURRENT and key_deleted_at is None
