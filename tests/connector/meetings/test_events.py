"""Bodies of events: the contract's fields, real values, samples that are no different."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from connector.meetings import events, ingest
from connector.meetings.record import Happening, Record, merged
from connector.meetings.samples import ENDED, MEETING, ORGANIZATION
from tests.connector.meetings.support import ANA, BEN, NOTES, TRANSCRIPT, sent
from webhooks.catalog import EventType

#: The contract's fields of both payloads, section 3.7.
COMMON = [
    "event_type",
    "event_label",
    "uuid",
    "subject",
    "state",
    "processing_status",
    "privacy",
    "start_at",
    "end_at",
    "created",
    "modified",
    "duration",
    "is_call",
    "is_internal",
    "audio_ready",
    "video_ready",
    "transcript_ready",
    "notes_ready",
    "audio_url",
    "video_url",
    "recording_uuid",
    "transcription_uuid",
    "transcription_vtt_url",
    "meeting_url",
    "organizer_email",
    "organizer_name",
    "purpose",
    "outcome",
    "attendees",
    "ai_notes",
    "ai_notes_txt",
    "action_items",
]
FIELDS = {
    "AINOTE": {*COMMON, "call_details", "insights"},
    "new_conversation": {
        *COMMON,
        "call_direction",
        "call_frm",
        "call_to",
        "call_external_ph_no",
        "transcription_text",
    },
}
CALL = {
    "external_id": "CA1",
    "frm": "+1 202 555 0100",
    "to": "+1 202 555 0123",
    "call_direction": "outbound",
    "external_ph_no": "+1 202 555 0123",
}
VTT = "https://keyhook.example/v1/transcriptions/1/vtt/"
BARE: dict[str, Any] = {
    "attendees": [],
    "start_at": None,
    "end_at": None,
    "state": "in_progress",
}
FULL: dict[str, Any] = {
    "transcript": TRANSCRIPT,
    "notes": NOTES,
    "action_items": [{"action_item": "Call back", "email": BEN}],
    "call_details": CALL,
    "is_call": True,
    "duration": 1800,
    "purpose": {"label": "Demo"},
    "processing_status": "notes_available",
    "audio_ready": True,
    "is_private": True,
    "url": "https://meet.example/1",
}

event_types = pytest.mark.parametrize(
    "event_type", events.event_types(), ids=lambda event_type: event_type.name
)


def record(**changes: Any) -> Record:
    return merged(ORGANIZATION, MEETING, ingest.meeting(sent(**changes)), None, ENDED)


def sent_body(name: Happening, vtt_url: str | None = None, **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(events.body(name, record(**changes), vtt_url))
    return found


def check(event_type: EventType, body: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(event_type.schema)
    Draft202012Validator(
        event_type.schema, format_checker=Draft202012Validator.FORMAT_CHECKER
    ).validate(body)


def test_the_contract_s_types_are_offered_and_our_own() -> None:
    names = [event_type.name for event_type in events.event_types()]
    assert names == [
        "AINOTE",
        "new_conversation",
        "meeting.started",
        "meeting.ended",
        "recording.ready",
        "transcript.ready",
        "notes.ready",
        "outcome.changed",
        "privacy.changed",
        "meeting.processing_failed",
    ]


def test_a_change_tells_what_was_before() -> None:
    def record(**changes: Any) -> Record:
        return merged(ORGANIZATION, MEETING, ingest.meeting(sent(**changes)), None, ENDED)

    old, new = record(outcome={"label": "Won"}), record(outcome=None, is_private=True)
    told = json.loads(events.body("outcome.changed", new, None, old))
    assert (told["outcome"], told["previous_outcome"]["label"]) == (None, "Won")
    told = json.loads(events.body("privacy.changed", new, None, old))
    assert (told["is_private"], told["was_private"]) == (True, False)


@pytest.mark.parametrize("name", FIELDS)
def test_fields_are_the_contract_s(name: str) -> None:
    [schema] = [one.schema for one in events.event_types() if one.name == name]
    assert set(schema["properties"]) == FIELDS[name]


def test_meeting_ended_has_the_meeting_s_fields_under_their_names() -> None:
    [schema] = [one.schema for one in events.event_types() if one.name == "meeting.ended"]
    meeting = events.meeting_schema()["properties"]
    assert list(schema["properties"]) == ["event_type", "event_label", *meeting]


@event_types
def test_the_sample_is_in_shape(event_type: EventType) -> None:
    check(event_type, event_type.sample)
    assert event_type.sample["event_type"] == event_type.name


@event_types
@pytest.mark.parametrize("changes", [{}, BARE, FULL], ids=["plain", "bare", "full"])
def test_real_bodies_are_in_shape(event_type: EventType, changes: dict[str, Any]) -> None:
    name: Any = event_type.name
    check(event_type, sent_body(name, VTT, **changes))
    check(event_type, sent_body(name, None, **changes))


@pytest.mark.parametrize("name", ["AINOTE", "new_conversation"])
def test_a_conversation_tells_what_was_said_and_noted(name: Happening) -> None:
    body = sent_body(name, VTT, **FULL)
    assert body["uuid"] == str(MEETING)
    assert body["privacy"] == "private"
    assert body["organizer_name"] == "Ana Rep"
    assert body["transcription_vtt_url"] == VTT
    assert body["ai_notes"].startswith("<h3>Next</h3>\n<p>A trial.</p>\n<ul><li>In May</li></ul>")
    assert body["ai_notes_txt"].startswith("### Next\n\nA trial.\n\n- In May")
    assert body["action_items"] == [
        {
            "action_item": "Call back",
            "name": BEN,
            "email": BEN,
            "company": "customer.example",
        }
    ]


def test_a_call_lies_deep_in_one_body_and_flat_in_the_other() -> None:
    assert sent_body("AINOTE", **FULL)["call_details"] == CALL
    flat = sent_body("new_conversation", **FULL)
    assert {name: flat[name] for name in flat if name.startswith("call_")} == {
        "call_direction": "outbound",
        "call_frm": CALL["frm"],
        "call_to": CALL["to"],
        "call_external_ph_no": CALL["external_ph_no"],
    }


def test_media_that_we_do_not_have_are_left_out_or_null_as_the_contract_says() -> None:
    assert not {"audio_url", "video_url"} & sent_body("AINOTE").keys()
    conversation = sent_body("new_conversation")
    assert (conversation["audio_url"], conversation["video_url"]) == (None, None)


def test_a_body_is_compact_utf_8() -> None:
    body = events.body("meeting.ended", record(subject="Ünïcode ☕"), None)
    assert '"subject":"Ünïcode ☕",'.encode() in body
    assert f'"organizer_email":"{ANA}"'.encode() in body


def test_a_subscriber_can_do_without_parts_of_each_body() -> None:
    parts = {one.name: set(one.parts) for one in events.event_types()}
    talk = {"action_items", "attendees", "call", "insights", "media", "notes", "transcript"}
    assert parts.pop("AINOTE") == talk
    assert parts.pop("new_conversation") == talk - {"insights"}
    assert all(left == {"attendees", "call", "crm"} for left in parts.values())


@pytest.mark.parametrize("event_type", events.event_types(), ids=lambda one: one.name)
def test_without_a_part_its_fields_are_gone_and_nothing_else(event_type: EventType) -> None:
    for part, fields in event_type.parts.items():
        body = event_type.cut(json.dumps(event_type.sample).encode(), part)
        left = {name: value for name, value in event_type.sample.items() if name not in fields}
        if part == "action_items":  # which the notes repeat at their end
            for name, begin in (("ai_notes", "\n<h3>Action"), ("ai_notes_txt", "\n\n### Action")):
                left[name] = left[name].partition(begin)[0]
        assert (event_type.sample if body is None else json.loads(body)) == left
