"""What a product sends us about a booking: the contract's SchedulerEvent, strictly read.

Instead of the event's name it says how things stand (`state`), and whether the meeting is private.
All fields are replaced by each write; null and a missing key are the same.
"""

from typing import Any
from uuid import UUID

from pydantic import Field

from connector.bookings.errors import InvalidBooking
from connector.bookings.schemas import State
from connector.meetings import fields
from connector.meetings.ingest import Input


class InviteeInput(Input):
    """Whom the meeting was booked for."""

    email: fields.Email
    name: fields.Name | None = None
    tz: fields.Name | None = None
    locale: fields.Name | None = None


class InviteeResponseInput(Input):
    """One question of the scheduling page, and what was answered."""

    question: fields.Text
    response: fields.Text


class BookingInput(Input):
    """A booking as a product sends it."""

    meeting_uuid: fields.Uuid
    state: State
    is_private: bool
    subject: fields.Subject
    event_start_time: fields.Moment
    event_end_time: fields.Moment
    organizer_email: fields.Email
    invitee_details: InviteeInput
    purpose: fields.Label | None = None
    conference_link: fields.Url | None = None
    scheduling_page_link: fields.Url | None = None
    organizer_timezone: fields.Name | None = None
    booker_email: fields.Email | None = None
    cancel_reason: fields.Subject | None = None
    invitee_responses: list[InviteeResponseInput] = Field([], max_length=fields.MANY)

    uuid: fields.Ignored = None
    created: fields.Ignored = None
    modified: fields.Ignored = None


def booking(data: Any) -> BookingInput:
    """Read a booking from decoded JSON. Raises InvalidBooking with every field that is wrong."""
    given = fields.read(BookingInput, data, InvalidBooking)
    broken: dict[str, list[str]] = {}
    if given.event_end_time < given.event_start_time:
        broken["event_end_time"] = ["Must not be before event_start_time."]
    if given.cancel_reason is not None and given.state != "canceled":
        broken["cancel_reason"] = ["Only a booking that is canceled has one."]
    if broken:
        raise InvalidBooking(broken)
    return given


def record(data: Any) -> tuple[UUID, BookingInput]:
    """Read a booking that says its own uuid, as a line of an ingest file does.

    Raises InvalidBooking.
    """
    given = booking(data)
    return fields.read(fields.Identified, data, InvalidBooking).uuid, given
