"""What happens to people after they were added: a new password ends what the old one began."""

from sqlalchemy import update
from sqlalchemy.orm import Session

from keystore import audit, sessions
from keystore.accounts import Accounts
from keystore.audit import Actor
from keystore.clock import Clock
from keystore.credentials import SecretValue
from keystore.db import writing
from keystore.models import SignIn, User


class People:
    """Changes to people; each is one transaction with its audit event."""

    def __init__(self, accounts: Accounts, clock: Clock) -> None:
        self._accounts = accounts
        self._clock = clock

    def change_password(
        self, session: Session, user: User, password: SecretValue, *, kept: SignIn, actor: Actor
    ) -> None:
        """Replace a person's password and end their sign-ins, all but one.

        That they know the present password is for the caller to have seen. Raises AccountError
        for a password that is too short or too long.
        """
        hashed = self._accounts.hash(password)
        with writing(session):
            stored = session.get_one(User, user.id, with_for_update=True)
            stored.password_hash = hashed
            session.flush()
            ended = sessions.end_all(session, user.id, but=kept.id)
            session.execute(
                update(SignIn)
                .where(SignIn.id == kept.id)
                .values(fingerprint=sessions.fingerprint(stored))
            )
            audit.record(
                session,
                self._clock.now(),
                actor,
                "user.password_changed",
                organization_id=user.organization_id,
                subject_type="user",
                subject_id=user.id,
                sessions_ended=ended,
            )
