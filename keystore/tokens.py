"""Access tokens (OAuth 2.0): issue, revoke. Opaque texts that work for an hour at most.

A token hangs on the secret that obtained it: whether it works is read, each time it is shown, from
that secret's row and its key's (see keystore.verification). So it is dead the moment the secret is,
with nothing to tell it so.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import SystemRandom

from sqlalchemy import Select, delete, select, update
from sqlalchemy.orm import Session

from keystore import credentials
from keystore.clock import Clock, rising
from keystore.credentials import Random, SecretValue
from keystore.db import writing
from keystore.models import AccessToken, Key
from keystore.vault import Vault
from keystore.verification import VerifiedKey, VerifiedToken

LIFETIME = timedelta(hours=1)
SWEPT_AT_ONCE = 100  # each issue adds one row and may remove so many: the table cannot only grow


@dataclass(frozen=True)
class IssuedToken:
    """A brand-new token: the only moment at which it can be read."""

    text: SecretValue
    scopes: frozenset[str]
    lifetime: timedelta  # if nobody does anything


class Tokens:
    """The access tokens of all keys."""

    def __init__(self, vault: Vault, clock: Clock, random: Random | None = None) -> None:
        self._vault = vault
        self._clock = rising(clock)
        self._random = random or SystemRandom()

    def issue(self, session: Session, key: VerifiedKey, scopes: frozenset[str]) -> IssuedToken:
        """Give a client that has just proved its secret a token with these of the key's scopes.

        It ends with that secret at the latest, as far as that secret's end is known now.
        """
        now = self._clock.now()
        expires_at = max(now, min(now + LIFETIME, key.ends_at))
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
                    expires_at=expires_at,
                )
            )
        return IssuedToken(text, scopes & key.scopes, expires_at - now)

    def sweep(self, session: Session) -> None:
        """Remove tokens whose time is over, so that no clock that is set back revives one."""
        now = self._clock.now()
        with session.begin():
            if session.scalars(_ended(now)).first() is None:
                return
        with writing(session):
            _sweep(session, now)

    def revoke(self, session: Session, token: VerifiedToken) -> None:
        """End a token before its time. Its row stays as long as it would have worked.

        With its key held: what is asked of keys with it is done by then, or refused.
        """
        with writing(session):
            session.get_one(Key, token.key.key_id, with_for_update={"key_share": True})
            session.execute(
                update(AccessToken)
                .where(AccessToken.id == token.key.token_id, AccessToken.revoked_at.is_(None))
                .values(revoked_at=self._clock.now())
            )


def _ended(now: datetime) -> Select[int]:
    """Return the tokens whose time is over, the oldest first."""
    return (
        select(AccessToken.id)
        .where(AccessToken.expires_at <= now)
        .order_by(AccessToken.expires_at)
        .limit(SWEPT_AT_ONCE)
    )


def _sweep(session: Session, now: datetime) -> None:
    """Remove tokens whose time is over; those that another process is removing are left to it."""
    # Two statements: PostgreSQL may ask for the next hundred while it removes the first.
    ended = session.scalars(_ended(now).with_for_update(skip_locked=True)).all()
    if ended:
        session.execute(
            delete(AccessToken).where(AccessToken.id.in_(ended)),
            execution_options={"synchronize_session": False},
        )
