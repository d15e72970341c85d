"""What becomes of a booking when a product writes again, and what of that is told. Pure."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from connector.bookings.ingest import BookingInput
from connector.bookings.schemas import Booking
from connector.meetings.fields import fold_email
from connector.meetings.sight import Sight

Happening = Literal[
    "MEETING_BOOKED_VIA_SCHEDULER",
    "MEETING_BOOKED_VIA_SCHEDULER_CANCELED",
    "MEETING_BOOKED_VIA_SCHEDULER_RESCHEDULED",
]


def merged(uuid: UUID, given: BookingInput, old: Booking | None, now: datetime) -> Booking:
    """Return the booking after this write: `old` itself when nothing changes by it."""
    told = given.model_dump(exclude={"uuid", "created", "modified"})
    created, modified = (old.created, old.modified) if old else (now, now)
    new = Booking(uuid=uuid, created=created, modified=modified, **told)
    if old is None:
        return new
    return old if new == old else new.model_copy(update={"modified": now})


def happened(old: Booking | None, new: Booking) -> Happening | None:
    """Return which event this change is, if it is one.

    Of what is moved and canceled in one go only the latter is told. What was canceled and stands
    again is booked, as whoever heard of the end has to hear of that.
    """
    stood = old is not None and old.state == "booked"
    if new.state == "canceled":
        return "MEETING_BOOKED_VIA_SCHEDULER_CANCELED" if stood or old is None else None
    if old is None or not stood:
        return "MEETING_BOOKED_VIA_SCHEDULER"
    if _times(new) != _times(old):
        return "MEETING_BOOKED_VIA_SCHEDULER_RESCHEDULED"
    return None


def people(booking: Booking) -> tuple[str, ...]:
    """Return the addresses of those whom it is about, as they were sent."""
    found = (booking.organizer_email, booking.invitee_details.email, booking.booker_email)
    return tuple(one.strip() for one in found if one)


def shows(sight: Sight, booking: Booking, *, private: bool) -> bool:
    """Tell whether this booking of the organization is in sight.

    private: whether it is, or the meeting that was booked.
    """
    if private and not sight.private:
        return False
    return sight.person is None or sight.person in map(fold_email, people(booking))


def _times(booking: Booking) -> tuple[datetime, datetime]:
    return booking.event_start_time, booking.event_end_time
