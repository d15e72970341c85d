"""Which of Northwind's meetings were booked: some, and some of these moved or canceled."""

from collections import Counter
from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given, settings

from connector import demo_data
from connector.bookings.record import happened, merged
from connector.bookings.schemas import Booking
from tests.connector.bookings.support import BOOKED, CANCELED, RESCHEDULED
from tests.connector.demo_data.test_meetings import MOMENTS


@settings(max_examples=20)
@given(MOMENTS)
def test_there_is_each_of_the_three_and_all_agree_with_their_meetings(now: datetime) -> None:
    meetings = dict(demo_data.history(now))
    stored: dict[UUID, Booking] = {}
    told = Counter[str | None]()
    for uuid, sent in demo_data.booked(now):
        old = stored.get(uuid)
        stored[uuid] = merged(uuid, sent, old, now)
        told[happened(old, stored[uuid])] += 1
    assert told.keys() == {BOOKED, RESCHEDULED, CANCELED}
    assert min(told.values()) >= 2

    for booking in stored.values():
        meeting = meetings[booking.meeting_uuid]
        assert booking.event_start_time == meeting.start_at
        assert booking.is_private == meeting.is_private
        assert (booking.state == "canceled") == (meeting.state == "cancelled")
        assert booking.invitee_details.email in {one.email for one in meeting.attendees}
        assert not booking.invitee_details.email.endswith("@northwind.example")


def test_the_same_moment_gives_the_same_bookings() -> None:
    now = datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert list(demo_data.booked(now)) == list(demo_data.booked(now))
