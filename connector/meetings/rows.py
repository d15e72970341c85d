"""Rows to records and to the contract's objects, many at a time, in the caller's transaction."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import TypeVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.meetings.ingest import (
    ActionItemInput,
    CallInput,
    SectionInput,
    TranscriptInput,
)
from connector.meetings.models import (
    AttendeeRow,
    CrmAssociationRow,
    MeetingRow,
    NotesRow,
    TranscriptRow,
)
from connector.meetings.queries import visible
from connector.meetings.record import NotesContent, Record, call_details, label_ref
from connector.meetings.schemas import Attendee, CrmAssociation, Meeting
from connector.meetings.sight import Sight

#: Columns that hold a contract field as it is.
PLAIN = (
    "uuid",
    "subject",
    "created",
    "modified",
    "start_at",
    "end_at",
    "duration",
    "state",
    "processing_status",
    "recording_state",
    "disable_reason",
    "disabled_reason_detail",
    "is_private",
    "is_internal",
    "is_call",
    "organizer_email",
    "audio_ready",
    "video_ready",
    "transcript_ready",
    "notes_ready",
    "recording_uuid",
    "transcription_uuid",
    "url",
)

C = TypeVar("C", AttendeeRow, CrmAssociationRow, TranscriptRow, NotesRow)


def load(
    session: Session, sight: Sight, uuids: Collection[UUID]
) -> dict[UUID, tuple[MeetingRow, Record]]:
    """Return the records of those of these meetings that are in sight, locked until the commit."""
    rows = session.scalars(
        select(MeetingRow)
        .where(visible(sight), MeetingRow.uuid.in_(uuids))
        .order_by(MeetingRow.uuid)  # one order for all, so that two writers do not deadlock
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    found = [row.uuid for row in rows]
    transcripts = {
        row.meeting_uuid: TranscriptInput.model_validate(row.content)
        for row in _children(session, sight, TranscriptRow, found)
    }
    notes = {
        row.meeting_uuid: notes_content(row) for row in _children(session, sight, NotesRow, found)
    }
    meetings = to_meetings(session, sight, rows, with_associations=True)
    return {
        row.uuid: (
            row,
            Record(meeting, _call(row), transcripts.get(row.uuid), notes.get(row.uuid)),
        )
        for row, meeting in zip(rows, meetings, strict=True)
        # Whom we waited for may have taken it out of sight; these attendees are the present ones.
        if sight.shows(meeting)
    }


def to_meetings(
    session: Session, sight: Sight, rows: Sequence[MeetingRow], *, with_associations: bool
) -> list[Meeting]:
    """Return the contract's objects for these rows, in their order."""
    uuids = [row.uuid for row in rows]
    attendees: dict[UUID, list[Attendee]] = defaultdict(list)
    for one in _children(session, sight, AttendeeRow, uuids):
        attendees[one.meeting_uuid].append(
            Attendee(
                uuid=one.uuid,
                email=one.email,
                name=one.name,
                response_status=one.response_status,  # type: ignore[arg-type]  # as validated
            )
        )
    associations: dict[UUID, list[CrmAssociation]] = defaultdict(list)
    if with_associations:
        for link in _children(session, sight, CrmAssociationRow, uuids):
            associations[link.meeting_uuid].append(
                CrmAssociation(crm_obj_id=link.crm_obj_id, crm_obj_type=link.crm_obj_type)
            )
    return [
        _meeting(row, attendees[row.uuid], associations[row.uuid] if with_associations else None)
        for row in rows
    ]


def notes_content(row: NotesRow) -> NotesContent:
    """Return the notes in a row."""
    return NotesContent(
        tuple(map(SectionInput.model_validate, row.sections)),
        tuple(map(ActionItemInput.model_validate, row.action_items)),
    )


def _children(
    session: Session, sight: Sight, child: type[C], uuids: Collection[UUID]
) -> Sequence[C]:
    if not uuids:
        return ()
    statement = select(child).where(
        child.organization_id == sight.organization_id, child.meeting_uuid.in_(uuids)
    )
    if issubclass(child, AttendeeRow | CrmAssociationRow):
        statement = statement.order_by(child.position)
    return session.scalars(statement.execution_options(populate_existing=True)).all()


def _meeting(
    row: MeetingRow, attendees: list[Attendee], associations: list[CrmAssociation] | None
) -> Meeting:
    purpose = label_ref(row.organization_id, "purpose", row.purpose)
    return Meeting(
        **{field: getattr(row, field) for field in PLAIN},
        attendees=attendees,
        call_details=call_details(_call(row)),
        crm_associations=associations,
        purpose=purpose,
        type=purpose,
        outcome=label_ref(row.organization_id, "outcome", row.outcome),
    )


def _call(row: MeetingRow) -> CallInput | None:
    return None if row.call is None else CallInput.model_validate(row.call)
