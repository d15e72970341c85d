"""Bodies of the scheduler events: the contract's fields and types, in the samples as in earnest."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from connector.bookings import events
from connector.bookings.record import Happening, merged
from connector.bookings.samples import BOOKED as NOW
from tests.connector.bookings.support import BOOKED, BOOKING, CANCELED, OFF, RESCHEDULED, read
from tests.connector.meetings.support import BEN, MEETING
from webhooks.catalog import EventType

STRING, DATE_TIME = {"type": "string"}, {"type": "string", "format": "date-time"}
UUID, EMAIL = {"type": "string", "format": "uuid"}, {"type": "string", "format": "email"}
MAYBE = {"anyOf": [STRING, {"type": "null"}]}
#: SchedulerEvent as section 3.7 of the contract has it, but for `event_type`, in its order.
CONTRACT: dict[str, Any] = {
    "event_label": MAYBE,
    "uuid": UUID,
    "meeting_uuid": UUID,
    "subject": STRING,
    "purpose": MAYBE,
    "event_start_time": DATE_TIME,
    "event_end_time": DATE_TIME,
    "created": DATE_TIME,
    "modified": DATE_TIME,
    "conference_link": STRING,
    "scheduling_page_link": STRING,
    "organizer_email": EMAIL,
    "organizer_timezone": STRING,
    "booker_email": MAYBE,
    "cancel_reason": MAYBE,
    "invitee_details": {"email": EMAIL, "name": STRING, "tz": STRING, "locale": STRING},
    "invitee_responses": [{"question": STRING, "response": STRING}],
}

event_types = pytest.mark.parametrize(
    "event_type", events.event_types(), ids=lambda event_type: event_type.name
)


def body(name: Happening = "MEETING_BOOKED_VIA_SCHEDULER", **changes: Any) -> dict[str, Any]:
    booking = merged(BOOKING, read(**changes), None, NOW)
    found: dict[str, Any] = json.loads(events.body(name, booking))
    return found


def check(event_type: EventType, body: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(event_type.schema)
    Draft202012Validator(
        event_type.schema, format_checker=Draft202012Validator.FORMAT_CHECKER
    ).validate(body)


def plain(schema: dict[str, Any], part: dict[str, Any]) -> Any:
    """Return a part of a schema as `CONTRACT` writes it: types and formats, and nothing else."""
    if "$ref" in part:
        part = schema["$defs"][part["$ref"].rpartition("/")[2]]
    if part.get("type") == "array":
        return [plain(schema, part["items"])]
    if part.get("type") == "object":
        return {name: plain(schema, one) for name, one in part["properties"].items()}
    return {name: part[name] for name in ("type", "format", "anyOf") if name in part}


def test_the_contract_s_three_types_are_offered() -> None:
    assert [one.name for one in events.event_types()] == [BOOKED, CANCELED, RESCHEDULED]


@event_types
def test_fields_and_types_are_the_contract_s(event_type: EventType) -> None:
    properties = event_type.schema["properties"]
    assert list(properties) == ["event_type", *CONTRACT]
    assert properties["event_type"]["const"] == event_type.name
    told = {name: plain(event_type.schema, part) for name, part in properties.items()}
    assert {name: told[name] for name in CONTRACT} == CONTRACT


@event_types
def test_a_sample_is_what_would_be_sent(event_type: EventType) -> None:
    check(event_type, event_type.sample)
    assert event_type.sample.keys() == {"event_type", *CONTRACT}
    assert event_type.sample["event_type"] == event_type.name
    is_off = event_type.name == CANCELED
    assert (event_type.sample["cancel_reason"] is not None) == is_off
    assert (event_type.sample["created"] == event_type.sample["modified"]) == (
        event_type.name == BOOKED
    )


@event_types
def test_every_scheduler_event_validates_with_much_or_little_in_it(event_type: EventType) -> None:
    name: Happening = event_type.name  # type: ignore[assignment]  # all of ours are
    bare: dict[str, Any] = {
        "purpose": None,
        "conference_link": None,
        "scheduling_page_link": None,
        "organizer_timezone": None,
        "booker_email": None,
        "invitee_details": {"email": BEN},
        "invitee_responses": [],
    }
    for changes in ({}, bare, OFF):
        check(event_type, body(name, **changes))
    never_null = {"conference_link", "scheduling_page_link", "organizer_timezone"}
    assert not never_null & body(name, **bare).keys()
    assert body(name, **bare)["invitee_details"] == {"email": BEN}


def test_a_body_tells_of_the_booking_and_of_nothing_else() -> None:
    told = body("MEETING_BOOKED_VIA_SCHEDULER_CANCELED", **OFF)
    assert (told["uuid"], told["meeting_uuid"]) == (str(BOOKING), str(MEETING))
    assert (told["event_type"], told["event_label"]) == (CANCELED, "Booking canceled")
    assert told["purpose"] == "Demo", "a plain text here, and no object"
    assert told["cancel_reason"] == "Ill"
    assert not {"state", "is_private"} & told.keys()


def test_a_body_is_compact_utf_8() -> None:
    booking = merged(BOOKING, read(subject="Ünïcode ☕"), None, NOW)
    text = events.body("MEETING_BOOKED_VIA_SCHEDULER", booking)
    assert '"subject":"Ünïcode ☕",'.encode() in text


@event_types
def test_the_invitee_s_answers_can_be_left_out_and_nothing_else(event_type: EventType) -> None:
    whole = event_type.sample
    cut = event_type.cut(json.dumps(whole).encode(), "invitee_responses")
    assert cut is not None
    assert json.loads(cut) == {
        name: value for name, value in whole.items() if name != "invitee_responses"
    }
