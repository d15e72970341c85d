"""The objects have exactly the contract's fields."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from connector.meetings import events, schemas
from connector.meetings.payloads import schema
from connector.meetings.schemas import Shape

#: Field -> (may be null, is always there), as the contract's tables have it. A `?` in a table's
#: Null column is read as yes.
MEETING = {
    "uuid": (False, True),
    "subject": (False, True),
    "created": (False, True),
    "modified": (False, True),
    "start_at": (False, False),
    "end_at": (False, False),
    "duration": (True, False),
    "state": (False, True),
    "processing_status": (True, False),
    "recording_state": (True, False),
    "disable_reason": (True, False),
    "disabled_reason_detail": (True, False),
    "is_private": (False, True),
    "is_internal": (False, True),
    "is_call": (False, False),
    "organizer_email": (False, True),
    "attendees": (False, False),
    "call_details": (True, False),
    "crm_associations": (False, False),
    "purpose": (True, False),
    "type": (True, False),
    "outcome": (True, False),
    "audio_ready": (False, False),
    "video_ready": (False, False),
    "transcript_ready": (False, False),
    "notes_ready": (False, False),
    "recording_uuid": (True, False),
    "transcription_uuid": (True, False),
    "url": (False, False),
}
ATTENDEE = {
    "uuid": (False, True),
    "email": (False, True),
    "name": (True, True),  # the contract may leave it out; we never do
    "response_status": (False, True),
}
CRM_ASSOCIATION = {"crm_obj_id": (False, True), "crm_obj_type": (False, True)}
CALL_DETAILS = dict.fromkeys(("external_id", "frm", "to"), (False, True))
LABEL_REF = {"uuid": (False, True), "label": (False, True)}
TRANSCRIPT = dict.fromkeys(
    ("uuid", "meeting_uuid", "speakers", "transcript", "transcription_vtt_url"), (False, True)
)
SPEAKER = {
    "id": (False, True),
    "email": (False, True),
    "is_rep": (False, True),
    "name": (True, True),
}
PARAGRAPH = dict.fromkeys(("speaker_id", "transcript", "timestamps"), (False, True))
NOTE = dict.fromkeys(("created", "modified", "data"), (False, True))


def nullable(part: dict[str, Any]) -> bool:
    return any(one.get("type") == "null" for one in part.get("anyOf", ()))


@pytest.mark.parametrize(
    ("shape", "contract"),
    [
        (schemas.Meeting, MEETING),
        (schemas.Attendee, ATTENDEE),
        (schemas.CrmAssociation, CRM_ASSOCIATION),
        (schemas.CallDetails, CALL_DETAILS),
        (schemas.LabelRef, LABEL_REF),
        (schemas.Transcript, TRANSCRIPT),
        (schemas.Speaker, SPEAKER),
        (schemas.Paragraph, PARAGRAPH),
        (schemas.Note, NOTE),
    ],
)
def test_fields_are_the_contract_s(
    shape: type[Shape], contract: dict[str, tuple[bool, bool]]
) -> None:
    found = schema(shape)
    required = set(found["required"])
    assert contract == {
        name: (nullable(part), name in required) for name, part in found["properties"].items()
    }


def test_allowed_values_are_the_contract_s() -> None:
    meeting = schema(schemas.Meeting)
    assert set(meeting["properties"]["state"]["enum"]) == {
        "scheduled",
        "in_progress",
        "completed",
        "not_recorded",
        "cancelled",
    }
    assert set(meeting["properties"]["processing_status"]["anyOf"][0]["enum"]) == {
        "processing",
        "silent_recording",
        "recording_error",
        "transcription_available",
        "notes_available",
        "invalid_video",
        "download_failed",
        "bot_denied_entry",
        "bot_invalid_rec_details",
        "not_started",
        "no_transcript",
    }
    statuses = meeting["$defs"]["Attendee"]["properties"]["response_status"]["enum"]
    assert set(statuses) == {"needsaction", "accepted", "declined", "tentativelyaccepted"}


def test_the_made_up_meeting_is_one() -> None:
    validator = Draft202012Validator(
        events.meeting_schema(), format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    validator.validate(events.meeting_sample())


def test_whole_numbers_are_written_whole() -> None:
    sample = events.meeting_sample()
    meeting = schemas.Meeting.model_validate(sample | {"duration": 1800.0})
    assert repr(meeting.to_json()["duration"]) == "1800"
