"""Who is calling: the one place where a Client Secret or an access token is checked.

A change made by any process counts from the next request on. So what is read here is read anew for
each request; where it can be told that nothing was committed since (`Database.mark`), a pair that
was found valid is so until its time is over. Of one that was not, nothing is remembered: whether a
Client Key is in use could be seen from how fast it is refused. The highest time seen is kept, too.
"""

import json
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Text, bindparam, cast, func, literal_column, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import aliased

from keystore import credentials, rotation, scopes
from keystore.clock import Clock, rising
from keystore.commits import UntilCommit
from keystore.db import Database, writing
from keystore.models import AccessToken, Key, Organization, Role, Secret, User
from keystore.rotation import KeyLife, SecretState
from keystore.scopes import Owner, Rights
from keystore.vault import Vault

MOST_ALIVE = 2  # secrets of one key: the current one and one that is retiring


class VerifiedKey(NamedTuple):
    """Who is calling, proved by the right secret or by an access token."""

    key_id: UUID
    organization_id: UUID
    organization_name: str
    name: str
    client_key: str
    rights: Rights
    networks: tuple[str, ...]  # where it may be used from; none: anywhere
    generation: int  # of the secret that was shown, or that has obtained the token
    secret_id: int
    token_id: int | None  # the access token that was shown
    ends_at: datetime  # of that secret, with its key or before, if nobody does anything
    rate_limit: int | None  # requests a minute; None: the installation's
    spikes_until: datetime | None  # no spike is planned from then on

    @property
    def scopes(self) -> frozenset[str]:
        """What it may do."""
        return self.rights.operations


class VerifiedToken(NamedTuple):
    """An access token that works now, and the key it belongs to, cut down to the token's scopes."""

    key: VerifiedKey
    issued_at: datetime
    expires_at: datetime  # with that secret, or before


_KEY = (
    Key.id,
    Key.organization_id,
    Organization.name.label("organization_name"),
    Key.name,
    Key.client_key,
    cast(Key.scopes, Text).label("scopes"),
    Key.data_scope,
    cast(Key.networks, Text).label("networks"),
    User.email,
    User.role,
    User.is_active,
    Key.generation.label("newest"),
    Key.expires_at,
    Key.disabled_at,
    Key.deleted_at,
    func.coalesce(Key.rate_limit, Organization.rate_limit).label("rate_limit"),
    Key.spikes_until,
    Secret.id.label("secret_id"),
    Secret.generation,
    Secret.state,
    Secret.until,
)
_NEIGHBOUR = aliased(Key)
#: The key that is asked for, or else its neighbour: a Client Key that is not there costs what one
#: costs that is, and nobody can tell one from the other by the time.
_NEAREST = func.coalesce(
    select(func.max(_NEIGHBOUR.client_key))
    .where(_NEIGHBOUR.client_key <= bindparam("client_key"))
    .scalar_subquery(),
    select(func.min(_NEIGHBOUR.client_key)).scalar_subquery(),
)
_BY_CLIENT_KEY = (
    select(*_KEY, Secret.digest)
    .join(Organization, Organization.id == Key.organization_id)
    .outerjoin(User, User.id == Key.owner_id)
    .join(
        Secret,
        # The newest secret, dead or alive, so that a dead key has a row as well; and of the two
        # before it what is alive, as one that nobody saw may have died between it and the retiring
        # one. The index leads past all that are long dead.
        (Secret.key_id == Key.id)
        & (Secret.generation >= Key.generation - literal_column("2"))
        & (
            (Secret.generation == Key.generation)
            | (Secret.state != literal_column(f"'{SecretState.DEAD}'"))
        ),
    )
    .where(Key.client_key == _NEAREST)
)
_BY_TOKEN = (
    select(
        *_KEY,
        AccessToken.id.label("token_id"),
        AccessToken.digest,
        cast(AccessToken.scopes, Text).label("token_scopes"),
        AccessToken.created_at,
        AccessToken.expires_at.label("token_expires_at"),
        AccessToken.revoked_at,
    )
    .select_from(AccessToken)
    .join(Secret, Secret.id == AccessToken.secret_id)
    .join(Key, Key.id == Secret.key_id)
    .join(Organization, Organization.id == Key.organization_id)
    .outerjoin(User, User.id == Key.owner_id)
    .where(AccessToken.public_part == bindparam("public_part"))
)


class Verification:
    """The check itself, against one database."""

    def __init__(self, db: Database, vault: Vault, clock: Clock) -> None:
        self._db = db
        self._vault = vault
        self._clock = rising(clock)
        self._by_client_key = db.prepared(_BY_CLIENT_KEY)
        self._by_token = db.prepared(_BY_TOKEN)
        self._valid = UntilCommit[tuple[str, str], VerifiedKey]()

    def by_secret(self, client_key: str, client_secret: str) -> VerifiedKey | None:
        """Return whose credential this is, or None for whatever reason it is not valid.

        One read, one digest (under each secret key that there is) and two comparisons for each
        well-formed pair, known or not, dead or alive, overlap or not; and what is worked out from
        the row is so for a wrong secret, too. So an answer's time tells nothing. A pair that we
        cannot have issued is refused without any of it. A right one may be let in without the read,
        which tells its owner nothing new.
        """
        if not credentials.well_formed(client_key, client_secret):
            return None
        digests, among = self._vault.digests(client_secret), self._vault.among
        mark, pair = self._db.mark(), (client_key, digests[0])
        valid = self._valid.get(mark, pair)
        if valid is not None and self._clock.now() < valid.ends_at:
            return valid
        rows = self._by_client_key(client_key=client_key)
        matching = [row for row in rows if among(row.digest, digests)]
        for _ in range(len(rows), MOST_ALIVE):
            among(self._vault.dummy_digest, digests)
        row = next(iter(matching or rows), None)
        if row is None:
            return None  # there is not one key yet
        life, now = _life(row), self._clock.now()
        works = rotation.authenticates(row.state, row.until, life, now)
        lapsed = rotation.lapsed(row.state, row.until, life, now)
        is_unwritten = lapsed and row.state is not SecretState.DEAD
        # Not `and`: that would work out more for a right secret than for a wrong one.
        is_right = bool(matching) & (row.client_key == client_key)
        if is_right & is_unwritten:
            self._bury(row.id, row.secret_id, now)
        if not is_right & works:
            return None
        granted = _rights(row)
        if granted is None:
            return None
        verified = _verified(row, granted, life)
        self._valid.put(mark, pair, verified)
        return verified

    def by_token(self, text: str) -> VerifiedToken | None:
        """Return what this token may do, or None for whatever reason it is not valid.

        One read and one digest for each well-formed token, known or not.
        """
        public_part = credentials.public_part(text)
        if public_part is None:
            return None
        row = next(iter(self._by_token(public_part=public_part)), None)
        digest = self._vault.dummy_digest if row is None else row.digest
        if not self._vault.matches(text, digest) or row is None:
            return None
        life, now = _life(row), self._clock.now()
        if now >= row.token_expires_at or rotation.lapsed(row.state, row.until, life, now):
            # Once is enough: whoever shows it again and again is not to write each time.
            if row.revoked_at is None and row.state is not SecretState.DEAD:
                self._end_token(row.token_id, now)
            return None
        works = rotation.authenticates(row.state, row.until, life, now)
        granted = _rights(row)
        if row.revoked_at is not None or not works or granted is None:
            return None
        key = _verified(row, granted.only(_set(row.token_scopes)), life, row.token_id)
        return VerifiedToken(key, row.created_at, min(row.token_expires_at, key.ends_at))

    def _bury(self, key_id: UUID, secret_id: int, now: datetime) -> None:
        """Write down that a secret's time has passed, so that no clock ever says otherwise.

        Whether it has is read again with the key held, as somebody may have moved its expiry since;
        a key that has expired takes all its secrets along. Whoever shows a dead one is refused in
        any case, so a database that cannot write is no harm.
        """
        with suppress(DBAPIError), self._db.session() as session, writing(session):
            key = session.get_one(Key, key_id, with_for_update={"key_share": True})
            over = key.expires_at is not None and key.expires_at <= now
            lapsed = (Secret.id == secret_id) & (Secret.until <= now)
            session.execute(
                update(Secret)
                .where(Secret.key_id == key_id if over else lapsed)
                .where(Secret.state != SecretState.DEAD)
                .values(state=SecretState.DEAD, died_at=now)
            )

    def _end_token(self, token_id: int, now: datetime) -> None:
        """Write down that a token's time has passed, for the same reason."""
        with suppress(DBAPIError), self._db.session() as session, writing(session):
            session.execute(
                update(AccessToken)
                .where(AccessToken.id == token_id, AccessToken.revoked_at.is_(None))
                .values(revoked_at=now)
            )


def _life(row: Any) -> KeyLife:
    return KeyLife(row.newest, row.expires_at, row.disabled_at, row.deleted_at)


def _rights(row: Any) -> Rights | None:
    is_admin = row.role is Role.ADMIN
    owner = None if row.email is None else Owner(row.email, is_admin, row.is_active)
    return scopes.rights(_set(row.scopes), row.data_scope, owner)


# Keys have few different lists, and each request brings one as JSON.
@lru_cache(maxsize=4096)
def _texts(column: str | None) -> tuple[str, ...]:
    return tuple(json.loads(column or "[]"))


@lru_cache(maxsize=4096)
def _set(column: str) -> frozenset[str]:
    return frozenset(json.loads(column))


def _verified(row: Any, granted: Rights, life: KeyLife, token_id: int | None = None) -> VerifiedKey:
    return VerifiedKey(
        row.id,
        row.organization_id,
        row.organization_name,
        row.name,
        row.client_key,
        granted,
        _texts(row.networks),
        row.generation,
        row.secret_id,
        token_id,
        rotation.end(row.state, row.until, life),
        row.rate_limit,
        row.spikes_until,
    )
