"""A meeting with all that is kept of it, and what becomes of it when a product writes again.

Pure: the store reads a record, calls `merged`, and writes what it returns.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, TypeVar
from uuid import UUID, uuid5

from connector.meetings.fields import fold_email
from connector.meetings.ingest import (
    ActionItemInput,
    AttendeeInput,
    CallInput,
    LabelInput,
    MeetingInput,
    SectionInput,
    TranscriptInput,
)
from connector.meetings.schemas import (
    Attendee,
    CallDetails,
    CrmAssociation,
    LabelRef,
    Meeting,
)

Happening = Literal[
    "meeting.started",
    "meeting.ended",
    "recording.ready",
    "transcript.ready",
    "notes.ready",
    "AINOTE",
    "new_conversation",
    "outcome.changed",
    "privacy.changed",
    "meeting.processing_failed",
]

T = TypeVar("T")

OVER = frozenset({"completed", "not_recorded"})
BEGUN = OVER | {"in_progress"}
#: After these there will be no recording, or nothing to be had from it.
FAILED = frozenset(
    {
        "silent_recording",
        "recording_error",
        "invalid_video",
        "download_failed",
        "bot_denied_entry",
        "bot_invalid_rec_details",
        "no_transcript",
    }
)


@dataclass(frozen=True)
class NotesContent:
    """The notes of a meeting as they were sent."""

    sections: tuple[SectionInput, ...]
    action_items: tuple[ActionItemInput, ...]


@dataclass(frozen=True)
class Record:
    """Everything kept of one meeting. `call` has two fields more than the contract's object."""

    meeting: Meeting
    call: CallInput | None = None
    transcript: TranscriptInput | None = None
    notes: NotesContent | None = None


def label_ref(
    organization_id: UUID, kind: Literal["purpose", "outcome"], label: str | None
) -> LabelRef | None:
    """Return the reference for a label; the same label of one organization has the same uuid."""
    if label is None:
        return None
    return LabelRef(uuid=uuid5(organization_id, f"{kind}:{label}"), label=label)


def transcription_uuid(organization_id: UUID, meeting_uuid: UUID) -> UUID:
    """Return the id of a meeting's one transcript."""
    return uuid5(organization_id, f"transcription:{meeting_uuid}")


def recording_uuid(organization_id: UUID, meeting_uuid: UUID) -> UUID:
    """Return the id of a meeting's one recording."""
    return uuid5(organization_id, f"recording:{meeting_uuid}")


def merged(
    organization_id: UUID, uuid: UUID, given: MeetingInput, old: Record | None, now: datetime
) -> Record:
    """Return the record after this write: `old` itself when nothing changes by it."""
    transcript = _kept(given, "transcript", given.transcript, old.transcript if old else None)
    notes = _notes(given, old)
    meeting = Meeting(
        uuid=uuid,
        subject=given.subject,
        created=old.meeting.created if old else now,
        modified=old.meeting.modified if old else now,
        start_at=given.start_at,
        end_at=given.end_at,
        duration=given.duration,
        state=given.state,
        processing_status=given.processing_status,
        recording_state=given.recording_state,
        disable_reason=given.disable_reason,
        disabled_reason_detail=given.disabled_reason_detail,
        is_private=given.is_private,
        is_internal=given.is_internal,
        is_call=given.is_call,
        organizer_email=given.organizer_email,
        attendees=_attendees(organization_id, given),
        call_details=call_details(given.call_details),
        crm_associations=_associations(given, old),
        **_labels(organization_id, given, old),
        audio_ready=given.audio_ready,
        video_ready=given.video_ready,
        transcript_ready=given.transcript_ready or transcript is not None,
        notes_ready=given.notes_ready or notes is not None,
        url=given.url,
        **_ids(organization_id, uuid, given, has_transcript=transcript is not None),
    )
    return _unless_equal(Record(meeting, given.call_details, transcript, notes), old, now)


def with_outcome(organization_id: UUID, label: str | None, old: Record, now: datetime) -> Record:
    """Return the record with this outcome: `old` itself when it has it already."""
    outcome = label_ref(organization_id, "outcome", label)
    meeting = old.meeting.model_copy(update={"outcome": outcome})
    return _unless_equal(replace(old, meeting=meeting), old, now)


def happened(old: Record | None, new: Record) -> tuple[Happening, ...]:
    """Return which events this change is, in the order in which they are told."""
    before = old.meeting if old else None
    after = new.meeting
    events: list[Happening] = []
    if after.state == "in_progress" and (before is None or before.state not in BEGUN):
        events.append("meeting.started")
    if after.state in OVER and (before is None or before.state not in OVER):
        events.append("meeting.ended")
    if _is_recorded(after) and not (before and _is_recorded(before)):
        events.append("recording.ready")
    if after.transcript_ready and not (before and before.transcript_ready):
        events.append("transcript.ready")
    if after.notes_ready and not (before and before.notes_ready):
        events += ["notes.ready", "AINOTE", "new_conversation"]
    if before is not None and after.outcome != before.outcome:
        events.append("outcome.changed")
    if before is not None and after.is_private != before.is_private:
        events.append("privacy.changed")
    status = after.processing_status
    if status in FAILED and (before is None or before.processing_status != status):
        events.append("meeting.processing_failed")
    return tuple(events)


def _is_recorded(meeting: Meeting) -> bool:
    return bool(meeting.audio_ready or meeting.video_ready)


def call_details(call: CallInput | None) -> CallDetails | None:
    """Return the contract's part of a call."""
    if call is None:
        return None
    return CallDetails(external_id=call.external_id, frm=call.frm, to=call.to)


def _unless_equal(new: Record, old: Record | None, now: datetime) -> Record:
    if old is None:
        return new
    if new == old:
        return old
    return replace(new, meeting=new.meeting.model_copy(update={"modified": now}))


def _kept(given: MeetingInput, field: str, value: T, old: T) -> T:
    return value if given.says(field) else old


def _notes(given: MeetingInput, old: Record | None) -> NotesContent | None:
    before = (old and old.notes) or NotesContent((), ())
    notes = NotesContent(
        _kept(given, "notes", tuple(given.notes or ()), before.sections),
        _kept(given, "action_items", tuple(given.action_items or ()), before.action_items),
    )
    return notes if notes.sections or notes.action_items else None


def _labels(organization_id: UUID, given: MeetingInput, old: Record | None) -> dict[str, Any]:
    def label(field: LabelInput | None) -> str | None:
        return field.label if field else None

    purpose = label_ref(organization_id, "purpose", label(given.purpose or given.type))
    outcome = label_ref(organization_id, "outcome", label(given.outcome))
    return {
        "purpose": purpose,
        "type": purpose,
        "outcome": _kept(given, "outcome", outcome, old.meeting.outcome if old else None),
    }


def _ids(
    organization_id: UUID, uuid: UUID, given: MeetingInput, *, has_transcript: bool
) -> dict[str, Any]:
    """Return the ids of recording and transcript, each once there is what it names."""
    recorded = given.audio_ready or given.video_ready
    transcribed = has_transcript or given.state == "completed"
    return {
        "recording_uuid": recording_uuid(organization_id, uuid) if recorded else None,
        "transcription_uuid": transcription_uuid(organization_id, uuid) if transcribed else None,
    }


def _associations(given: MeetingInput, old: Record | None) -> list[CrmAssociation]:
    associations = [
        CrmAssociation(crm_obj_id=one.crm_obj_id, crm_obj_type=one.crm_obj_type)
        for one in given.crm_associations
    ]
    before = (old and old.meeting.crm_associations) or []
    return _kept(given, "crm_associations", associations, before)


def _attendees(organization_id: UUID, given: MeetingInput) -> list[Attendee]:
    """Return all attendees; the organizer is always one of them, if need be the first."""
    invited = list(given.attendees)
    organizer = fold_email(given.organizer_email)
    if all(fold_email(one.email) != organizer for one in invited):
        invited.insert(0, AttendeeInput(email=given.organizer_email, response_status="accepted"))
    return [
        Attendee(
            uuid=one.uuid or uuid5(organization_id, f"attendee:{fold_email(one.email)}"),
            email=one.email,
            name=one.name,
            response_status=one.response_status,
        )
        for one in invited
    ]
