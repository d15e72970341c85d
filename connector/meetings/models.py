"""The tables of meetings. Everything carries its organization, first in every key and index."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    Boolean,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Text,
    Uuid,
)
from sqlalchemy.orm import Mapped, mapped_column

from connector.meetings import fields
from keystore.db import Base, UtcDateTime

STATUS_LENGTH = 40
MEETING = ("organization_id", "meeting_uuid")


def _belongs_to_meeting() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        MEETING, ["meetings.organization_id", "meetings.uuid"], ondelete="CASCADE"
    )


class MeetingRow(Base):
    """One meeting. Its uuid is the product's, so it is unique only within its organization."""

    __tablename__ = "meetings"
    __table_args__ = (Index("ix_meetings_start", "organization_id", "start_at", "uuid"),)

    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"), primary_key=True)
    uuid: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    subject: Mapped[str] = mapped_column(String(fields.SUBJECT_LENGTH))
    created: Mapped[datetime] = mapped_column(UtcDateTime)
    modified: Mapped[datetime] = mapped_column(UtcDateTime)
    start_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    end_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    duration: Mapped[float | None] = mapped_column(Float(53))
    state: Mapped[str] = mapped_column(String(STATUS_LENGTH))
    processing_status: Mapped[str | None] = mapped_column(String(STATUS_LENGTH))
    recording_state: Mapped[str | None] = mapped_column(String(STATUS_LENGTH))
    disable_reason: Mapped[str | None] = mapped_column(String(fields.NAME_LENGTH))
    disabled_reason_detail: Mapped[str | None] = mapped_column(String(fields.SUBJECT_LENGTH))
    is_private: Mapped[bool] = mapped_column(Boolean)
    is_internal: Mapped[bool] = mapped_column(Boolean)
    is_call: Mapped[bool] = mapped_column(Boolean)
    organizer_email: Mapped[str] = mapped_column(String(fields.EMAIL_LENGTH))
    call: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    purpose: Mapped[str | None] = mapped_column(String(fields.LABEL_LENGTH))
    outcome: Mapped[str | None] = mapped_column(String(fields.LABEL_LENGTH))
    audio_ready: Mapped[bool] = mapped_column(Boolean)
    video_ready: Mapped[bool] = mapped_column(Boolean)
    transcript_ready: Mapped[bool] = mapped_column(Boolean)
    notes_ready: Mapped[bool] = mapped_column(Boolean)
    recording_uuid: Mapped[UUID | None] = mapped_column(Uuid)
    transcription_uuid: Mapped[UUID | None] = mapped_column(Uuid)
    url: Mapped[str | None] = mapped_column(String(fields.URL_LENGTH))


class AttendeeRow(Base):
    """Somebody who was invited; `email_key` is the address in the form that is compared."""

    __tablename__ = "meeting_attendees"
    __table_args__ = (
        _belongs_to_meeting(),
        Index("ix_meeting_attendees_email", "organization_id", "email_key", "meeting_uuid"),
    )

    organization_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    meeting_uuid: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    uuid: Mapped[UUID] = mapped_column(Uuid)
    email: Mapped[str] = mapped_column(String(fields.EMAIL_LENGTH))
    email_key: Mapped[str] = mapped_column(Text)  # folding may lengthen
    name: Mapped[str | None] = mapped_column(String(fields.NAME_LENGTH))
    response_status: Mapped[str] = mapped_column(String(STATUS_LENGTH))


class CrmAssociationRow(Base):
    """A record in the CRM that a meeting belongs to."""

    __tablename__ = "meeting_crm_associations"
    __table_args__ = (
        _belongs_to_meeting(),
        Index(
            "ix_meeting_crm_associations_object",
            "organization_id",
            "crm_obj_id",
            "crm_obj_type",
            "meeting_uuid",
        ),
    )

    organization_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    meeting_uuid: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    crm_obj_id: Mapped[str] = mapped_column(String(fields.ID_LENGTH))
    crm_obj_type: Mapped[str] = mapped_column(String(fields.ID_LENGTH))


class TranscriptRow(Base):
    """A meeting's one transcript, as it was sent: `{"speakers": [...], "transcript": [...]}`."""

    __tablename__ = "meeting_transcripts"
    __table_args__ = (
        _belongs_to_meeting(),
        Index("uq_meeting_transcripts_uuid", "organization_id", "uuid", unique=True),
    )

    organization_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    meeting_uuid: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    uuid: Mapped[UUID] = mapped_column(Uuid)
    content: Mapped[dict[str, Any]] = mapped_column(JSON)


class NotesRow(Base):
    """A meeting's notes, as they were sent."""

    __tablename__ = "meeting_notes"
    __table_args__ = (_belongs_to_meeting(),)

    organization_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    meeting_uuid: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    created: Mapped[datetime] = mapped_column(UtcDateTime)
    modified: Mapped[datetime] = mapped_column(UtcDateTime)
    sections: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    action_items: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
