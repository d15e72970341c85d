"""What scheduling pages send, for stories about bookings."""

from typing import Any
from uuid import UUID

from connector.app import Parts
from connector.bookings import ingest
from connector.bookings.ingest import BookingInput
from connector.bookings.store import Saved
from connector.meetings.sight import Sight
from keystore.audit import SYSTEM
from tests.connector.meetings.support import ANA, BEN, MEETING, Product

BOOKING = UUID("c4d2a1b3-0000-4000-8000-000000000001")
CAL = "cal@northwind.example"
BOOKED = "MEETING_BOOKED_VIA_SCHEDULER"
CANCELED = "MEETING_BOOKED_VIA_SCHEDULER_CANCELED"
RESCHEDULED = "MEETING_BOOKED_VIA_SCHEDULER_RESCHEDULED"
MOVED = {"event_start_time": "2026-01-11T14:00:00Z", "event_end_time": "2026-01-11T14:30:00Z"}
OFF: dict[str, Any] = {"state": "canceled", "cancel_reason": "Ill"}


def sent(**changes: Any) -> dict[str, Any]:
    """Return a booking as a product sends it: Ben gets a demo by Ana, which Cal has booked."""
    return {
        "meeting_uuid": str(MEETING),
        "state": "booked",
        "is_private": False,
        "subject": "Demo for Ben",
        "purpose": "Demo",
        "event_start_time": "2026-01-10T09:00:00Z",
        "event_end_time": "2026-01-10T09:30:00Z",
        "conference_link": "https://meet.example/1",
        "scheduling_page_link": "https://book.northwind.example/ana",
        "organizer_email": ANA,
        "organizer_timezone": "Europe/Berlin",
        "booker_email": CAL,
        "cancel_reason": None,
        "invitee_details": {"email": BEN, "name": "Ben", "tz": "Europe/Paris", "locale": "fr"},
        "invitee_responses": [{"question": "Why?", "response": "Curious."}],
    } | changes


def read(**changes: Any) -> BookingInput:
    """Return the same, read."""
    return ingest.booking(sent(**changes))


class Pages(Product):
    """A product with scheduling pages; every call is a transaction of its own."""

    def __init__(self, parts: Parts, organization_id: UUID, sight: Sight | None = None) -> None:
        super().__init__(parts.services.db, parts.meetings, organization_id)
        self.bookings = parts.bookings
        self.sight = sight or self.sight

    def book(self, uuid: UUID = BOOKING, /, **changes: Any) -> Saved:
        with self.database.session() as session:
            return self.bookings.save(session, self.sight, uuid, read(**changes), SYSTEM)
