"""What becomes of a booking, without a database."""

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from connector.bookings import record
from connector.bookings.record import happened, merged
from connector.bookings.samples import BOOKED as NOW
from connector.bookings.schemas import Booking
from connector.meetings.samples import ORGANIZATION
from connector.meetings.sight import Sight
from tests.connector.bookings.support import (
    BOOKED,
    BOOKING,
    CAL,
    CANCELED,
    MOVED,
    OFF,
    RESCHEDULED,
    read,
)
from tests.connector.meetings.support import ANA, BEN

LATER = NOW + timedelta(hours=1)
STEPS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=10)


def booking(old: Booking | None = None, **changes: Any) -> Booking:
    return merged(BOOKING, read(**changes), old, LATER if old else NOW)


def test_an_equal_write_gives_the_same_booking() -> None:
    old = booking()
    assert booking(old) is old
    changed = booking(old, subject="Another")
    assert (changed.created, changed.modified, changed.subject) == (NOW, LATER, "Another")


def test_each_change_is_at_most_one_event() -> None:
    new = booking()
    assert happened(None, new) == BOOKED
    assert happened(new, booking(new, subject="Another")) is None
    assert happened(new, booking(new, **MOVED)) == RESCHEDULED
    longer = booking(new, event_end_time="2026-01-10T10:00:00Z")
    assert happened(new, longer) == RESCHEDULED, "moved, if only at one end"
    assert happened(new, booking(new, **OFF)) == CANCELED
    assert happened(new, booking(new, **OFF, **MOVED)) == CANCELED, "and where it was moved is nil"


def test_what_is_off_cannot_move_but_may_stand_again() -> None:
    off = booking(**OFF)
    assert happened(None, off) == CANCELED, "its booking was missed; the end is told all the same"
    assert happened(off, booking(off, **OFF, **MOVED)) is None
    assert happened(off, booking(off, state="canceled", cancel_reason="Better now")) is None
    assert happened(off, booking(off)) == BOOKED


@given(STEPS)
def test_whoever_listens_knows_how_things_stand(steps: list[tuple[bool, bool]]) -> None:
    """From the events alone a receiver knows at any time whether it stands, and when it is."""
    old: Booking | None = None
    stands, start = False, None
    for off, moved in steps:
        new = booking(old, **(OFF if off else {}), **(MOVED if moved else {}))
        match happened(old, new):
            case "MEETING_BOOKED_VIA_SCHEDULER" | "MEETING_BOOKED_VIA_SCHEDULER_RESCHEDULED":
                stands, start = True, new.event_start_time
            case "MEETING_BOOKED_VIA_SCHEDULER_CANCELED":
                stands = False
            case None:
                pass
        assert stands == (new.state == "booked")
        assert not stands or start == new.event_start_time
        old = new


def test_it_is_seen_by_those_whom_it_is_about() -> None:
    def seen(person: str | None, *, all_private: bool = True, private: bool = False) -> bool:
        sight = Sight(ORGANIZATION, person, all_private)
        return record.shows(sight, booking(booker_email=f" {CAL.upper()}".strip()), private=private)

    assert [seen(one) for one in (None, ANA, BEN, CAL, "mel@northwind.example")] == [
        *(True, True, True, True),
        False,
    ]
    assert seen(ANA, private=True)
    assert not seen(ANA, all_private=False, private=True)
    assert not seen(None, all_private=False, private=True)
