"""Which of Northwind's meetings were booked on a scheduling page, and what became of these."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID, uuid5

from connector.bookings import ingest
from connector.bookings.ingest import BookingInput
from connector.demo_data.meetings import NAMESPACE, history
from connector.demo_data.people import DOMAIN
from connector.meetings.ingest import MeetingInput

AHEAD = 8
MOVED = 2  # of these
CANCELED = 3
AN_HOUR = timedelta(hours=1)


def booked(now: datetime) -> Iterator[tuple[UUID, BookingInput]]:
    """Yield bookings of some of the meetings of `demo_data.history`, one record for each change."""
    customers = [
        (uuid, one) for uuid, one in history(now) if not one.is_internal and not one.is_call
    ]
    ahead = [(uuid, one) for uuid, one in customers if one.state == "scheduled"]
    for number, (uuid, one) in enumerate(ahead[:AHEAD]):
        if number < MOVED:
            yield _booking(uuid, one, earlier=AN_HOUR)
        yield _booking(uuid, one)
    gone = ((uuid, one) for uuid, one in customers if one.state == "cancelled")
    for uuid, one in islice(gone, CANCELED):
        yield _booking(uuid, one)
        yield _booking(uuid, one, state="canceled", cancel_reason="Something has come up.")


def _booking(
    meeting_uuid: UUID, meeting: MeetingInput, earlier: timedelta = timedelta(), **more: Any
) -> tuple[UUID, BookingInput]:
    guest = next(one for one in meeting.attendees if not one.email.endswith(f"@{DOMAIN}"))
    rep = meeting.organizer_email.partition("@")[0]
    given = {
        "meeting_uuid": str(meeting_uuid),
        "state": "booked",
        "is_private": meeting.is_private,
        "subject": meeting.subject,
        "purpose": meeting.purpose.label if meeting.purpose else None,
        "event_start_time": meeting.start_at and meeting.start_at - earlier,
        "event_end_time": meeting.end_at and meeting.end_at - earlier,
        "conference_link": meeting.url,
        "scheduling_page_link": f"https://book.{DOMAIN}/{rep}",
        "organizer_email": meeting.organizer_email,
        "organizer_timezone": "Europe/Stockholm",
        "invitee_details": {
            "email": guest.email,
            "name": guest.name,
            "tz": "Europe/London",
            "locale": "en",
        },
        "invitee_responses": [
            {"question": "What would you like to talk about?", "response": meeting.subject}
        ],
    }
    return uuid5(NAMESPACE, f"booking of {meeting_uuid}"), ingest.booking(given | more)
