"""An event reaches only a key that may see it, when it is published and again when it is sent."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.db import Database, writing
from keystore.grants import Grants
from keystore.keys import Issued, Keys
from keystore.models import Key, Organization, Role, User
from keystore.scopes import DEFAULT, DataScope, Rights
from tests.support.receiver import Answer, Receiver
from tests.support.statements import statements
from tests.webhooks.conftest import NOTE_READY, Publish, Subscribe
from webhooks import audiences, outbox
from webhooks.catalog import EventType
from webhooks.models import Delivery, DropReason
from webhooks.worker import Worker

ADA, MEL = "ada@northwind.example", "mel@northwind.example"
KEYS_EVENT = EventType("key.made", "", "", {}, {}, frozenset({"keys:manage"}))

Show = Callable[..., int]
Rescope = Callable[..., None]


@pytest.fixture
def show(database: Database, organization: Organization) -> Show:
    def show(*people: str, private: bool = False, subject: str = "note-1") -> int:
        with database.session() as session, writing(session):
            return audiences.show_to(
                session,
                organization_id=organization.id,
                subject=subject,
                people=people,
                private=private,
            )

    return show


@pytest.fixture
def rescope(
    database: Database, clock: ManualClock, organization: Organization, issued: Issued
) -> Rescope:
    def rescope(
        granted: frozenset[str] = DEFAULT,
        data: DataScope = DataScope.ORG_FULL,
        owner: User | None = None,
    ) -> None:
        with database.session() as session:
            Grants(clock).rescope(
                session,
                issued.key.id,
                organization_id=organization.id,
                granted=granted,
                data=data,
                owner_id=owner.id if owner else None,
                actor=SYSTEM,
            )

    return rescope


def outcomes(database: Database) -> list[tuple[str, str | None]]:
    with database.session() as session, session.begin():
        return [
            (one.state.value, one.dropped_because and one.dropped_because.value)
            for one in session.scalars(select(Delivery).order_by(Delivery.id))
        ]


def notes(receiver: Receiver) -> list[int]:
    return [json.loads(request.body)["note"] for request in receiver.requests]


@pytest.mark.parametrize(
    ("data", "seen"),
    [
        (DataScope.USER_NON_PRIVATE, [1]),
        (DataScope.USER_FULL, [1, 2]),
        (DataScope.ORG_NON_PRIVATE, [1, 3]),
        (DataScope.ORG_FULL, [1, 2, 3, 4]),
        (DataScope.LEGACY, [1, 2, 3, 4]),
    ],
)
def test_each_data_scope_gets_its_part_of_what_is_published(
    database: Database,
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    show: Show,
    worker: Worker,
    issued: Issued,
    member: User,
    organization: Organization,
    data: DataScope,
    seen: list[int],
) -> None:
    owner_id = member.id if data.is_personal else None
    with database.session() as session, writing(session):
        session.execute(update(Key).values(data_scope=data, owner_id=owner_id))
    subscribe(receiver.url())
    number = 0
    for people in ((ADA, MEL), (ADA,)):
        for private in (False, True):
            number += 1
            publish(number, audience=show(*people, private=private, subject=f"note-{number}"))
    worker.run_once()
    assert sorted(notes(receiver)) == seen
    assert outcomes(database) == [("delivered", None)] * len(seen)

    rights = Rights(DEFAULT, data, MEL if data.is_personal else None)
    with database.session() as session:
        recent = outbox.recent(session, organization.id, NOTE_READY.name, 9, rights)
        assert sorted(json.loads(event.body)["note"] for event in recent) == seen
        blind = Rights(frozenset({"webhooks:manage"}), data, rights.person)
        assert outbox.recent(session, organization.id, NOTE_READY.name, 9, blind) == []


def test_a_scope_that_shrinks_before_the_sending_stops_it(
    database: Database,
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    show: Show,
    rescope: Rescope,
    worker: Worker,
    member: User,
) -> None:
    subscribe(receiver.url())
    audience = show(ADA, private=True)
    for number, granted, data, owner in [
        (1, DEFAULT, DataScope.ORG_NON_PRIVATE, None),
        (2, DEFAULT, DataScope.USER_FULL, member),
        (3, DEFAULT - {"notes:read"}, DataScope.ORG_FULL, None),
        (4, DEFAULT - {"webhooks:manage"}, DataScope.ORG_FULL, None),
        (5, frozenset[str](), DataScope.ORG_FULL, None),
    ]:
        rescope()
        publish(number, audience=audience)
        rescope(granted, data, owner)
        worker.run_once()
    reasons = [DropReason.OUT_OF_SIGHT] * 2 + [DropReason.SCOPE_LACKING] * 3
    assert outcomes(database) == [("dropped", reason.value) for reason in reasons]
    rescope()
    worker.run_once()
    assert receiver.requests == [], "what was dropped stays so"


def test_a_retry_is_judged_anew(
    database: Database,
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    show: Show,
    rescope: Rescope,
    worker: Worker,
    clock: ManualClock,
) -> None:
    subscribe(receiver.url())
    receiver.then(Answer(500))
    publish(1, audience=show(private=True))
    worker.run_once()
    rescope(data=DataScope.ORG_NON_PRIVATE)
    clock.advance(timedelta(hours=1))
    worker.run_once()
    assert len(receiver.requests) == 1
    assert outcomes(database) == [("dropped", "out of sight")]


def test_a_subject_that_turns_private_takes_earlier_events_along(
    database: Database,
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    show: Show,
    rescope: Rescope,
    worker: Worker,
    organization: Organization,
) -> None:
    rescope(data=DataScope.ORG_NON_PRIVATE)
    subscribe(receiver.url())
    publish(1, audience=show(ADA))
    publish(2, audience=show(ADA, subject="note-2"))
    show(ADA, private=True)
    worker.run_once()
    assert notes(receiver) == [2]
    assert outcomes(database) == [("dropped", "out of sight"), ("delivered", None)]
    rights = Rights(DEFAULT, DataScope.ORG_NON_PRIVATE)
    with database.session() as session:
        [recent] = outbox.recent(session, organization.id, NOTE_READY.name, 9, rights)
    assert recent.subject == "note-2"


def test_who_is_not_of_the_audience_any_more_gets_nothing_more(
    database: Database,
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    show: Show,
    rescope: Rescope,
    worker: Worker,
    member: User,
) -> None:
    rescope(data=DataScope.USER_FULL, owner=member)
    subscribe(receiver.url())
    audience = show(ADA, MEL)
    publish(1, audience=audience)
    assert show(ADA) == audience
    worker.run_once()
    publish(2, audience=audience)
    assert outcomes(database) == [("dropped", "out of sight")]
    assert show("mila@northwind.example", MEL, ADA) == audience
    publish(3, audience=audience)
    worker.run_once()
    assert notes(receiver) == [3]


def test_a_key_that_sleeps_or_whose_person_has_left_gets_nothing(
    database: Database,
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    rescope: Rescope,
    worker: Worker,
    keys: Keys,
    issued: Issued,
    organization: Organization,
    member: User,
) -> None:
    def turn(change: Callable[..., Key]) -> None:
        with database.session() as session:
            change(session, issued.key.id, organization_id=organization.id, actor=SYSTEM)

    def mel(**columns: Any) -> None:
        with database.session() as session, writing(session):
            session.execute(update(User).where(User.id == member.id).values(**columns))

    subscribe(receiver.url())
    publish(1)
    turn(keys.disable)
    publish(2)
    worker.run_once()
    turn(keys.enable)
    rescope(data=DataScope.USER_FULL, owner=member)
    publish(3)
    mel(is_active=False)
    publish(4)
    worker.run_once()
    mel(is_active=True)
    publish(5)
    worker.run_once()
    assert notes(receiver) == [5]
    assert outcomes(database) == [
        ("dropped", "key asleep"),
        ("dropped", "owner left"),
        ("delivered", None),
    ]


def test_an_expired_key_gets_nothing(
    database: Database,
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    worker: Worker,
    clock: ManualClock,
) -> None:
    subscribe(receiver.url())
    publish(1)
    with database.session() as session, writing(session):
        session.execute(update(Key).values(expires_at=clock.now() + timedelta(hours=1)))
    clock.advance(timedelta(hours=1))
    publish(2)
    worker.run_once()
    assert receiver.requests == []
    assert outcomes(database) == [("dropped", "key asleep")]


def test_an_event_that_shows_nobody_s_data_asks_for_scopes_alone(
    database: Database,
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    rescope: Rescope,
    worker: Worker,
    admin: User,
) -> None:
    subscribe(receiver.url())
    with database.session() as session, writing(session):
        session.execute(update(Key).values(scopes=sorted(DEFAULT | KEYS_EVENT.scopes)))
    managing = DEFAULT | KEYS_EVENT.scopes

    def kind(role: Role) -> None:
        with database.session() as session, writing(session):
            session.execute(update(User).where(User.id == admin.id).values(role=role))

    # As it would be with a subscription to it.
    event = EventType(NOTE_READY.name, "", "", {}, {}, KEYS_EVENT.scopes)
    rescope(managing, DataScope.USER_NON_PRIVATE, admin)
    publish(1, event_type=event)
    worker.run_once()
    rescope(DEFAULT)
    publish(2, event_type=event)
    rescope(managing, DataScope.USER_NON_PRIVATE, admin)
    publish(3, event_type=event)
    kind(Role.MEMBER)  # who may not hand on the managing of keys
    worker.run_once()
    assert notes(receiver) == [1]
    assert outcomes(database) == [("delivered", None), ("dropped", "scope lacking")]


def test_publishing_asks_as_little_for_a_hundred_subscriptions_as_for_one(
    database: Database, subscribe: Subscribe, publish: Publish, show: Show
) -> None:
    audience = show(ADA)
    counts = []
    for more in (1, 99):
        for _ in range(more):
            subscribe("https://hooks.example.com/northwind")
        with statements(database) as made:
            publish(audience=audience)
        counts.append(len(made))
    assert counts[0] == counts[1]
    assert len(outcomes(database)) == 101


def test_an_audience_is_of_one_subject_of_one_organization(
    database: Database, show: Show, organization: Organization, clock: ManualClock
) -> None:
    ours = show(ADA)
    other = Organization(id=UUID(int=1), name="Southwind", created_at=clock.now())
    with database.session() as session, writing(session):
        session.add(other)
        session.flush()
        theirs = audiences.show_to(
            session, organization_id=other.id, subject="note-1", people=[MEL], private=True
        )
    assert len({ours, theirs, show(ADA, subject="note-2")}) == 3
    assert show(ADA) == ours
