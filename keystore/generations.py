"""The secrets of one key, generation after generation, as rows: add, replace, end.

All of this happens in the caller's transaction, with the key's row held. What is to happen is
decided elsewhere (keystore.rotation).
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Update, select, update
from sqlalchemy.orm import Session

from keystore import credentials
from keystore.credentials import Random, SecretValue
from keystore.errors import GenerationConflict
from keystore.models import Key, Secret
from keystore.rotation import KeyLife, SecretState, Successor
from keystore.vault import Vault

ALIVE = (SecretState.CURRENT, SecretState.RETIRING)


def life(key: Key) -> KeyLife:
    """Return what of a key decides whether its secrets live."""
    return KeyLife(key.generation, key.expires_at, key.disabled_at, key.deleted_at)


def current(session: Session, key_id: UUID) -> Secret | None:
    """Return a key's current secret; a key that has come to its end has none."""
    return session.scalars(
        select(Secret)
        .where(Secret.key_id == key_id, Secret.state == SecretState.CURRENT)
        .execution_options(populate_existing=True)
    ).one_or_none()


def kill(session: Session, key_id: UUID, now: datetime, *states: SecretState) -> None:
    """End the secrets of a key that are in these states."""
    session.execute(
        update(Secret)
        .where(Secret.key_id == key_id, Secret.state.in_(states))
        .values(state=SecretState.DEAD, died_at=now)
    )


def retire(session: Session, key_id: UUID, until: datetime) -> None:
    """Let the current secret of a key work until a moment."""
    session.execute(
        update(Secret)
        .where(Secret.key_id == key_id, Secret.state == SecretState.CURRENT)
        .values(state=SecretState.RETIRING, until=until)
    )


def shorten(session: Session, key_id: UUID, until: datetime) -> None:
    """Let the retiring secret of a key end at this moment at the latest."""
    session.execute(
        update(Secret)
        .where(
            Secret.key_id == key_id,
            Secret.state == SecretState.RETIRING,
            Secret.until > until,
        )
        .values(until=until)
    )


class Generations:
    """Makes new secrets; keeps no more of them than a digest."""

    def __init__(self, vault: Vault, random: Random) -> None:
        self._vault = vault
        self._random = random

    def add(self, session: Session, key: Key, now: datetime, *, seen: bool = True) -> SecretValue:
        """Give a key a current secret of its present generation; it must have none."""
        client_secret = credentials.generate_client_secret(key.client_key, self._random)
        session.add(
            Secret(
                key_id=key.id,
                generation=key.generation,
                digest=client_secret.map(self._vault.digest),
                state=SecretState.CURRENT,
                created_at=now,
                seen=seen,
            )
        )
        session.flush()
        return client_secret

    def succeed(
        self, session: Session, key: Key, successor: Successor, now: datetime, *, seen: bool = True
    ) -> SecretValue:
        """Replace a key's current secret as was decided; return the new one.

        The generation is the guard between two at once: the second finds it changed. Raises
        GenerationConflict.
        """
        if not changed_one(
            session,
            update(Key)
            .where(
                Key.id == key.id,
                Key.generation == successor.generation - 1,
                Key.deleted_at.is_(None),
            )
            .values(generation=successor.generation, secret_created_at=now),
        ):
            raise GenerationConflict
        if not successor.spares_retiring:
            kill(session, key.id, now, SecretState.RETIRING)
        if successor.former_until is None:
            kill(session, key.id, now, SecretState.CURRENT)
        else:
            retire(session, key.id, successor.former_until)
        session.refresh(key)
        return self.add(session, key, now, seen=seen)


def changed_one(session: Session, statement: Update) -> bool:
    """Run an update that is to change one row; tell whether it did."""
    result = session.execute(statement, execution_options={"synchronize_session": False})
    return int(result.rowcount) == 1  # type: ignore[attr-defined]
