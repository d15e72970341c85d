"""What may come in, and what is told about what may not."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.meetings import fields, ingest
from connector.meetings.errors import FieldErrors, InvalidMeeting
from tests.connector.meetings.support import ANA, MEETING, NOTES, TRANSCRIPT, sent

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())  # lone surrogates and NUL too
    | st.just(10**400),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
    max_leaves=10,
)


def told(**changes: Any) -> dict[str, Any]:
    """Return the field errors for a meeting with these changes."""
    with pytest.raises(InvalidMeeting) as caught:
        ingest.meeting(sent(**changes))
    return {name: list(messages) for name, messages in caught.value.fields.items()}


def taken_or_told(data: Any) -> ingest.MeetingInput | FieldErrors:
    try:
        return ingest.meeting(data)
    except InvalidMeeting as error:
        return error.fields


def test_the_contract_s_object_is_taken() -> None:
    given = ingest.meeting(sent(purpose={"label": "Demo", "uuid": str(MEETING)}))
    assert given.attendees[0].email == ANA
    assert given.purpose is not None
    assert given.purpose.label == "Demo"


def test_what_the_server_sets_is_ignored_whatever_it_holds() -> None:
    names = ("uuid", "created", "modified", "recording_uuid", "transcription_uuid")
    plain = ingest.meeting(sent())
    hostile = {name: [{"\x00": float("nan")}] for name in names}
    assert ingest.meeting(sent(**hostile)) == plain


def test_everything_missing_is_told_at_once() -> None:
    with pytest.raises(InvalidMeeting) as caught:
        ingest.meeting({})
    required = {"subject", "state", "is_private", "is_internal", "organizer_email"}
    assert caught.value.fields == {name: ["This field is required."] for name in required}


@pytest.mark.parametrize("data", [None, [], "meeting", 5, True])
def test_what_is_no_object_is_told_under_body(data: object) -> None:
    with pytest.raises(InvalidMeeting) as caught:
        ingest.meeting(data)
    assert caught.value.fields == {"body": ["Must be an object."]}


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"subject": "a\x00b"}, "subject", "Must not contain the NUL character."),
        ({"subject": "\ud800"}, "subject", "Every name and text must be valid Unicode."),
        ({"subject": "x" * 1001}, "subject", "Must have at most 1000 characters."),
        ({"subject": None}, "subject", "Must be a string."),
        ({"recording_state": "on"}, "recording_state", "Must be 'enabled' or 'disabled'."),
        ({"is_private": 1}, "is_private", "Must be true or false."),
        ({"organizer_email": "ana"}, "organizer_email", "Must be an e-mail address."),
        ({"organizer_email": "a@b\x00"}, "organizer_email", "Must be an e-mail address."),
        ({"duration": float("nan")}, "duration", "Must be a finite number."),
        ({"duration": float("inf")}, "duration", "Must be a finite number."),
        ({"duration": 10**400}, "duration", "Must be a number."),
        ({"duration": True}, "duration", "Must be a number."),
        ({"duration": -1}, "duration", "Must be at least 0.0."),
        ({"duration": 1e300}, "duration", "Must be at most 31622400.0."),
        ({"start_at": 1769844600}, "start_at", "Must be a string with a date-time."),
        ({"start_at": "2026-01-31"}, "start_at",
         "Must be a date-time with an offset, such as 2026-01-31T09:30:00Z."),
        ({"start_at": "9999-01-01T00:00:00Z"}, "start_at",
         "Must lie between the years 1970 and 2199."),
        ({"end_at": "2026-01-10T08:00:00Z"}, "end_at", "Must not be before start_at."),
        ({"url": "javascript:alert(1)"}, "url", "Must be a whole http or https address."),
        ({"url": "https://a.example/\x00"}, "url", "Must be a whole http or https address."),
        ({"subjct": "typo"}, "subjct", "There is no such field."),
        ({"attendees": {}}, "attendees", "Must be a list."),
        ({"attendees": [{"email": "x", "response_status": "accepted"}]}, "attendees.0.email",
         "Must be an e-mail address."),
        ({"attendees": [{"email": "a@b", "response_status": "accepted", "uuid": "1"}]},
         "attendees.0.uuid", "Must be a uuid."),
        ({"attendees": [{"email": mail, "response_status": "accepted"} for mail in
                        ("a@b.example", "A@B.example")]},
         "attendees.1.email", "This address is in the list already."),
        ({"crm_associations": [{"crm_obj_id": "", "crm_obj_type": "lead"}]},
         "crm_associations.0.crm_obj_id", "Must not be empty."),
        ({"crm_associations": [{"crm_obj_id": "1", "crm_obj_type": "lead"}] * 2},
         "crm_associations.1", "This record is in the list already."),
        ({"purpose": {"label": "A"}, "type": {"label": "B"}}, "type",
         "Means the same as purpose: send equal labels, or only one of the two."),
        ({"purpose": {"label": " "}}, "purpose.label", "Must not be empty."),
        ({"transcript": TRANSCRIPT | {"speakers": TRANSCRIPT["speakers"][:1]}},
         "transcript.transcript.1.speaker_id", "No speaker has this id."),
        ({"transcript": TRANSCRIPT | {"speakers": TRANSCRIPT["speakers"][:1] * 2}},
         "transcript.speakers.1.id", "Another speaker has this id."),
        ({"transcript": TRANSCRIPT | {"transcript": []}}, "transcript.transcript",
         "Must have at least 1 item."),
        ({"notes": NOTES * 1001}, "notes", "Must have at most 1000 items."),
        ({"action_items": [{"action_item": "x", "email": ""}]}, "action_items.0.email",
         "Must be an e-mail address."),
    ],
)  # fmt: skip
def test_each_fault_is_told_by_field(changes: dict[str, Any], field: str, message: str) -> None:
    errors = told(**changes)
    assert errors[field][0] == message


def test_a_name_that_nobody_should_print_is_escaped_and_cut() -> None:
    [name] = told(**{"\x00é" + "x" * 500: 1})
    assert name.startswith("\\x00\\xe9x")
    assert len(name) == 60


def test_not_more_faults_are_told_than_somebody_would_read() -> None:
    errors = told(attendees=[{"email": "x", "response_status": "accepted"}] * 1000)
    assert len(errors) == fields.MAX_ERRORS


@given(JSON)
def test_any_json_is_a_meeting_or_a_list_of_faults(data: Any) -> None:
    with pytest.raises(InvalidMeeting) as caught:
        ingest.meeting(data)
    assert caught.value.fields
    assert json.dumps(caught.value.fields).isascii()


@given(st.sampled_from(sorted(ingest.MeetingInput.model_fields)), JSON)
def test_any_json_in_any_field_is_taken_or_told(field: str, data: Any) -> None:
    result = taken_or_told(sent(**{field: data}))
    if isinstance(result, ingest.MeetingInput):
        json.dumps(result.model_dump(mode="json"), allow_nan=False).encode()
    else:
        assert {name.partition(".")[0] for name in result} <= {field, "body", "end_at"}


def test_a_record_says_its_own_uuid() -> None:
    uuid, given = ingest.record(sent(uuid=str(MEETING)))
    assert (uuid, given.subject) == (MEETING, "Demo")
    with pytest.raises(InvalidMeeting) as caught:
        ingest.record(sent())
    assert caught.value.fields == {"uuid": ["This field is required."]}


@pytest.mark.parametrize(
    ("data", "label"),
    [
        ({"outcome": {"label": " Won "}}, "Won"),
        ({"outcome": {"label": "Won", "uuid": "whatever"}}, "Won"),
        ({"outcome": None}, None),
    ],
)
def test_an_outcome_is_a_label_or_nothing(data: Any, label: str | None) -> None:
    assert ingest.outcome(data) == label


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"outcome": "Won"},
        {"outcome": {}},
        {"outcome": {"label": ""}},
        {"outcome": {"label": None}},
        {"outcome": {"label": "\x00"}},
        {"outcome": {"label": "x" * 201}},
        {"outcome": {"label": "x", "colour": "red"}},
    ],
)
def test_a_bad_outcome_is_told_under_outcome(data: Any) -> None:
    with pytest.raises(InvalidMeeting) as caught:
        ingest.outcome(data)
    assert list(caught.value.fields) == ["outcome"]


def test_an_outcome_comes_alone() -> None:
    with pytest.raises(InvalidMeeting) as caught:
        ingest.outcome({"outcome": None, "subject": "x"})
    assert caught.value.fields == {"subject": ["There is no such field."]}
