"""The table of bookings."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, Boolean, ForeignKey, Index, String, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from connector.meetings import fields
from keystore.db import Base, UtcDateTime

STATE_LENGTH = 32


class BookingRow(Base):
    """One booking. Its uuid is the product's, so it is unique only within its organization.

    The meeting may come in later than its booking, or never; no foreign key asks for it.
    """

    __tablename__ = "bookings"
    __table_args__ = (Index("ix_bookings_meeting", "organization_id", "meeting_uuid"),)

    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"), primary_key=True)
    uuid: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    meeting_uuid: Mapped[UUID] = mapped_column(Uuid)
    state: Mapped[str] = mapped_column(String(STATE_LENGTH))
    is_private: Mapped[bool] = mapped_column(Boolean)
    subject: Mapped[str] = mapped_column(String(fields.SUBJECT_LENGTH))
    purpose: Mapped[str | None] = mapped_column(String(fields.LABEL_LENGTH))
    event_start_time: Mapped[datetime] = mapped_column(UtcDateTime)
    event_end_time: Mapped[datetime] = mapped_column(UtcDateTime)
    created: Mapped[datetime] = mapped_column(UtcDateTime)
    modified: Mapped[datetime] = mapped_column(UtcDateTime)
    conference_link: Mapped[str | None] = mapped_column(String(fields.URL_LENGTH))
    scheduling_page_link: Mapped[str | None] = mapped_column(String(fields.URL_LENGTH))
    organizer_email: Mapped[str] = mapped_column(String(fields.EMAIL_LENGTH))
    organizer_timezone: Mapped[str | None] = mapped_column(String(fields.NAME_LENGTH))
    booker_email: Mapped[str | None] = mapped_column(String(fields.EMAIL_LENGTH))
    cancel_reason: Mapped[str | None] = mapped_column(String(fields.SUBJECT_LENGTH))
    invitee_details: Mapped[dict[str, Any]] = mapped_column(JSON)
    invitee_responses: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
