"""What strangers do at the door: a wrong password, a forgotten one.

Whoever knocks must not learn who has an account here, not even from how long the answer takes. So
all that is done at once is one and the same for everybody: the knock is written down. What it means
is found out afterwards, beside the server: whether the address is somebody's, who then gets a mail
or an entry in the audit log. Of an address that is nobody's, nothing stays.
"""

import logging
from enum import StrEnum
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from keystore import audit
from keystore.audit import Actor
from keystore.clock import Clock
from keystore.credentials import SecretValue
from keystore.db import writing
from keystore.errors import BadMail, VaultError
from keystore.mail_models import ADDRESS_LENGTH, Knock
from keystore.models import AGENT_LENGTH, User
from keystore.resets import Resets
from keystore.vault import Vault

log = logging.getLogger(__name__)


class Kind(StrEnum):
    """What somebody did; for a wrong password, the action that was refused."""

    FORGOTTEN = "forgotten"
    SIGN_IN = "session.started"
    CONFIRMATION = "session.confirmed"
    NEW_PASSWORD = "user.password_changed"  # noqa: S105 - an action's name


class Knocks:
    """Writes knocks down, and answers them."""

    def __init__(self, vault: Vault, clock: Clock, resets: Resets) -> None:
        self._vault = vault
        self._clock = clock
        self._resets = resets

    def note(
        self,
        session: Session,
        kind: Kind,
        email: str,
        *,
        address: str | None = None,
        agent: str = "",
    ) -> None:
        """Write a knock down; one transaction, the same for an address that nobody has."""
        knock_id, email = uuid4(), audit.storable(email.strip().lower())[:ADDRESS_LENGTH]
        knock = Knock(
            id=knock_id,
            at=self._clock.now(),
            kind=kind,
            sealed_email=self._vault.seal(SecretValue(email), knock_context(knock_id)),
            address=address,
            agent=audit.storable(agent)[:AGENT_LENGTH],
        )
        with writing(session):
            session.add(knock)

    def answer(self, session: Session) -> int:
        """Look into all knocks, each in a transaction of its own; return how many there were.

        Several processes may do so: what another one is just looking into is passed over.
        """
        answered = 0
        while self._any(session) and self._answer_one(session):
            answered += 1
        return answered

    @staticmethod
    def _any(session: Session) -> bool:
        with session.begin():
            return session.scalars(select(Knock.id).limit(1)).first() is not None

    def _answer_one(self, session: Session) -> bool:
        with writing(session):
            knock = session.scalars(
                select(Knock).order_by(Knock.at).limit(1).with_for_update(skip_locked=True)
            ).one_or_none()
            if knock is None:
                return False
            user = self._whose(session, knock)
            if user is not None:
                # Nobody has proved to be that person: the actor has no id.
                actor = Actor("user", user.email, address=knock.address, agent=knock.agent or None)
                if knock.kind != Kind.FORGOTTEN:
                    self._tell_of_wrong_password(session, user, knock, actor)
                elif user.is_active:
                    self._send_link(session, user, actor)
            session.delete(knock)
            return True

    def _whose(self, session: Session, knock: Knock) -> User | None:
        try:
            email = self._vault.open(knock.sealed_email, knock_context(knock.id))
        except VaultError:  # its key is gone; so is the moment to answer
            return None
        return session.scalars(select(User).where(User.email == email.reveal())).one_or_none()

    @staticmethod
    def _tell_of_wrong_password(session: Session, user: User, knock: Knock, actor: Actor) -> None:
        audit.record_refusal(
            session,
            knock.at,
            actor,
            knock.kind,
            organization_id=user.organization_id,
            subject_type="user",
            subject_id=user.id,
            reason="WrongPassword" if user.is_active else "Deactivated",
        )

    def _send_link(self, session: Session, user: User, actor: Actor) -> None:
        try:
            self._resets.post(session, user, actor)
        except BadMail as error:
            log.warning("No link for a new password can be sent. %s", error.detail)


def knock_context(knock_id: UUID) -> str:
    """Return what the address that was typed is sealed for."""
    return f"knock:{knock_id}"
