"""What may come in as a booking, and what is told about what may not."""

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.bookings import ingest
from connector.bookings.errors import InvalidBooking
from connector.meetings.errors import FieldErrors
from tests.connector.bookings.support import BOOKING, OFF, sent
from tests.connector.meetings.support import BEN
from tests.connector.meetings.test_ingest import JSON


def told(**changes: Any) -> dict[str, Any]:
    """Return the field errors for a booking with these changes."""
    with pytest.raises(InvalidBooking) as caught:
        ingest.booking(sent(**changes))
    return {name: list(messages) for name, messages in caught.value.fields.items()}


def test_the_least_that_makes_a_booking() -> None:
    with pytest.raises(InvalidBooking) as caught:
        ingest.booking({})
    required = {
        "meeting_uuid",
        "state",
        "is_private",
        "subject",
        "event_start_time",
        "event_end_time",
        "organizer_email",
        "invitee_details",
    }
    assert caught.value.fields == {name: ["This field is required."] for name in required}
    least = {name: value for name, value in sent().items() if name in required}
    assert ingest.booking(least | {"invitee_details": {"email": BEN}}).invitee_responses == []


def test_what_the_server_sets_is_ignored_whatever_it_holds() -> None:
    hostile = {name: [{"\x00": float("nan")}] for name in ("uuid", "created", "modified")}
    assert ingest.booking(sent(**hostile)) == ingest.booking(sent())


def test_each_fault_is_told_by_its_field() -> None:
    wrong = {
        "state": "cancelled",
        "is_private": "no",
        "organizer_email": "ana",
        "booker_email": "cal",
        "conference_link": "javascript:alert(1)",
        "invitee_details": {"email": BEN, "phone": "1"},
        "invitee_responses": [{"question": "Why?"}],
        "event_type": "MEETING_BOOKED_VIA_SCHEDULER",
    }
    assert told(**wrong).keys() == {
        *(wrong.keys() - {"invitee_details", "invitee_responses"}),
        "invitee_details.phone",
        "invitee_responses.0.response",
    }


def test_rules_between_fields_are_told_too() -> None:
    assert told(event_end_time="2026-01-10T08:59:59Z", cancel_reason="Ill") == {
        "event_end_time": ["Must not be before event_start_time."],
        "cancel_reason": ["Only a booking that is canceled has one."],
    }
    assert ingest.booking(sent(**OFF)).cancel_reason == "Ill"


def test_a_line_of_a_file_says_its_own_uuid() -> None:
    uuid, found = ingest.record(sent(uuid=str(BOOKING)))
    assert (uuid, found) == (BOOKING, ingest.booking(sent()))
    for wrong in ({}, {"uuid": "1"}, {"uuid": None}):
        with pytest.raises(InvalidBooking) as caught:
            ingest.record(sent(**wrong))
        assert caught.value.fields.keys() == {"uuid"}


@given(JSON | st.dictionaries(st.sampled_from(sorted(sent())), JSON).map(lambda it: sent(**it)))
def test_any_json_is_taken_or_told_by_field(data: Any) -> None:
    found: UUID | FieldErrors | None
    try:
        found = ingest.booking(data).meeting_uuid
    except InvalidBooking as error:
        found = error.fields
    assert found
