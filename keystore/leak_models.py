"""What is on record of secrets that were found in the open; never the secrets themselves."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from keystore.db import Base, UtcDateTime
from keystore.models import Serial, stored_as_text
from keystore.rotation import LeakAction, LeakPolicy, SecretState

SOURCE_LENGTH = 64
URL_LENGTH = 2000


class Leaked(StrEnum):
    """What was found."""

    SECRET = "secret"  # noqa: S105 - a word, not a secret
    TOKEN = "token"  # noqa: S105 - as above


class LeakReport(Base):
    """A secret that was found in one place: whoever reports it again changes nothing."""

    __tablename__ = "leak_reports"
    __table_args__ = (Index("uq_leak_reports_place", "secret_id", "fingerprint", unique=True),)

    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"), index=True)
    key_id: Mapped[UUID] = mapped_column(ForeignKey("keys.id"), index=True)
    secret_id: Mapped[int] = mapped_column(ForeignKey("secrets.id"))  # for a token, its secret
    generation: Mapped[int]
    what: Mapped[Leaked] = mapped_column(stored_as_text(Leaked))
    source: Mapped[str] = mapped_column(String(SOURCE_LENGTH))  # in the scanner's words
    url: Mapped[str] = mapped_column(String(URL_LENGTH))  # may be empty
    fingerprint: Mapped[str] = mapped_column(String(64))  # of what was found, and where
    reported_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: What it was worth when the report came: dead ones are on record, and alarm nobody.
    state: Mapped[SecretState] = mapped_column(stored_as_text(SecretState))
    policy: Mapped[LeakPolicy] = mapped_column(stored_as_text(LeakPolicy))
    action: Mapped[LeakAction] = mapped_column(stored_as_text(LeakAction))
    #: While retired because of this: works strictly before this moment.
    until: Mapped[datetime | None] = mapped_column(UtcDateTime)
