"""What becomes of a record, without a database."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.meetings import ingest
from connector.meetings.record import Record, happened, merged
from connector.meetings.samples import ENDED, MEETING, ORGANIZATION
from tests.connector.meetings.support import ANA, BEN, NOTES, TRANSCRIPT, sent

LATER = ENDED + timedelta(hours=1)
STATES = st.sampled_from(["scheduled", "in_progress", "completed", "not_recorded", "cancelled"])
STEPS = st.lists(st.tuples(STATES, st.booleans()), min_size=1, max_size=12)


def record(old: Record | None = None, **changes: Any) -> Record:
    given = ingest.meeting(sent(**changes))
    return merged(ORGANIZATION, MEETING, given, old, LATER if old else ENDED)


def test_an_equal_write_gives_the_same_record() -> None:
    old = record(transcript=TRANSCRIPT, notes=NOTES)
    assert record(old, transcript=TRANSCRIPT, notes=NOTES) is old
    assert record(old, subject="Another").meeting.modified == LATER


def test_the_organizer_always_attends() -> None:
    meeting = record(attendees=[{"email": BEN, "response_status": "declined"}]).meeting
    assert [one.email for one in meeting.attendees] == [ANA, BEN]
    upper = record(attendees=[{"email": ANA.upper(), "response_status": "declined"}]).meeting
    assert [one.email for one in upper.attendees] == [ANA.upper()]


def test_an_attendee_keeps_the_uuid_that_was_sent() -> None:
    uuid = uuid4()
    attendees = [{"email": ANA, "response_status": "accepted", "uuid": str(uuid)}]
    assert record(attendees=attendees).meeting.attendees[0].uuid == uuid
    once, again = record().meeting.attendees, record(subject="Another").meeting.attendees
    assert once == again  # without one they get one that stays


def test_purpose_and_type_are_one() -> None:
    by_purpose, by_type = record(purpose={"label": "Demo"}), record(type={"label": "Demo"})
    assert by_purpose.meeting == by_type.meeting
    assert by_type.meeting.purpose == by_type.meeting.type


@pytest.mark.parametrize(
    ("changes", "has_recording", "has_transcription"),
    [
        ({"state": "scheduled"}, False, False),
        ({"state": "completed"}, False, True),
        ({"state": "completed", "audio_ready": True}, True, True),
        ({"state": "not_recorded", "video_ready": True}, True, False),
        ({"state": "in_progress", "transcript": TRANSCRIPT}, False, True),
    ],
)
def test_ids_come_with_what_they_name(
    changes: dict[str, Any], *, has_recording: bool, has_transcription: bool
) -> None:
    meeting = record(**changes).meeting
    assert (meeting.recording_uuid is not None) == has_recording
    assert (meeting.transcription_uuid is not None) == has_transcription


@given(STEPS)
def test_an_event_is_a_step_forward_and_nothing_else(steps: list[tuple[str, bool]]) -> None:
    old: Record | None = None
    for state, notes_ready in steps:
        new = record(old, state=state, notes_ready=notes_ready)
        over = {"completed", "not_recorded"}
        ended = state in over and (old is None or old.meeting.state not in over)
        noted = notes_ready and (old is None or not old.meeting.notes_ready)
        begun = state == "in_progress" and (
            old is None or old.meeting.state in {"scheduled", "cancelled"}
        )
        assert happened(old, new) == (
            *(["meeting.started"] if begun else []),
            *(["meeting.ended"] if ended else []),
            *(["notes.ready", "AINOTE", "new_conversation"] if noted else []),
        )
        old = new


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {"audio_ready": True}, ["recording.ready"]),
        ({"audio_ready": True}, {"audio_ready": True, "video_ready": True}, []),
        ({}, {"transcript": TRANSCRIPT}, ["transcript.ready"]),
        ({}, {"outcome": {"label": "Won"}}, ["outcome.changed"]),
        ({"outcome": {"label": "Won"}}, {"outcome": {"label": "Won"}}, []),
        ({"outcome": {"label": "Won"}}, {"outcome": {"label": "Lost"}}, ["outcome.changed"]),
        ({"outcome": {"label": "Won"}}, {"outcome": None}, ["outcome.changed"]),
        ({"is_private": False}, {"is_private": True}, ["privacy.changed"]),
        ({"is_private": True}, {"is_private": False}, ["privacy.changed"]),
        ({}, {"processing_status": "recording_error"}, ["meeting.processing_failed"]),
        ({}, {"processing_status": "processing"}, []),
        (
            {"processing_status": "recording_error"},
            {"processing_status": "recording_error", "subject": "Another"},
            [],
        ),
    ],
)
def test_each_change_is_told_of_once(
    before: dict[str, Any], after: dict[str, Any], expected: list[str]
) -> None:
    base = {"state": "completed", "notes": None, "transcript": None}
    old = record(**base | before)
    new = record(old, **base | after)
    assert list(happened(old, new)) == expected
    assert happened(new, new) == ()


def test_what_a_meeting_has_at_first_sight_is_news_but_no_change() -> None:
    new = record(
        state="completed", outcome={"label": "Won"}, is_private=True, audio_ready=True, notes=NOTES
    )
    assert happened(None, new) == (
        "meeting.ended",
        "recording.ready",
        "notes.ready",
        "AINOTE",
        "new_conversation",
    )
