"""Sign-ins: one row for each browser that is signed in, so that any of them can be ended at once.

The browser holds a random token, the database only its SHA-256 digest: the token has 256 bits of
randomness, so a fast hash will do (NIST SP 800-63B, look-up secrets), and a copy of the database
lets nobody in. Every request looks its row up; an ended sign-in is over in every process.
"""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID, uuid4

from sqlalchemy import delete, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from keystore import audit
from keystore.audit import Actor
from keystore.clock import Clock
from keystore.credentials import SecretValue
from keystore.db import writing
from keystore.models import AGENT_LENGTH, SignIn, User

LIFETIME = timedelta(hours=12)
#: How long after showing a password somebody may do what cannot be undone.
RECENT = timedelta(minutes=10)
#: The last use is written at most this often, as each page would write to the same row.
SEEN_EVERY = timedelta(minutes=1)
TOKEN_BYTES = 32
FINGERPRINT_LENGTH = 16  # hex digits: enough to see a change, of no use for guessing


class Sessions:
    """Begins, finds and ends sign-ins."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def begin(
        self, session: Session, user: User, *, address: str | None, agent: str
    ) -> SecretValue:
        """Start a sign-in and return the token that the browser is to hold."""
        token, now = SecretValue(secrets.token_urlsafe(TOKEN_BYTES)), self._clock.now()
        sign_in = SignIn(
            id=uuid4(),
            user_id=user.id,
            digest=token.map(_digest),
            fingerprint=fingerprint(user),
            created_at=now,
            confirmed_at=now,
            last_seen_at=now,
            address=address,
            agent=audit.storable(agent)[:AGENT_LENGTH],
        )
        with writing(session):
            session.execute(
                delete(SignIn).where(SignIn.user_id == user.id, SignIn.created_at <= now - LIFETIME)
            )
            session.add(sign_in)
            self._record(session, user, _as_actor(user, address), "session.started", sign_in.id)
        return token

    def find(self, session: Session, token: str) -> tuple[SignIn, User] | None:
        """Return the sign-in of this token and its person, or None when it is over.

        It is over when it was ended or is 12 hours old, when the account is closed, and when the
        password is no longer the one it began with.
        """
        with session.begin():
            found = session.execute(
                select(SignIn, User)
                .join(User, User.id == SignIn.user_id)
                .where(SignIn.digest == _digest(token))
            ).one_or_none()
        if found is None:
            return None
        sign_in, user = found
        alive = self._clock.now() < sign_in.created_at + LIFETIME
        if not alive or not user.is_active or sign_in.fingerprint != fingerprint(user):
            return None
        self._seen(session, sign_in)
        return sign_in, user

    def is_recent(self, sign_in: SignIn) -> bool:
        """Tell whether the person showed their password less than ten minutes ago."""
        return self._clock.now() < sign_in.confirmed_at + RECENT

    def confirm(self, session: Session, sign_in: SignIn, user: User, actor: Actor) -> None:
        """Note that the person has just shown their password again."""
        now = self._clock.now()
        with writing(session):
            session.execute(update(SignIn).where(SignIn.id == sign_in.id).values(confirmed_at=now))
            self._record(session, user, actor, "session.confirmed", sign_in.id)

    def list(self, session: Session, user: User) -> Sequence[SignIn]:
        """Return a person's sign-ins that still work, the one used last first."""
        with session.begin():
            return session.scalars(
                select(SignIn)
                .where(
                    SignIn.user_id == user.id,
                    SignIn.created_at > self._clock.now() - LIFETIME,
                    SignIn.fingerprint == fingerprint(user),
                )
                .order_by(SignIn.last_seen_at.desc(), SignIn.id)
            ).all()

    def end(self, session: Session, user: User, sign_in_id: UUID, actor: Actor) -> bool:
        """End one of a person's sign-ins; tell whether there was one to end."""
        with writing(session):
            return self._end(session, user, actor, [SignIn.id == sign_in_id]) > 0

    def end_others(self, session: Session, user: User, kept: SignIn, actor: Actor) -> int:
        """End every sign-in of a person but one; return how many there were."""
        with writing(session):
            return self._end(session, user, actor, [SignIn.id != kept.id])

    def _end(self, session: Session, user: User, actor: Actor, which: Sequence[object]) -> int:
        ended = session.scalars(
            delete(SignIn)
            .where(SignIn.user_id == user.id, *which)  # type: ignore[arg-type]
            .returning(SignIn.id)
        ).all()
        for sign_in_id in ended:
            self._record(session, user, actor, "session.ended", sign_in_id)
        return len(ended)

    def _seen(self, session: Session, sign_in: SignIn) -> None:
        now = self._clock.now()
        if now < sign_in.last_seen_at + SEEN_EVERY:
            return
        try:
            with writing(session):
                session.execute(
                    update(SignIn)
                    .where(SignIn.id == sign_in.id, SignIn.last_seen_at < now)
                    .values(last_seen_at=now)
                )
        except OperationalError:
            return  # a database that cannot be written to at the moment still shows its pages

    def _record(
        self, session: Session, user: User, actor: Actor, action: str, sign_in_id: UUID
    ) -> None:
        audit.record(
            session,
            self._clock.now(),
            actor,
            action,
            organization_id=user.organization_id,
            subject_type="session",
            subject_id=sign_in_id,
            email=user.email,
        )


def end_all(session: Session, user_id: UUID, *, but: UUID | None = None) -> int:
    """End a person's sign-ins in the caller's transaction; return how many there were."""
    ended = delete(SignIn).where(SignIn.user_id == user_id)
    if but is not None:
        ended = ended.where(SignIn.id != but)
    return len(session.scalars(ended.returning(SignIn.id)).all())


def fingerprint(user: User) -> str:
    """Return what changes when the password does; the salt inside keeps it from being guessed."""
    return hashlib.sha256(user.password_hash.encode()).hexdigest()[:FINGERPRINT_LENGTH]


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _as_actor(user: User, address: str | None) -> Actor:
    return Actor("user", user.email, id=str(user.id), address=address)
