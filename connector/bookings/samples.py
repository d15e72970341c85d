"""One made-up booking, of which every sample tells as the real bodies do."""

from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID

from connector.bookings import ingest
from connector.bookings.record import Happening, merged
from connector.bookings.schemas import Booking
from connector.meetings import samples

BOOKING = UUID("5c2f7b90-3d1e-4a68-9f42-7e0b8c6d1a35")
BOOKED = datetime(2026, 3, 9, 10, 12, 5, tzinfo=UTC)
CHANGED = datetime(2026, 3, 10, 8, 47, 30, tzinfo=UTC)

_GIVEN: dict[str, Any] = {
    "meeting_uuid": str(samples.MEETING),
    "state": "booked",
    "is_private": False,
    "subject": "Product demo: Harbour Logistics",
    "purpose": "Product demo",
    "event_start_time": "2026-03-12T15:00:00Z",
    "event_end_time": "2026-03-12T15:30:00Z",
    "conference_link": "https://meet.example/harbour-demo",
    "scheduling_page_link": "https://book.northwind.example/mira/product-demo",
    "organizer_email": "mira.lindqvist@northwind.example",
    "organizer_timezone": "Europe/Stockholm",
    "booker_email": "jonas.weber@northwind.example",
    "invitee_details": {
        "email": "tom.okafor@harbour-logistics.example",
        "name": "Tom Okafor",
        "tz": "Europe/London",
        "locale": "en",
    },
    "invitee_responses": [
        {"question": "What would you like to see?", "response": "How late changes are handled."}
    ],
}
_CHANGES: dict[Happening, dict[str, Any]] = {
    "MEETING_BOOKED_VIA_SCHEDULER": {},
    "MEETING_BOOKED_VIA_SCHEDULER_CANCELED": {
        "state": "canceled",
        "cancel_reason": "We have to move our release first.",
    },
    "MEETING_BOOKED_VIA_SCHEDULER_RESCHEDULED": {
        "event_start_time": "2026-03-13T09:00:00Z",
        "event_end_time": "2026-03-13T09:30:00Z",
    },
}


@cache
def booking(happening: Happening) -> Booking:
    """Return the made-up booking as it is after this has happened to it."""
    booked = merged(BOOKING, ingest.booking(_GIVEN), None, BOOKED)
    return merged(BOOKING, ingest.booking(_GIVEN | _CHANGES[happening]), booked, CHANGED)
