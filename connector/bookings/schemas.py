"""A booking as it leaves us: what the contract's SchedulerEvent tells (meetings API, section 3.7).

Fields that may not be null there, and that we know nothing of, are left out.
"""

from typing import Literal
from uuid import UUID

from pydantic import Field

from connector.meetings.schemas import Email, LeftOut, Moment, Shape

#: The contract's events say `CANCELED`, and its meetings `cancelled`; each keeps its spelling.
State = Literal["booked", "canceled"]


class Invitee(Shape):
    """Whom the meeting was booked for, on the scheduling page."""

    email: Email
    name: LeftOut[str] = None
    tz: LeftOut[str] = Field(default=None, description="Time zone, such as Europe/Berlin")
    locale: LeftOut[str] = None


class InviteeResponse(Shape):
    """One question of the scheduling page, and what was answered."""

    question: str
    response: str


class Scheduled(Shape):
    """The fields of the contract's SchedulerEvent that tell of the booking itself, in its order.

    `created` is the moment of the booking in all three events. The published description says so
    of the first alone, and of the others "the event", which is what it also calls a booking.
    """

    uuid: UUID = Field(description="The booking")
    meeting_uuid: UUID = Field(description="The meeting that was booked")
    subject: str
    purpose: str | None
    event_start_time: Moment
    event_end_time: Moment
    created: Moment = Field(description="When it was booked")
    modified: Moment = Field(description="When it was last moved, canceled or changed otherwise")
    conference_link: LeftOut[str] = None
    scheduling_page_link: LeftOut[str] = None
    organizer_email: Email
    organizer_timezone: LeftOut[str] = None
    booker_email: str | None = Field(description="Who has booked it, if not the invitee")
    cancel_reason: str | None
    invitee_details: Invitee
    invitee_responses: list[InviteeResponse]


class Booking(Scheduled):
    """A booking as the API answers with it."""

    state: State
    is_private: bool = Field(description="Only for those who take part")
