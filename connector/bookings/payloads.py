"""The bodies of the contract's three scheduler events (meetings API, section 3.7)."""

from typing import Literal

from connector.bookings.schemas import Scheduled
from connector.meetings.payloads import Event


class SchedulerEvent(Scheduled, Event):
    """What all three tell: the booking as it is now, with the event's name before it."""


class Booked(SchedulerEvent):
    """The body of MEETING_BOOKED_VIA_SCHEDULER."""

    event_type: Literal["MEETING_BOOKED_VIA_SCHEDULER"] = "MEETING_BOOKED_VIA_SCHEDULER"
    event_label: str | None = "Meeting booked"


class Canceled(SchedulerEvent):
    """The body of MEETING_BOOKED_VIA_SCHEDULER_CANCELED."""

    event_type: Literal["MEETING_BOOKED_VIA_SCHEDULER_CANCELED"] = (
        "MEETING_BOOKED_VIA_SCHEDULER_CANCELED"
    )
    event_label: str | None = "Booking canceled"


class Rescheduled(SchedulerEvent):
    """The body of MEETING_BOOKED_VIA_SCHEDULER_RESCHEDULED."""

    event_type: Literal["MEETING_BOOKED_VIA_SCHEDULER_RESCHEDULED"] = (
        "MEETING_BOOKED_VIA_SCHEDULER_RESCHEDULED"
    )
    event_label: str | None = "Booking rescheduled"
