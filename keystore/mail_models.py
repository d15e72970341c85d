"""The mail room's table: what is to be sent, and what became of it."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Uuid, literal_column, text
from sqlalchemy.orm import Mapped, mapped_column

from keystore.db import Base, UtcDateTime
from keystore.models import stored_as_text

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
