"""What happened to a booking, as the bytes that are pushed, and the event types for the catalogue.

Pure: a booking in, a body out.
"""

import json
from functools import cache

from connector.bookings import payloads, samples
from connector.bookings.payloads import SchedulerEvent
from connector.bookings.record import Happening
from connector.bookings.schemas import Booking, Scheduled
from connector.meetings.payloads import schema
from webhooks.catalog import EventType

#: Who reads meetings sees who meets whom, and when; a booking tells no more.
NEEDS = frozenset({"meetings:read"})

#: What a subscription may do without: whatever the invitee was asked, and has answered.
PARTS = {"invitee_responses": frozenset({"invitee_responses"})}

#: Body, title, and when it is sent.
_KINDS: dict[Happening, tuple[type[SchedulerEvent], str, str]] = {
    "MEETING_BOOKED_VIA_SCHEDULER": (
        payloads.Booked,
        "Meeting Booked",
        "Sent when somebody has booked a meeting on a scheduling page.",
    ),
    "MEETING_BOOKED_VIA_SCHEDULER_CANCELED": (
        payloads.Canceled,
        "Booking Canceled",
        "Sent when a meeting that was booked on a scheduling page is canceled.",
    ),
    "MEETING_BOOKED_VIA_SCHEDULER_RESCHEDULED": (
        payloads.Rescheduled,
        "Booking Rescheduled",
        "Sent when a meeting that was booked on a scheduling page is moved to another time.",
    ),
}


@cache
def event_types() -> tuple[EventType, ...]:
    """Return the event types of bookings, each with its schema and a made-up sample."""
    return tuple(
        EventType(
            name=name,
            title=title,
            summary=summary,
            schema=schema(payload),
            sample=json.loads(body(name, samples.booking(name))),
            scopes=NEEDS,
            parts=PARTS,
        )
        for name, (payload, title, summary) in _KINDS.items()
    )


def event_type(happening: Happening) -> EventType:
    """Return one of them."""
    return next(one for one in event_types() if one.name == happening)


def body(happening: Happening, booking: Booking) -> bytes:
    """Return the body of an event as compact JSON in UTF-8."""
    kind, *_ = _KINDS[happening]
    payload = kind(**{field: getattr(booking, field) for field in Scheduled.model_fields})
    return json.dumps(payload.to_json(), ensure_ascii=False, separators=(",", ":")).encode()
