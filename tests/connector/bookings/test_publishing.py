"""What is told of a booking goes to those who may see it, always by how things are at present."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from connector.app import Parts
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.models import Organization, Role, User
from keystore.scopes import DataScope
from tests.connector.api.conftest import AddCaller
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
from tests.connector.meetings.support import read as meeting
from tests.support.receiver import Receiver
from webhooks.models import Audience, AudiencePerson

ALL_THREE = [BOOKED, CANCELED, RESCHEDULED]
WITHOUT_PRIVATE = DataScope.ORG_NON_PRIVATE
AddUser = Callable[[str, Role], User]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def audience(pages: Pages) -> tuple[bool, str | None, set[str]] | None:
    """Return what is known of the booking's: (private, attributed, people)."""
    with pages.database.session() as session, session.begin():
        found = session.scalars(
            select(Audience).where(Audience.subject == f"booking:{BOOKING}")
        ).one_or_none()
        if found is None:
            return None
        people = select(AudiencePerson.person).where(AudiencePerson.audience_id == found.id)
        return found.private, found.attributed, set(session.scalars(people))


def subscribe(caller: FlaskClient, receiver: Receiver, path: str, **more: Any) -> dict[str, Any]:
    answer = caller.post(
        "/v1/webhooks/",
        json={"event_types": ALL_THREE, "target_url": receiver.url() + path, **more},
    )
    assert answer.status_code == 201, answer.data
    made: dict[str, Any] = answer.get_json()
    return made


Send = Callable[[], None]


@pytest.fixture
def send(parts: Parts, clock: ManualClock) -> Iterator[Send]:
    """Let a worker send all that was published."""
    worker = parts.worker()

    def send() -> None:
        clock.advance(1)
        while worker.run_once():
            pass

    yield send
    worker.close()


def arrived(receiver: Receiver, path: str) -> list[str]:
    found = [json.loads(one.body) for one in receiver.requests if one.path.endswith(path)]
    return sorted(one["event_type"] for one in found)


def test_the_whole_story_arrives_at_a_real_receiver(
    api: FlaskClient, send: Send, receiver: Receiver
) -> None:
    made = subscribe(api, receiver, "all")
    assert made["target_type"] == 2, "the contract's pairing"
    path = f"/v1/bookings/{BOOKING}/"
    for changes in ({}, {}, MOVED, MOVED, MOVED | OFF, MOVED | OFF):
        assert api.put(path, json=sent(**changes)).status_code in {200, 201}
        send()

    bodies = [json.loads(one.body) for one in receiver.requests]
    assert [
        (one["event_type"], one["event_start_time"], one["cancel_reason"]) for one in bodies
    ] == [
        (BOOKED, "2026-01-10T09:00:00Z", None),
        (RESCHEDULED, "2026-01-11T14:00:00Z", None),
        (CANCELED, "2026-01-11T14:00:00Z", "Ill"),
    ]
    assert {one["uuid"] for one in bodies} == {str(BOOKING)}


def test_a_personal_key_hears_of_its_person_s_bookings_alone(
    pages: Pages, add_caller: AddCaller, add_user: AddUser, send: Send, receiver: Receiver
) -> None:
    scopes = ("meetings:read", "webhooks:manage")
    for name in ("Ana", "Cal", "Mel"):
        user = add_user(name, Role.MEMBER)
        caller = add_caller(*scopes, data=DataScope.USER_FULL, owner_id=user.id)
        subscribe(caller, receiver, name)
    subscribe(add_caller(*scopes), receiver, "everything")

    pages.book()
    send()

    assert arrived(receiver, "Ana") == arrived(receiver, "Cal") == [BOOKED]
    assert arrived(receiver, "everything") == [BOOKED]
    assert arrived(receiver, "Mel") == []


def test_what_is_private_is_not_for_keys_that_see_nothing_private(
    pages: Pages, add_caller: AddCaller, send: Send, receiver: Receiver
) -> None:
    caller = add_caller("meetings:read", "webhooks:manage", data=WITHOUT_PRIVATE)
    subscribe(caller, receiver, "open")
    pages.book(is_private=True)
    send()
    assert arrived(receiver, "open") == []
    pages.book(**MOVED)
    send()
    assert arrived(receiver, "open") == [RESCHEDULED]


def test_a_subscription_of_teams_gets_what_somebody_in_them_organizes(
    api: FlaskClient,
    parts: Parts,
    pages: Pages,
    organization: Organization,
    member: User,
    send: Send,
    receiver: Receiver,
) -> None:
    where = {"organization_id": organization.id, "actor": SYSTEM}
    with parts.services.db.session() as session:
        team = parts.services.teams.create(session, "Sales", **where)  # type: ignore[arg-type]
        parts.services.teams.set_members(session, team.id, [member.id], **where)  # type: ignore[arg-type]
    subscribe(api, receiver, "sales", teams=[str(team.id)])
    pages.book(booker_email=member.email)
    pages.book(uuid4(), organizer_email="Mel@Northwind.example")
    send()
    [told] = [json.loads(one.body) for one in receiver.requests]
    assert told["organizer_email"] == "Mel@Northwind.example"


def test_nobody_hears_of_bookings_who_may_not_read_meetings(add_caller: AddCaller) -> None:
    body = {"event_types": ALL_THREE, "target_url": "https://hooks.zapier.com/1"}
    refused = add_caller("webhooks:manage", "notes:read").post("/v1/webhooks/", json=body)
    assert (refused.status_code, "meetings:read" in refused.text) == (403, True)


def test_an_event_is_for_those_whom_the_booking_is_about(pages: Pages) -> None:
    pages.book(
        organizer_email="Ana@Northwind.EXAMPLE", invitee_details={"email": "Große@x.example"}
    )
    people = {ANA, CAL, "große@x.example", "grosse@x.example"}
    assert audience(pages) == (False, ANA, people)


def test_a_booking_that_changes_takes_its_events_along(pages: Pages) -> None:
    pages.book()
    assert audience(pages) == (False, ANA, {ANA, BEN, CAL})
    pages.book(is_private=True, booker_email=None)
    assert audience(pages) == (True, ANA, {ANA, BEN})
    pages.book(organizer_email=CAL)
    assert audience(pages) == (False, CAL, {BEN, CAL})
    assert [kind for kind, _ in pages.events()] == [BOOKED], "nothing of this is an event"


def test_a_meeting_that_turns_private_takes_its_bookings_along(pages: Pages) -> None:
    other = uuid4()
    pages.put(is_private=True)
    pages.book(meeting_uuid=str(other))
    assert audience(pages) == (False, ANA, {ANA, BEN, CAL}), "of another meeting, as yet unknown"
    pages.put(other)
    pages.put(other, is_private=True)
    assert audience(pages) == (True, ANA, {ANA, BEN, CAL})
    pages.put(other)
    assert audience(pages) == (False, ANA, {ANA, BEN, CAL})
    pages.book()
    assert audience(pages) == (True, ANA, {ANA, BEN, CAL}), "moved to a private one"
    pages.put(is_private=False)
    assert audience(pages) == (False, ANA, {ANA, BEN, CAL})


def test_a_private_booking_stays_so_whatever_its_meeting_is(pages: Pages) -> None:
    pages.book(is_private=True)
    for is_private in (True, False):
        pages.put(is_private=is_private)
        assert audience(pages) == (True, ANA, {ANA, BEN, CAL})


def test_a_meeting_that_comes_in_later_in_silence_and_is_private_hides_its_booking(
    pages: Pages,
) -> None:
    pages.book()
    with pages.database.session() as session:
        records = [(MEETING, meeting(is_private=True))]
        pages.meetings.save_many(session, pages.sight, records, publish=False)
    assert audience(pages) == (True, ANA, {ANA, BEN, CAL})


def test_history_that_nobody_is_told_of_changes_what_was_told_before(pages: Pages) -> None:
    def silently(**changes: object) -> None:
        with pages.database.session() as session:
            pages.bookings.save_many(
                session, pages.sight, [(BOOKING, read(**changes))], publish=False
            )

    silently()
    assert audience(pages) is None
    pages.book(**MOVED)
    silently(**MOVED, is_private=True)
    assert audience(pages) == (True, ANA, {ANA, BEN, CAL})
