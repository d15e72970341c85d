"""Create, rename, regenerate, end: one call, one transaction, one audit event."""

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import SystemRandom
from uuid import UUID, uuid4

from sqlalchemy import select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from keystore import (
    audit,
    credentials,
    expiry,
    generations,
    held,
    key_events,
    networks,
    ownership,
    rotation,
    scopes,
    watches,
)
from keystore.audit import Actor
from keystore.clock import Clock, rising
from keystore.credentials import Random, SecretValue
from keystore.db import writing
from keystore.errors import (
    AlreadyDone,
    BadName,
    KeyExpired,
    KeyNotFound,
    NameMismatch,
    NameTaken,
)
from keystore.generations import ALIVE, Generations, changed_one
from keystore.key_events import Created, Enabled, KeyEvent, OnEvent, Regenerated, Revoked
from keystore.models import NAME_LENGTH, Key, Secret
from keystore.ownership import Doing
from keystore.rotation import KeyLife, KeyState, SecretState
from keystore.scopes import DataScope
from keystore.vault import Vault


@dataclass(frozen=True, slots=True)
class Dependent:
    """Something that will stop when a key ends, in words for a person."""

    what: str  # e.g. "new_conversation to hooks.zapier.com"
    count: int


#: Tells what depends on a key; in a read transaction of its own.
Dependents = Callable[[Session, Key], Sequence[Dependent]]

#: Called in the transaction that deletes a key, so that what depends on it ends with it.
OnDelete = Callable[[Session, Key, Actor], None]


@dataclass(frozen=True)
class Issued:
    """A key with its brand-new secret: the only moment at which the secret can be read."""

    key: Key
    client_secret: SecretValue


class Keys:
    """The keys of all organizations."""

    def __init__(
        self,
        vault: Vault,
        clock: Clock,
        random: Random | None = None,
        on_delete: Sequence[OnDelete] = (),
        dependents: Dependents = lambda _session, _key: (),
        *,
        on_event: Sequence[OnEvent] = (),
    ) -> None:
        self._vault = vault
        self._clock = rising(clock)
        self._random = random or SystemRandom()
        self._generations = Generations(vault, self._random)
        self._on_delete = on_delete
        self._on_event = on_event
        self.dependents = dependents

    @audit.refusals("key.created")
    def create(
        self,
        session: Session,
        *,
        organization_id: UUID,
        name: str,
        actor: Actor,
        granted: frozenset[str] = scopes.DEFAULT,
        data: DataScope = DataScope.ORG_FULL,
        owner_id: UUID | None = None,
        expires_at: datetime | None = None,
        allowed: Iterable[str] = (),
        rate_limit: int | None = None,
        created_by: UUID | None = None,
        key_id: UUID | None = None,
    ) -> Issued:
        """Add a key and return it with its secret.

        A form passes the key_id it was rendered with, so that sending it twice makes one key.
        rate_limit: requests a minute; None: the organization's. No ceiling here (see Rates).
        owner_id: whose meetings it sees; for the two personal data scopes, and for these alone.
        allowed: the networks it may be used from; none: anywhere.
        Raises BadName, NameTaken, BadScopes, BeyondMembers, BeyondItself, BadExpiry, BadNetworks,
        AlreadyDone; Repeated and NameReused for a named request of a key.
        """
        now = self._clock.now()
        key = Key(
            id=key_id or uuid4(),
            organization_id=organization_id,
            client_key=credentials.generate_client_key(self._random),
            name=clean_name(name),
            scopes=sorted(scopes.parse(granted)),
            data_scope=data,
            owner_id=owner_id,
            networks=networks.parse(allowed) or None,
            rate_limit=rate_limit,
            generation=1,
            created_at=now,
            created_by=created_by,
            secret_created_at=now,
            expires_at=expires_at,
        )
        with _as_our_errors(), writing(session):
            held.hold_owner(session, owner_id)
            held.to_add(session, actor)
            rotation.check_expiry(KeyLife(1, None, None, None), expires_at, now)
            if session.get(Key, key.id) is not None:
                raise AlreadyDone
            held.check_owner(session, key)
            ownership.check_grant(session, actor, key)
            if actor.kind == "key":
                ownership.check_limit(session, actor, organization_id, rate_limit)
            _refuse_taken(session, key.organization_id, key.name)
            session.add(key)
            session.flush()
            client_secret = self._generations.add(session, key, now)
            if expires_at is not None:
                watches.keep(session, key.id, expiry.ahead(expires_at, now))
            after = {
                "name": key.name,
                **held.grant(key),
                "expires_at": expires_at and expires_at.isoformat(),
                "networks": key.networks,
            }
            held.record(session, now, actor, "key.created", key, after=after)
            self._tell(session, Created(key, now))
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
            key = held.to_change(session, key_id, organization_id, actor)
            if key.name == name:
                return key
            _refuse_taken(session, organization_id, name)
            before, key.name = key.name, name
            session.flush()
            names = {"before": {"name": before}, "after": {"name": name}}
            held.record(session, self._clock.now(), actor, "key.renamed", key, **names)
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
        overlap: timedelta = rotation.NO_OVERLAP,
    ) -> Issued:
        """Replace a key's secret.

        `generation` is the one the caller has seen. The former secret works for the length of the
        overlap, though never past the key's expiry; without one it dies in the same moment. One
        that is still retiring from an earlier time dies at once, unless the former secret is one
        that nobody has seen: then that one dies, and with an overlap the retiring one lives on.

        Raises GenerationConflict when another was faster, BadOverlap, KeyNotFound, KeyExpired,
        KeyDisabled.
        """
        now = self._clock.now()
        with writing(session):
            key = held.to_change(session, key_id, organization_id, actor)
            current = generations.current(session, key_id)
            if current is None:
                raise KeyExpired
            successor = rotation.regenerate(
                generations.life(key),
                seen=generation,
                overlap=overlap,
                now=now,
                unseen=not current.seen,
            )
            client_secret = self._generations.succeed(session, key, successor, now)
            until = successor.former_until
            numbers = {
                "before": {"generation": generation},
                "after": {
                    "generation": successor.generation,
                    "former_until": until and until.isoformat(),
                },
            }
            held.record(session, now, actor, "key.regenerated", key, **numbers)
            self._tell(session, Regenerated(key, now, until))
        return Issued(key, client_secret)

    @audit.refusals("key.overlap_finished")
    def finish(self, session: Session, key_id: UUID, *, organization_id: UUID, actor: Actor) -> Key:
        """End an overlap now: the retiring secret dies. Without one nothing happens.

        Raises KeyNotFound.
        """
        now = self._clock.now()
        with writing(session):
            key = held.to_change(session, key_id, organization_id, actor, Doing.END)
            retiring = select(Secret.until).where(
                Secret.key_id == key_id, Secret.state == SecretState.RETIRING
            )
            until = session.scalars(retiring).one_or_none()
            generations.kill(session, key_id, now, SecretState.RETIRING)
            if until is not None and until > now:
                held.record(session, now, actor, "key.overlap_finished", key)
        return key

    @audit.refusals("key.expiry_changed")
    def set_expiry(
        self,
        session: Session,
        key_id: UUID,
        *,
        organization_id: UUID,
        expires_at: datetime | None,
        actor: Actor,
    ) -> Key:
        """Let a key end at a moment, or never. An expired key cannot be brought back.

        Raises BadExpiry for a moment that is not in the future, KeyExpired, KeyNotFound.
        """
        now = self._clock.now()
        with writing(session):
            key = held.usable(session, key_id, organization_id, actor)
            rotation.check_expiry(generations.life(key), expires_at, now)
            if key.expires_at == expires_at:
                return key
            before, key.expires_at = key.expires_at, expires_at
            ownership.check_reach(session, actor, key)
            if expires_at is not None:
                # An overlap ends with its key at the latest, also one that began before.
                generations.shorten(session, key_id, expires_at)
            watches.keep(session, key_id, expiry.due(expires_at, now))
            held.record(
                session,
                now,
                actor,
                "key.expiry_changed",
                key,
                before={"expires_at": before and before.isoformat()},
                after={"expires_at": expires_at and expires_at.isoformat()},
            )
        return key

    @audit.refusals("key.disabled")
    def disable(
        self, session: Session, key_id: UUID, *, organization_id: UUID, actor: Actor
    ) -> Key:
        """Put a key to sleep: nothing of it authenticates until it is enabled again.

        Raises KeyNotFound, KeyExpired.
        """
        return self._switch(session, key_id, organization_id, actor, disabled=True)

    @audit.refusals("key.enabled")
    def enable(self, session: Session, key_id: UUID, *, organization_id: UUID, actor: Actor) -> Key:
        """Wake a disabled key. What died while it slept stays dead.

        Raises KeyNotFound, KeyExpired, BadScopes for a personal key whose person has left.
        """
        return self._switch(session, key_id, organization_id, actor, disabled=False)

    @audit.refusals("key.deleted")
    def delete(
        self,
        session: Session,
        key_id: UUID,
        *,
        organization_id: UUID,
        actor: Actor,
        confirm_name: str | None = None,
    ) -> Key:
        """End a key for good: its secrets die, and what depends on it ends with it.

        Returns what is left of it. Raises KeyNotFound, and NameMismatch when confirm_name is given
        and is not the key's name.
        """
        now = self._clock.now()
        with writing(session):
            key = held.to_change(session, key_id, organization_id, actor, Doing.END)
            if confirm_name is not None and _normal(confirm_name) != key.name:
                raise NameMismatch
            if not changed_one(
                session,
                update(Key)
                .where(Key.id == key_id, Key.deleted_at.is_(None))
                .values(deleted_at=now),
            ):
                raise KeyNotFound
            generations.kill(session, key_id, now, *ALIVE)
            watches.keep(session, key_id, None)
            for callback in self._on_delete:
                callback(session, key, actor)
            session.refresh(key)
            held.record(session, now, actor, "key.deleted", key, before={"name": key.name})
            self._tell(session, Revoked(key, now, "deleted"))
        return key

    def list(
        self, session: Session, organization_id: UUID, *, actor: Actor, deleted: bool = False
    ) -> Sequence[Key]:
        """Return an organization's keys, newest first; with `deleted` what is left of those.

        A member sees those of their own.
        """
        which = Key.deleted_at.is_not(None) if deleted else Key.deleted_at.is_(None)
        with session.begin():
            return session.scalars(
                select(Key)
                .where(
                    Key.organization_id == organization_id,
                    which,
                    ownership.visible(session, actor, organization_id),
                )
                .order_by(Key.created_at.desc(), Key.name)
            ).all()

    def secrets(
        self, session: Session, key_id: UUID, *, organization_id: UUID, actor: Actor
    ) -> Sequence[Secret]:
        """Return the secrets of a key that work, the newest first. Raises KeyNotFound."""
        now = self._clock.now()
        with session.begin():
            life = generations.life(held.live(session, key_id, organization_id, actor))
            found = session.scalars(
                select(Secret)
                .where(Secret.key_id == key_id, Secret.state.in_(ALIVE))
                .order_by(Secret.generation.desc())
            )
            return [one for one in found if not rotation.lapsed(one.state, one.until, life, now)]

    def state(self, key: Key) -> KeyState:
        """Say what a key is at this moment."""
        return generations.life(key).state(self._clock.now())

    def get(self, session: Session, key_id: UUID, *, organization_id: UUID, actor: Actor) -> Key:
        """Return one live key. Raises KeyNotFound, also for one that the actor may not see."""
        with session.begin():
            return held.live(session, key_id, organization_id, actor)

    def all_checkable(self, connection: Connection) -> bool:
        """Tell whether every current secret was digested with a secret key that we have."""
        strange = [Secret.digest.not_like(f"{prefix}%") for prefix in self._vault.prefixes()]
        unknown = select(Secret.id).where(Secret.state == SecretState.CURRENT, *strange).limit(1)
        return connection.execute(unknown).first() is None

    def _switch(
        self,
        session: Session,
        key_id: UUID,
        organization_id: UUID,
        actor: Actor,
        *,
        disabled: bool,
    ) -> Key:
        now = self._clock.now()
        with writing(session):
            doing = Doing.END if disabled else Doing.WAKE
            key = held.usable(session, key_id, organization_id, actor, doing)
            if not disabled:
                held.check_owner(session, key)
            if generations.life(key).state(now) is KeyState.EXPIRED:
                raise KeyExpired
            if disabled != (key.disabled_at is not None):
                key.disabled_at = now if disabled else None
                key.disabled_by = ownership.id_of(actor) if disabled else None
                held.record(session, now, actor, "key.disabled" if disabled else "key.enabled", key)
                self._tell(
                    session, Revoked(key, now, "disabled") if disabled else Enabled(key, now)
                )
        return key

    def _tell(self, session: Session, event: KeyEvent) -> None:
        key_events.tell(self._on_event, session, event)


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


def _refuse_taken(session: Session, organization_id: UUID, name: str) -> None:
    taken = select(Key.id).where(
        Key.organization_id == organization_id, Key.name == name, Key.deleted_at.is_(None)
    )
    if session.scalars(taken).first() is not None:
        raise NameTaken


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
