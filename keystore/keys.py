"""Create, rename, regenerate, delete, verify: one call, one transaction, one audit event."""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from random import SystemRandom
from uuid import UUID, uuid4

from sqlalchemy import Update, bindparam, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from keystore import audit, credentials, rotation, scopes
from keystore.audit import Actor
from keystore.clock import Clock
from keystore.credentials import Random, SecretValue
from keystore.db import writing
from keystore.errors import (
    AlreadyDone,
    BadName,
    GenerationConflict,
    KeyNotFound,
    NameMismatch,
    NameTaken,
)
from keystore.models import NAME_LENGTH, Key, Organization, Secret
from keystore.rotation import KeyLife, SecretState
from keystore.vault import Vault

#: Called in the transaction that deletes a key, so that what depends on it ends with it.
OnDelete = Callable[[Session, Key, Actor], None]

# Built once: this is the hottest statement of all.
_VERIFY = (
    select(
        Key.id,
        Key.organization_id,
        Organization.name.label("organization_name"),
        Key.name,
        Key.scopes,
        Key.generation,
        Key.deleted_at,
        Secret.state,
        Secret.digest,
    )
    .join(Organization, Organization.id == Key.organization_id)
    .join(Secret, (Secret.key_id == Key.id) & (Secret.state == SecretState.CURRENT))
    .where(Key.client_key == bindparam("client_key"))
)


@dataclass(frozen=True)
class Issued:
    """A key with its brand-new secret: the only moment at which the secret can be read."""

    key: Key
    client_secret: SecretValue


@dataclass(frozen=True)
class VerifiedKey:
    """Who is calling, proved by the right secret."""

    key_id: UUID
    organization_id: UUID
    organization_name: str
    name: str
    client_key: str
    scopes: frozenset[str]
    generation: int


class Keys:
    """The keys of all organizations."""

    def __init__(
        self,
        vault: Vault,
        clock: Clock,
        random: Random | None = None,
        on_delete: Sequence[OnDelete] = (),
    ) -> None:
        self._vault = vault
        self._clock = clock
        self._random = random or SystemRandom()
        self._on_delete = on_delete

    @audit.refusals("key.created")
    def create(
        self,
        session: Session,
        *,
        organization_id: UUID,
        name: str,
        actor: Actor,
        granted: frozenset[str] = scopes.DEFAULT,
        created_by: UUID | None = None,
        key_id: UUID | None = None,
    ) -> Issued:
        """Add a key and return it with its secret.

        A form passes the key_id it was rendered with, so that sending it twice makes one key.
        Raises BadName, NameTaken, BadScopes, AlreadyDone.
        """
        now = self._clock.now()
        key = Key(
            id=key_id or uuid4(),
            organization_id=organization_id,
            client_key=credentials.generate_client_key(self._random),
            name=clean_name(name),
            scopes=sorted(scopes.parse(granted)),
            generation=1,
            created_at=now,
            created_by=created_by,
            secret_created_at=now,
        )
        with _as_our_errors(), writing(session):
            if session.get(Key, key.id) is not None:
                raise AlreadyDone
            _refuse_taken(session, key.organization_id, key.name)
            session.add(key)
            session.flush()
            client_secret = self._add_secret(session, key, generation=1, now=now)
            after = {"name": key.name, "scopes": key.scopes}
            self._record(session, actor, "key.created", key, after=after)
        return Issued(key, client_secret)

    @audit.refusals("key.renamed")
    def rename(
        self, session: Session, key_id: UUID, *, organization_id: UUID, name: str, actor: Actor
    ) -> Key:
        """Change a key's name and nothing else; the credential does not notice.

        Raises BadName, NameTaken, KeyNotFound.
        """
        name = clean_name(name)
        with _as_our_errors(), writing(session):
            key = _live(session, key_id, organization_id)
            if key.name == name:
                return key
            _refuse_taken(session, organization_id, name)
            before, key.name = key.name, name
            session.flush()
            names = {"before": {"name": before}, "after": {"name": name}}
            self._record(session, actor, "key.renamed", key, **names)
        return key

    @audit.refusals("key.regenerated")
    def regenerate(
        self,
        session: Session,
        key_id: UUID,
        *,
        organization_id: UUID,
        generation: int,
        actor: Actor,
    ) -> Issued:
        """Replace a key's secret; the old one dies in the same moment.

        `generation` is the one the caller has seen. Raises GenerationConflict when it is no longer
        the current one, KeyNotFound.
        """
        now = self._clock.now()
        with writing(session):
            key = _live(session, key_id, organization_id)
            life = KeyLife(key.generation, key.deleted_at)
            following = rotation.next_generation(life, generation)
            # The guard decides between two at once: the second finds the number changed.
            if not _changed_one(
                session,
                update(Key)
                .where(Key.id == key_id, Key.generation == generation, Key.deleted_at.is_(None))
                .values(generation=following, secret_created_at=now),
            ):
                raise GenerationConflict
            _kill_secrets(session, key_id, now)
            client_secret = self._add_secret(session, key, generation=following, now=now)
            session.refresh(key)
            generations = {"before": {"generation": generation}, "after": {"generation": following}}
            self._record(session, actor, "key.regenerated", key, **generations)
        return Issued(key, client_secret)

    @audit.refusals("key.deleted")
    def delete(
        self,
        session: Session,
        key_id: UUID,
        *,
        organization_id: UUID,
        actor: Actor,
        confirm_name: str | None = None,
    ) -> None:
        """End a key for good: its secrets die, and what depends on it ends with it.

        Raises KeyNotFound, and NameMismatch when confirm_name is given and is not the key's name.
        """
        now = self._clock.now()
        with writing(session):
            key = _live(session, key_id, organization_id)
            if confirm_name is not None and _normal(confirm_name) != key.name:
                raise NameMismatch
            if not _changed_one(
                session,
                update(Key)
                .where(Key.id == key_id, Key.deleted_at.is_(None))
                .values(deleted_at=now),
            ):
                raise KeyNotFound
            _kill_secrets(session, key_id, now)
            for callback in self._on_delete:
                callback(session, key, actor)
            self._record(session, actor, "key.deleted", key, before={"name": key.name})

    def list(self, session: Session, organization_id: UUID) -> Sequence[Key]:
        """Return an organization's live keys, newest first."""
        with session.begin():
            return session.scalars(
                select(Key)
                .where(Key.organization_id == organization_id, Key.deleted_at.is_(None))
                .order_by(Key.created_at.desc(), Key.name)
            ).all()

    def get(self, session: Session, key_id: UUID, *, organization_id: UUID) -> Key:
        """Return one live key. Raises KeyNotFound, also for another organization's key."""
        with session.begin():
            return _live(session, key_id, organization_id)

    def verify(
        self, connection: Connection, client_key: str, client_secret: str
    ) -> VerifiedKey | None:
        """Return whose credential this is, or None for whatever reason it is not valid.

        One read and one digest for each well-formed pair, known or not, so that an answer's time
        tells nothing; a pair that we cannot have issued is refused without either.
        """
        if not credentials.well_formed(client_key, client_secret):
            return None
        row = connection.execute(_VERIFY, {"client_key": client_key}).one_or_none()
        digest = self._vault.dummy_digest if row is None else row.digest
        if not self._vault.matches(client_secret, digest) or row is None:
            return None
        if not rotation.authenticates(row.state, key_deleted_at=row.deleted_at):
            return None
        return VerifiedKey(
            key_id=row.id,
            organization_id=row.organization_id,
            organization_name=row.organization_name,
            name=row.name,
            client_key=client_key,
            scopes=frozenset(row.scopes),
            generation=row.generation,
        )

    def _add_secret(
        self, session: Session, key: Key, *, generation: int, now: datetime
    ) -> SecretValue:
        client_secret = credentials.generate_client_secret(key.client_key, self._random)
        session.add(
            Secret(
                key_id=key.id,
                generation=generation,
                digest=client_secret.map(self._vault.digest),
                state=SecretState.CURRENT,
                created_at=now,
            )
        )
        session.flush()
        return client_secret

    def _record(
        self, session: Session, actor: Actor, action: str, key: Key, **detail: object
    ) -> None:
        audit.record(
            session,
            self._clock.now(),
            actor,
            action,
            organization_id=key.organization_id,
            subject_type="key",
            subject_id=key.id,
            **detail,
        )


def clean_name(name: str) -> str:
    """Return a name without outer blanks; raises BadName unless a person could read it."""
    name = _normal(name)
    # Control, format and surrogate characters cannot be seen, typed to confirm, or stored.
    unseen = any(unicodedata.category(character)[0] == "C" for character in name)
    if not name or len(name) > NAME_LENGTH or unseen:
        raise BadName
    return name


def _normal(name: str) -> str:
    return unicodedata.normalize("NFC", name.strip())


def _live(session: Session, key_id: UUID, organization_id: UUID) -> Key:
    key = session.get(Key, key_id, populate_existing=True)
    if key is None or key.organization_id != organization_id or key.deleted_at is not None:
        raise KeyNotFound
    return key


def _refuse_taken(session: Session, organization_id: UUID, name: str) -> None:
    taken = select(Key.id).where(
        Key.organization_id == organization_id, Key.name == name, Key.deleted_at.is_(None)
    )
    if session.scalars(taken).first() is not None:
        raise NameTaken


def _kill_secrets(session: Session, key_id: UUID, now: datetime) -> None:
    session.execute(
        update(Secret)
        .where(Secret.key_id == key_id, Secret.state != SecretState.DEAD)
        .values(state=SecretState.DEAD, died_at=now)
    )


def _changed_one(session: Session, statement: Update) -> bool:
    result = session.execute(statement, execution_options={"synchronize_session": False})
    return int(result.rowcount) == 1  # type: ignore[attr-defined]


class _as_our_errors:  # noqa: N801 - reads as a verb at its one kind of use
    """Turn what the database's constraints refuse, when two were faster than our checks."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, IntegrityError):
            if "uq_keys_live_name" in str(error.orig):
                raise NameTaken from error
            if "pk_keys" in str(error.orig):
                raise AlreadyDone from error
