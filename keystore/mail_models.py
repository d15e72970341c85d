"""The tables around mails: what is to be sent, and what the links in some of them are good for."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Uuid, literal_column, text
from sqlalchemy.orm import Mapped, mapped_column

from keystore.db import Base, UtcDateTime
from keystore.models import AGENT_LENGTH, Role, stored_as_text

ADDRESS_LENGTH = 254
SUBJECT_LENGTH = 200
ERROR_LENGTH = 200

_WAITING = text("state = 'waiting'")


class MailState(StrEnum):
    """What became of a mail."""

    WAITING = "waiting"  # for its first try, or for the next one
    SENT = "sent"  # the SMTP server has taken it
    FAILED = "failed"  # refused, or not sent in time


class Mail(Base):
    """One mail. Its text is sealed while it waits, and gone once it is sent or given up."""

    __tablename__ = "mails"
    __table_args__ = (
        Index("ix_mails_due", "due_at", sqlite_where=_WAITING, postgresql_where=_WAITING),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"), index=True)
    to: Mapped[str] = mapped_column(String(ADDRESS_LENGTH))
    subject: Mapped[str] = mapped_column(String(SUBJECT_LENGTH))
    sealed_text: Mapped[bytes | None] = mapped_column(LargeBinary)
    state: Mapped[MailState] = mapped_column(stored_as_text(MailState))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: Of no use to anybody from this moment on.
    until: Mapped[datetime] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    attempts: Mapped[int]
    error: Mapped[str | None] = mapped_column(String(ERROR_LENGTH))
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    lease_token: Mapped[UUID | None] = mapped_column(Uuid)
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)


#: Spelled out, not as a parameter: only so do both databases see that the small index fits.
IS_WAITING = Mail.state == literal_column("'waiting'")


_OPEN = text("accepted_at IS NULL AND withdrawn_at IS NULL")


class Invitation(Base):
    """A seat kept for somebody. Only the digest of the link that takes it is here."""

    __tablename__ = "invitations"
    __table_args__ = (
        Index(
            "uq_invitations_open",
            "organization_id",
            "email",
            unique=True,
            sqlite_where=_OPEN,
            postgresql_where=_OPEN,
        ),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    email: Mapped[str] = mapped_column(String(ADDRESS_LENGTH))
    role: Mapped[Role] = mapped_column(stored_as_text(Role))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    sent_at: Mapped[datetime] = mapped_column(UtcDateTime)  # of the link that works
    #: The link works strictly before this moment.
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    accepted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    withdrawn_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class PasswordReset(Base):
    """A link with which a person may choose a new password, once; only its digest is here."""

    __tablename__ = "password_resets"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    fingerprint: Mapped[str] = mapped_column(String(16))  # of the password that it replaces
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: Works strictly before this moment; some time later the row is removed.
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class Knock(Base):
    """Something a stranger did at the door, not looked into yet; gone once it was."""

    __tablename__ = "knocks"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    kind: Mapped[str] = mapped_column(String(32))
    sealed_email: Mapped[bytes] = mapped_column(LargeBinary)  # people type passwords there
    address: Mapped[str | None] = mapped_column(String(64))
    agent: Mapped[str] = mapped_column(String(AGENT_LENGTH))
