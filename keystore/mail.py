"""Mails that are to be sent: written down in the transaction that has a reason for them.

Whoever changes something posts the mail about it in the same transaction, so there is neither a
mail without the change nor a change without the mail. Carriers (see keystore.carrier) take mails
from the table, each for a while, and put down what came of it. One that dies in between leaves a
lease that runs out: a mail may be sent twice, with the same Message-ID, and is never lost.

A mail may hold a link that opens a door. Its text is sealed at rest, and blank once it was sent.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, delete, or_, select, update
from sqlalchemy.orm import Session

from keystore import smtp
from keystore.credentials import SecretValue
from keystore.db import writing
from keystore.errors import BadMail
from keystore.mail_models import (
    ADDRESS_LENGTH,
    ERROR_LENGTH,
    IS_WAITING,
    SUBJECT_LENGTH,
    Mail,
    MailState,
)
from keystore.vault import Vault

#: What is this old is no news any more.
GIVE_UP_AFTER = timedelta(days=3)
#: Longer than any one try takes.
LEASE = timedelta(minutes=10)
#: Waits after the first, second, third ... failed try; the last one again and again.
WAITS = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 240))
#: How long it is on record that a mail was sent.
KEPT = timedelta(days=30)


@dataclass(frozen=True)
class Job:
    """A mail that is a carrier's for a while."""

    id: UUID
    token: UUID  # of the lease
    to: str
    subject: str
    sealed_text: bytes
    created_at: datetime


def wait(attempts: int) -> timedelta:
    """Return how long to wait after so many failed tries, 1 or more."""
    return WAITS[min(attempts, len(WAITS)) - 1]


class Mails:
    """The mails of all organizations."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def post(
        self,
        session: Session,
        *,
        to: str,
        subject: str,
        text: str | SecretValue,
        now: datetime,
        organization_id: UUID,
        until: datetime | None = None,
    ) -> UUID:
        """Write down a mail in the caller's transaction; return its id.

        It is sent once the transaction is committed, unless that could not be done before `until`
        (three days from now, unless said otherwise; a link's end, say). Raises BadMail for an
        address or a subject that cannot stand in a mail's head.
        """
        smtp.recipient(to)
        if not subject.isprintable() or len(subject) > SUBJECT_LENGTH or len(to) > ADDRESS_LENGTH:
            raise BadMail("A mail's subject is one line of visible characters.")
        mail_id = uuid4()
        secret = text if isinstance(text, SecretValue) else SecretValue(text)
        session.add(
            Mail(
                id=mail_id,
                organization_id=organization_id,
                to=to,
                subject=subject,
                sealed_text=self._vault.seal(secret, context(mail_id)),
                state=MailState.WAITING,
                created_at=now,
                until=until or now + GIVE_UP_AFTER,
                due_at=now,
                attempts=0,
            )
        )
        session.flush()
        return mail_id

    def text(self, job: Job) -> SecretValue:
        """Return what a mail says. Raises VaultError when its key is gone."""
        return self._vault.open(job.sealed_text, context(job.id))

    def any_due(self, session: Session, now: datetime) -> bool:
        """Tell, by a read, whether a claim would find anything."""
        with session.begin():
            return session.scalars(select(Mail.id).where(*_due(now)).limit(1)).first() is not None

    def claim(self, session: Session, now: datetime) -> Job | None:
        """Take the mail that has been due for longest, for as long as the lease.

        What another carrier is just taking is passed over.
        """
        with writing(session):
            mail = session.scalars(
                select(Mail)
                .where(*_due(now))
                .order_by(Mail.due_at, Mail.id)
                .limit(1)
                .with_for_update(skip_locked=True)
            ).one_or_none()
            if mail is None or mail.sealed_text is None:
                return None
            mail.lease_token, mail.lease_until = uuid4(), now + LEASE
            return Job(
                mail.id, mail.lease_token, mail.to, mail.subject, mail.sealed_text, mail.created_at
            )

    def sent(self, session: Session, job: Job, now: datetime) -> None:
        """Put down that a mail has left; its text is forgotten."""
        with writing(session):
            # Whoever holds the lease by now: it has been sent, and should not be once more.
            session.execute(
                update(Mail)
                .where(Mail.id == job.id)
                .values(state=MailState.SENT, sent_at=now, error=None, **_OVER)
            )

    def failed(
        self, session: Session, job: Job, reason: str, now: datetime, *, for_good: bool
    ) -> bool:
        """Put down that a try failed; tell whether there will be another one."""
        with writing(session):
            mail = session.get_one(Mail, job.id, with_for_update=True, populate_existing=True)
            if mail.lease_token != job.token or mail.state is not MailState.WAITING:
                return True  # another carrier's by now; that one tells the story
            mail.attempts += 1
            mail.error = reason[:ERROR_LENGTH]
            mail.due_at = now + wait(mail.attempts)
            mail.lease_token = mail.lease_until = None
            if for_good or mail.due_at >= mail.until:
                mail.state, mail.sealed_text = MailState.FAILED, None
            return mail.state is MailState.WAITING

    def tidy(self, session: Session, now: datetime) -> int:
        """Give up what was not sent in time, forget what is long done; return what was given up."""
        late = IS_WAITING & (Mail.until <= now) & _is_free(now)
        old = (Mail.state != MailState.WAITING) & (Mail.created_at <= now - KEPT)
        with session.begin():
            if session.scalars(select(Mail.id).where(late | old).limit(1)).first() is None:
                return 0
        with writing(session):
            session.execute(delete(Mail).where(old))
            return len(
                session.scalars(
                    update(Mail)
                    .where(late)
                    .values(state=MailState.FAILED, **_OVER)
                    .returning(Mail.id)
                ).all()
            )


_OVER = {"sealed_text": None, "lease_token": None, "lease_until": None}


def _due(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return IS_WAITING, Mail.due_at <= now, Mail.until > now, _is_free(now)


def _is_free(now: datetime) -> ColumnElement[bool]:
    return or_(Mail.lease_until.is_(None), Mail.lease_until <= now)


def context(mail_id: UUID) -> str:
    """Return what a mail's text is sealed for."""
    return f"mail:{mail_id}"
