"""Choosing a new password when the old one is forgotten: by a link that is good once, for an hour.

The link is bound to the password that it replaces: once that has changed, however it did, it is
over. It does not sign anybody in, so that a second factor is asked for as ever.
"""

from datetime import datetime, timedelta
from random import SystemRandom
from uuid import uuid4

from sqlalchemy import Select, delete, select
from sqlalchemy.orm import Session

from keystore import audit, letters, sessions
from keystore.accounts import Accounts
from keystore.audit import Actor
from keystore.clock import Clock
from keystore.credentials import Random, SecretValue, generate_link_token, link_digest
from keystore.db import writing
from keystore.errors import LinkOver
from keystore.mail import Mails
from keystore.mail_models import PasswordReset
from keystore.models import User
from keystore.people import People
from keystore.sessions import fingerprint

LIFETIME = timedelta(hours=1)
#: For so long it is on record that somebody tried a link too late.
KEPT = timedelta(days=1)


class Resets:
    """Makes links for a new password and takes them."""

    def __init__(
        self,
        accounts: Accounts,
        people: People,
        mails: Mails,
        clock: Clock,
        *,
        base_url: str,
        random: Random | None = None,
    ) -> None:
        self._accounts = accounts
        self._people = people
        self._mails = mails
        self._clock = clock
        self._base_url = base_url
        self._random = random or SystemRandom()

    def post(self, session: Session, user: User, actor: Actor) -> None:
        """Send a person a link, in the caller's transaction. Raises BadMail."""
        token, now = generate_link_token(self._random), self._clock.now()
        session.execute(delete(PasswordReset).where(PasswordReset.expires_at <= now - KEPT))
        session.add(
            PasswordReset(
                id=uuid4(),
                user_id=user.id,
                digest=token.map(link_digest),
                fingerprint=fingerprint(user),
                created_at=now,
                expires_at=now + LIFETIME,
            )
        )
        link = f"{self._base_url}/sign-in/new-password/{token.reveal()}/"
        letter = letters.forgotten(email=user.email, link=link, site=self._base_url)
        self._mails.post(
            session,
            to=user.email,
            subject=letter.subject,
            text=letter.text,
            now=now,
            organization_id=user.organization_id,
            until=now + LIFETIME,
        )
        self._record(session, user, actor, "user.password_reset_sent", now)

    def find(self, session: Session, token: str) -> User:
        """Return whose password a link replaces. Raises LinkOver."""
        with session.begin():
            return self._working(session, token)

    def use(
        self,
        session: Session,
        token: str,
        password: SecretValue,
        *,
        address: str | None = None,
        agent: str | None = None,
    ) -> User:
        """Replace a forgotten password and end all sign-ins that it began.

        Raises LinkOver, and AccountError for a password that is too short or too long: the link
        can be used again then.
        """
        try:
            self.find(session, token)
            hashed, now = self._accounts.hash(password), self._clock.now()
            with writing(session):
                user = self._working(session, token, for_update=True)
                user.password_hash = hashed
                session.flush()
                ended = sessions.end_all(session, user.id)
                actor = Actor("user", user.email, str(user.id), address, agent)
                self._record(session, user, actor, "user.password_reset", now, sessions_ended=ended)
                self._people.tell_of_new_password(session, user, now)
        except LinkOver:
            self._refuse(session, token, address, agent)
            raise
        return user

    def _working(self, session: Session, token: str, *, for_update: bool = False) -> User:
        """Return the person of a link that works.

        Of two that use links of one person the second waits for the first, and then finds that the
        password is not the one that its link replaces.
        """
        reset = session.scalars(_with_link(token)).one_or_none()
        if reset is None or self._clock.now() >= reset.expires_at:
            raise LinkOver
        user = session.get_one(
            User, reset.user_id, with_for_update=for_update, populate_existing=True
        )
        if not user.is_active or reset.fingerprint != fingerprint(user):
            raise LinkOver
        return user

    def _refuse(self, session: Session, token: str, address: str | None, agent: str | None) -> None:
        """Put down that somebody has tried a link of ours that is over."""
        with session.begin():
            reset = session.scalars(_with_link(token)).one_or_none()
            user = None if reset is None else session.get_one(User, reset.user_id)
        if user is None:
            return
        audit.refuse(
            session,
            self._clock.now(),
            Actor("user", user.email, address=address, agent=agent),
            "user.password_reset",
            organization_id=user.organization_id,
            subject_type="user",
            subject_id=user.id,
            reason=LinkOver.__name__,
        )

    @staticmethod
    def _record(
        session: Session,
        user: User,
        actor: Actor,
        action: str,
        now: datetime,
        **detail: object,
    ) -> None:
        audit.record(
            session,
            now,
            actor,
            action,
            organization_id=user.organization_id,
            subject_type="user",
            subject_id=user.id,
            email=user.email,
            **detail,
        )


def _with_link(token: str) -> Select[PasswordReset]:
    return select(PasswordReset).where(PasswordReset.digest == link_digest(token))
