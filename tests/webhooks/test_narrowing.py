"""What a subscriber does without is left out of whatever is sent from then on."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event as events
from sqlalchemy import select, update

from keystore.clock import ManualClock
from keystore.db import Database, writing
from keystore.keys import Issued
from keystore.models import Organization
from tests.support.receiver import Answer, Receiver
from tests.webhooks.conftest import MakeWorker
from tests.webhooks.test_variants import BODY, TALK, Desk
from webhooks import log
from webhooks.catalog import Catalog
from webhooks.models import Delivery, Subscription
from webhooks.recovery import LAG, Recoveries
from webhooks.redelivery import Redelivery, Wish
from webhooks.signing import shared_key, shared_mark
from webhooks.subscriptions import Subscribed, Subscriptions
from webhooks.worker import Worker

SECRET_WORD = b"sw0rdfish"
PARTS = st.sets(st.sampled_from(sorted(TALK.parts)))


@pytest.fixture
def catalog() -> Catalog:
    catalog = Catalog()
    catalog.register(TALK)
    return catalog


@pytest.fixture
def desk(
    database: Database,
    subscriptions: Subscriptions,
    organization: Organization,
    issued: Issued,
    clock: ManualClock,
) -> Desk:
    return Desk(database, subscriptions, organization, issued, clock)


@pytest.fixture
def shown(database: Database, organization: Organization) -> Callable[[], bytes]:
    """Give the body that the log shows of the only delivery."""

    def shown() -> bytes:
        with database.session() as session, session.begin():
            [delivery_id] = session.scalars(select(Delivery.id))
        with database.session() as session:
            return log.story(session, delivery_id, organization_id=organization.id).body

    return shown


def send_again(desk: Desk, clock: ManualClock, subscribed: Subscribed) -> None:
    with desk.database.session() as session:
        again = Redelivery(clock).again(session, subscribed.subscription.id, Wish(), **desk.where)
    assert again == 1


def test_what_waits_goes_out_without_what_is_not_wanted_any_more(
    desk: Desk, receiver: Receiver, make_worker: MakeWorker, shown: Callable[[], bytes]
) -> None:
    subscribed = desk.subscribe(receiver.url("/hook"))
    desk.publish()
    desk.choose(subscribed, "transcript")
    make_worker().run_once()

    [one] = receiver.requests
    assert SECRET_WORD not in one.body
    assert json.loads(one.body) == {name: BODY[name] for name in ("subject", "html", "text")}
    signed = f"{one.headers['webhook-id']}.{one.headers['webhook-timestamp']}.".encode() + one.body
    key = shared_key(subscribed.signing_secret.reveal())
    assert one.headers["webhook-signature"] == shared_mark(key, signed)
    assert shown() == one.body


def test_a_retry_leaves_out_more_than_the_first_try_did(
    desk: Desk, receiver: Receiver, make_worker: MakeWorker, clock: ManualClock
) -> None:
    receiver.then(Answer(503), Answer(503))
    subscribed, worker = desk.subscribe(receiver.url("/hook"), "notes"), make_worker()
    desk.publish()
    worker.run_once()
    desk.choose(subscribed, "transcript")
    for _ in range(2):
        clock.advance(timedelta(days=1))
        worker.run_once()

    first, *later = [json.loads(one.body) for one in receiver.requests]
    assert first == {"subject": "Café", "said": "sw0rdfish"}
    assert later == [{"subject": "Café"}] * 2
    assert desk.kept == ["notes", "notes transcript"]


def test_what_was_delivered_whole_is_sent_again_without(
    desk: Desk, receiver: Receiver, make_worker: MakeWorker, clock: ManualClock
) -> None:
    subscribed, worker = desk.subscribe(receiver.url("/hook")), make_worker()
    desk.publish()
    worker.run_once()
    desk.choose(subscribed, "transcript")
    send_again(desk, clock, subscribed)
    worker.run_once()
    assert [SECRET_WORD in one.body for one in receiver.requests] == [True, False]


def test_what_failed_is_recovered_without(
    desk: Desk, receiver: Receiver, make_worker: MakeWorker, clock: ManualClock, catalog: Catalog
) -> None:
    receiver.then(Answer(400))
    subscribed, worker, since = desk.subscribe(receiver.url("/hook")), make_worker(), clock.now()
    desk.publish()
    with desk.database.session() as session, writing(session):
        session.execute(update(Delivery).values(state="failed", finished_at=since))
    desk.choose(subscribed, "transcript")
    clock.advance(LAG + timedelta(seconds=1))
    recoveries = Recoveries(clock, catalog)
    with desk.database.session() as session:
        recoveries.start(session, subscribed.subscription.id, since=since, **desk.where)
    with desk.database.session() as session:
        assert recoveries.step(session) == 1
    worker.run_once()
    [one] = receiver.requests
    assert SECRET_WORD not in one.body


def test_a_choice_that_came_in_the_middle_of_publishing_holds(
    desk: Desk, receiver: Receiver, make_worker: MakeWorker
) -> None:
    """On PostgreSQL a delivery can note a choice for which publish froze nothing."""
    desk.subscribe(receiver.url("/hook"))
    desk.publish()
    with desk.database.session() as session, writing(session):
        for table in (Subscription, Delivery):
            session.execute(update(table).values(without="transcript"))
    assert desk.kept == []
    make_worker().run_once()
    [one] = receiver.requests
    assert SECRET_WORD not in one.body
    assert desk.kept == ["transcript"]


def test_who_gets_everything_costs_no_statement(
    desk: Desk, receiver: Receiver, worker: Worker, database: Database
) -> None:
    asked = []

    @events.listens_for(database.engine, "before_cursor_execute")
    def note(*told: object) -> None:
        asked.append(str(told[2]))

    desk.subscribe(receiver.url("/all"))
    desk.publish()
    worker.run_once()
    assert len(receiver.requests) == 1
    assert not [sql for sql in asked if "event_variants.event_id IS NOT NULL" in sql]
    desk.subscribe(receiver.url("/less"), "notes")
    desk.publish()
    worker.run_once()
    assert len([sql for sql in asked if "event_variants.event_id IS NOT NULL" in sql]) == 1


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PARTS, PARTS, PARTS)
def test_no_text_of_a_part_that_was_left_out_is_ever_in_what_is_sent(
    desk: Desk,
    receiver: Receiver,
    worker: Worker,
    clock: ManualClock,
    at_first: set[str],
    then: set[str],
    at_last: set[str],
) -> None:
    """Chosen before it happens, while it waits, and before it is sent again."""
    subscribed = desk.subscribe(receiver.url("/hook"), *at_first)
    desk.publish()
    desk.choose(subscribed, *then)
    worker.run_once()
    desk.choose(subscribed, *at_last)
    send_again(desk, clock, subscribed)
    worker.run_once()
    with desk.database.session() as session:
        desk.unsubscribe(session, subscribed)

    sent, again = [one.body.decode() for one in receiver.requests[-2:]]
    for body, gone in ((sent, at_first | then), (again, at_first | then | at_last)):
        fields = {field for part in gone for field in TALK.parts[part]}
        assert json.loads(body) == {name: BODY[name] for name in BODY if name not in fields}
        assert [name for name in fields if f'"{BODY[name]}"' in body] == []
