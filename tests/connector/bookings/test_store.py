"""The story of a booking: made, moved, called off; each step told once, to no stranger."""

import json
import threading
from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest

from connector.app import Parts
from connector.bookings.errors import BookingNotFound
from connector.bookings.ingest import BookingInput
from connector.meetings.batches import Totals
from connector.meetings.sight import Sight
from keystore.accounts import Accounts
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.models import Organization
from tests.connector.bookings.support import (
    BOOKED,
    BOOKING,
    CAL,
    CANCELED,
    MOVED,
    OFF,
    RESCHEDULED,
    Pages,
    read,
    sent,
)
from tests.connector.meetings.support import ANA, BEN, MEETING

SUBJECT = f"booking:{BOOKING}"


def kinds(pages: Pages) -> list[str]:
    return [kind for kind, _ in pages.events()]


def test_a_new_booking_is_kept_whole_and_told(pages: Pages, clock: ManualClock) -> None:
    made = pages.book()
    assert (made.created, made.changed) == (True, True)
    shown = made.booking.to_json()
    moments = {name: shown.pop(name) for name in ("created", "modified")}
    assert set(moments.values()) == {"2026-01-01T00:00:00Z"}
    assert shown == {"uuid": str(BOOKING), **sent()}
    assert pages.events() == [(BOOKED, SUBJECT)]


def test_the_same_again_changes_and_tells_nothing(pages: Pages, clock: ManualClock) -> None:
    made = pages.book()
    clock.advance(60)
    again = pages.book(created="whenever")
    assert (again.created, again.changed, again.booking) == (False, False, made.booking)
    assert kinds(pages) == [BOOKED]


def test_a_booking_is_moved_and_called_off_and_each_is_told_once(
    pages: Pages, clock: ManualClock
) -> None:
    pages.book()
    for changes in (MOVED, MOVED, MOVED | {"subject": "Renamed"}, OFF | MOVED, OFF | MOVED):
        clock.advance(60)
        pages.book(**changes)
    assert kinds(pages) == [BOOKED, RESCHEDULED, CANCELED]
    [moved] = map(json.loads, pages.bodies(RESCHEDULED))
    assert moved["event_start_time"] == MOVED["event_start_time"]
    assert (moved["created"], moved["modified"]) == ("2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z")
    [off] = map(json.loads, pages.bodies(CANCELED))
    assert (off["cancel_reason"], off["modified"]) == ("Ill", "2026-01-01T00:04:00Z")


def test_organizations_neither_see_nor_touch_each_other_s(
    pages: Pages, parts: Parts, accounts: Accounts
) -> None:
    with parts.services.db.session() as session:
        other = accounts.create_organization(session, name="Southwind", actor=SYSTEM)
    theirs = Pages(parts, other.id)
    pages.book()
    assert theirs.book(subject="Ours, not yours").created, "as if nobody else had this uuid"
    assert not pages.book().changed
    assert kinds(pages) == kinds(theirs) == [BOOKED]


def test_many_bookings_are_saved_and_a_later_record_changes_an_earlier_one(pages: Pages) -> None:
    records = [(uuid4(), read()) for _ in range(20)]
    records += [(BOOKING, read()), (BOOKING, read(**MOVED)), (BOOKING, read(**MOVED))]
    with pages.database.session() as session:
        totals = pages.bookings.save_many(session, pages.sight, records)
    assert totals == Totals(created=21, changed=1, unchanged=1)
    assert sorted(kinds(pages)) == [BOOKED] * 21 + [RESCHEDULED]


def test_a_batch_is_saved_whole_or_not_at_all(pages: Pages) -> None:
    def records() -> Iterator[tuple[UUID, BookingInput]]:
        for _ in range(501):
            yield uuid4(), read()
        yield BOOKING, read()
        raise RuntimeError("line 503 is bad")

    with pytest.raises(RuntimeError), pages.database.session() as session:
        pages.bookings.save_many(session, pages.sight, records())
    assert pages.events() == []
    assert pages.book().created


def test_a_batch_can_be_saved_in_silence(pages: Pages) -> None:
    records = [(BOOKING, read()), (BOOKING, read(**MOVED)), (BOOKING, read(**OFF))]
    with pages.database.session() as session:
        pages.bookings.save_many(session, pages.sight, records, publish=False)
    assert pages.events() == []
    assert not pages.book(**OFF).changed


def test_writers_at_the_same_time_make_one_booking_and_one_event(pages: Pages) -> None:
    """Eight at once, beside one who writes the meeting: nobody fails."""
    start = threading.Barrier(9)
    results: list[tuple[bool, bool]] = []

    def book() -> None:
        start.wait()
        saved = pages.book()
        results.append((saved.created, saved.changed))

    def meet() -> None:
        start.wait()
        pages.put(is_private=True)

    threads = [threading.Thread(target=book) for _ in range(8)] + [threading.Thread(target=meet)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [(False, False)] * 7 + [(True, True)]
    assert [kind for kind in kinds(pages) if kind == BOOKED] == [BOOKED]


@pytest.mark.parametrize("person", [ANA, BEN, CAL])
def test_who_sees_less_than_all_changes_what_is_in_sight_and_adds_nothing(
    pages: Pages, parts: Parts, organization: Organization, person: str
) -> None:
    own = Pages(parts, organization.id, Sight(organization.id, person))
    with pytest.raises(BookingNotFound):
        own.book()
    pages.book()
    assert own.book(**MOVED).changed
    assert kinds(pages) == [BOOKED, RESCHEDULED]


@pytest.mark.parametrize(
    "sight",
    [
        lambda organization: Sight(organization.id, "mel@northwind.example"),
        lambda organization: Sight(organization.id, ANA, private=False),
        lambda organization: Sight(organization.id, private=False),
    ],
    ids=["another person", "a person without private ones", "all without private ones"],
)
@pytest.mark.parametrize("by", ["itself", "its meeting"])
def test_what_is_out_of_sight_is_not_there(
    pages: Pages, parts: Parts, organization: Organization, sight: object, by: str
) -> None:
    assert callable(sight)
    narrow = Pages(parts, organization.id, sight(organization))
    pages.put(MEETING, is_private=by == "its meeting")
    made = pages.book(is_private=by == "itself")
    with pytest.raises(BookingNotFound):
        narrow.book(**MOVED)
    assert pages.book(is_private=by == "itself").booking == made.booking
