"""Access tokens (OAuth 2.0): issue, verify, revoke. Opaque texts that work for an hour at most.

A token hangs on the secret that obtained it: whether it works is read, each time it is shown, from
that secret's row and its key's. So it is dead the moment the secret is, with nothing to tell it so.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import SystemRandom

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from keystore import credentials, rotation
from keystore.clock import Clock
from keystore.credentials import Random, SecretValue
from keystore.db import writing
from keystore.keys import VerifiedKey
from keystore.models import AccessToken, Key, Organization, Secret
from keystore.rotation import KeyLife
from keystore.vault import Vault

LIFETIME = timedelta(hours=1)
SWEPT_AT_ONCE = 100  # each issue adds one row and may remove so many: the table cannot only grow

# Built once, as the one for keys.
_VERIFY = (
    select(
        Key.id,
        Key.organization_id,
        Organization.name.label("organization_name"),
        Key.name,
        Key.client_key,
        Key.scopes,
        Key.generation.label("newest"),
        Key.expires_at.label("key_expires_at"),
        Key.disabled_at,
        Key.deleted_at,
        Secret.id.label("secret_id"),
        Secret.generation,
        Secret.state,
        Secret.until,
        AccessToken.id.label("token_id"),
        AccessToken.digest,
        AccessToken.scopes.label("token_scopes"),
        AccessToken.created_at,
        AccessToken.expires_at,
        AccessToken.revoked_at,
    )
    .select_from(AccessToken)
    .join(Secret, Secret.id == AccessToken.secret_id)
    .join(Key, Key.id == Secret.key_id)
    .join(Organization, Organization.id == Key.organization_id)
    .where(AccessToken.public_part == bindparam("public_part"))
)


@dataclass(frozen=True)
class IssuedToken:
    """A brand-new token: the only moment at which it can be read."""

    text: SecretValue
    scopes: frozenset[str]
    lifetime: timedelta


@dataclass(frozen=True)
class VerifiedToken:
    """A token that works now; `key.scopes` are what it may do: its own that the key still has."""

    id: int
    key: VerifiedKey
    issued_at: datetime
    expires_at: datetime


class Tokens:
    """The access tokens of all keys."""

    def __init__(self, vault: Vault, clock: Clock, random: Random | None = None) -> None:
        self._vault = vault
        self._clock = clock
        self._random = random or SystemRandom()
        self._highest = clock.now()

    def issue(self, session: Session, key: VerifiedKey, scopes: frozenset[str]) -> IssuedToken:
        """Give a client that has just proved its secret a token with these of the key's scopes."""
        now = self._now()
        text = credentials.generate_access_token(self._random)
        with writing(session):
            _sweep(session, now)
            session.add(
                AccessToken(
                    secret_id=key.secret_id,
                    public_part=text.map(credentials.public_part),
                    digest=text.map(self._vault.digest),
                    scopes=sorted(scopes & key.scopes),
                    created_at=now,
                    expires_at=now + LIFETIME,
                )
            )
        return IssuedToken(text, scopes & key.scopes, LIFETIME)

    def verify(self, connection: Connection, text: str) -> VerifiedToken | None:
        """Return what this token may do, or None for whatever reason it is not valid.

        One read and one digest for each well-formed token, known or not.
        """
        public_part = credentials.public_part(text)
        if public_part is None:
            return None
        row = connection.execute(_VERIFY, {"public_part": public_part}).one_or_none()
        digest = self._vault.dummy_digest if row is None else row.digest
        if not self._vault.matches(text, digest) or row is None:
            return None
        now = self._now()
        life = KeyLife(row.newest, row.key_expires_at, row.disabled_at, row.deleted_at)
        if now >= row.expires_at or rotation.lapsed(row.state, row.until, life, now):
            _bury(connection.engine, row.token_id, now)
            return None
        works = rotation.authenticates(row.state, row.until, life, now)
        if row.revoked_at is not None or not works:
            return None
        key = VerifiedKey(
            key_id=row.id,
            organization_id=row.organization_id,
            organization_name=row.organization_name,
            name=row.name,
            client_key=row.client_key,
            scopes=frozenset(row.scopes) & frozenset(row.token_scopes),
            generation=row.generation,
            secret_id=row.secret_id,
        )
        return VerifiedToken(row.token_id, key, row.created_at, row.expires_at)

    def revoke(self, session: Session, token: VerifiedToken) -> None:
        """End a token before its time. Its row stays as long as it would have worked."""
        with writing(session):
            _end(session, token.id, self._now())

    def _now(self) -> datetime:
        """Return the highest time seen: a clock that is set back brings no token back to life."""
        self._highest = max(self._highest, self._clock.now())
        return self._highest


def _end(session: Session, token_id: int, now: datetime) -> None:
    session.execute(
        update(AccessToken)
        .where(AccessToken.id == token_id, AccessToken.revoked_at.is_(None))
        .values(revoked_at=now)
    )


def _bury(engine: Engine, token_id: int, now: datetime) -> None:
    """Write down that a token's time has passed, so that no clock of any process says otherwise.

    It is refused in any case, so a database that cannot write just now is no harm.
    """
    with suppress(DBAPIError), Session(engine) as session, writing(session):
        _end(session, token_id, now)


def _sweep(session: Session, now: datetime) -> None:
    """Remove tokens whose time is over; those that another process is removing are left to it."""
    ended = (
        select(AccessToken.id)
        .where(AccessToken.expires_at <= now)
        .order_by(AccessToken.expires_at)
        .limit(SWEPT_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    session.execute(
        delete(AccessToken).where(AccessToken.id.in_(ended)),
        execution_options={"synchronize_session": False},
    )
