from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.db import Database
from keystore.models import AuditEvent, Organization
from tests.support.receiver import Answer, Receiver
from tests.webhooks.conftest import MakeWorker, Publish, Subscribe
from webhooks import health
from webhooks.health import Ailing
from webhooks.models import Delivery, Subscription
from webhooks.switches import Switches

HOUR = timedelta(hours=1)
BUDGET = (HOUR, 2 * HOUR, 7 * HOUR)  # ten hours in all
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@given(st.timedeltas(timedelta(), 20 * HOUR))
def test_there_is_something_to_say_at_half_at_nine_tenths_and_at_the_end(passed: timedelta) -> None:
    said = health.stage(NOW, NOW + passed, 10 * HOUR)
    assert said == (
        0 if passed < 5 * HOUR else 50 if passed < 9 * HOUR else 90 if passed < 10 * HOUR else 100
    )


@pytest.fixture
def told() -> list[tuple[int, str]]:
    return []


@pytest.fixture
def subscription(database: Database) -> Callable[[], Subscription]:
    def read() -> Subscription:
        with database.session() as session, session.begin():
            return session.scalars(select(Subscription)).one()

    return read


@pytest.fixture
def switches(clock: ManualClock) -> Switches:
    return Switches(clock)


@pytest.fixture
def deliver(make_worker: MakeWorker, told: list[tuple[int, str]]) -> Callable[[], None]:
    """Deliver all that is due, by a worker that has ten hours of patience."""
    worker = make_worker(
        schedule=BUDGET,
        on_ailing=[lambda _, ailing: told.append((ailing.percent, ailing.failure))],
    )

    def deliver() -> None:
        while worker.run_once():
            pass

    return deliver


def test_one_that_goes_on_failing_is_warned_of_twice_and_switched_off(
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    deliver: Callable[[], None],
    told: list[tuple[int, str]],
    subscription: Callable[[], Subscription],
    clock: ManualClock,
    database: Database,
) -> None:
    subscribe(receiver.url())
    receiver.default = Answer(503)
    for hour in range(12):
        publish(hour)
        deliver()
        clock.advance(HOUR)
    assert told == [(50, "HTTP 503"), (90, "HTTP 503"), (100, "HTTP 503")]
    found = subscription()
    assert (found.is_active, found.disabled_reason) == (False, "failing")
    assert found.ended_at is None
    with database.session() as session, session.begin():
        waiting = select(Delivery.dropped_because).where(Delivery.state == "dropped")
        assert set(session.scalars(waiting)) == {"subscription switched off"}
        assert not session.scalars(select(Delivery).where(Delivery.state == "pending")).all()
        actions = set(session.scalars(select(AuditEvent.action)))
    assert "subscription.disabled" in actions


def test_any_success_begins_the_time_anew(
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    deliver: Callable[[], None],
    told: list[tuple[int, str]],
    subscription: Callable[[], Subscription],
    clock: ManualClock,
) -> None:
    subscribe(receiver.url())
    for hour in range(20):
        receiver.default = Answer(200 if hour % 4 == 3 else 500)
        publish(hour)
        deliver()
        clock.advance(HOUR)
    assert told == []
    receiver.default = Answer(200)
    publish(99)
    deliver()
    found = subscription()
    assert (found.is_active, found.failing_since, found.warned_at) == (True, None, 0)


def test_who_asks_for_time_does_not_fail(
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    deliver: Callable[[], None],
    subscription: Callable[[], Subscription],
) -> None:
    subscribe(receiver.url())
    publish()
    receiver.then(Answer(429, {"Retry-After": "10"}))
    deliver()
    assert subscription().failing_since is None


def test_one_that_is_switched_off_gets_nothing_until_it_is_on_again(
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    deliver: Callable[[], None],
    switches: Switches,
    organization: Organization,
    database: Database,
) -> None:
    made = subscribe(receiver.url()).subscription
    publish(1)
    for _ in range(2):  # once more is as once
        with database.session() as session:
            switches.off(session, made.id, organization_id=organization.id, actor=SYSTEM)
    publish(2)
    deliver()
    assert receiver.requests == []
    for _ in range(2):
        with database.session() as session:
            found = switches.on(session, made.id, organization_id=organization.id, actor=SYSTEM)
    assert found.is_active
    publish(3)
    deliver()
    assert [request.body for request in receiver.requests] == [b'{"note": 3}']
    with database.session() as session, session.begin():
        told = session.scalars(select(AuditEvent.action).order_by(AuditEvent.seq)).all()
    assert [one for one in told if one in {"subscription.enabled", "subscription.disabled"}] == [
        "subscription.disabled",
        "subscription.enabled",
    ]


def test_what_is_told_names_the_moment_it_began(
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    make_worker: MakeWorker,
    clock: ManualClock,
) -> None:
    told: list[Ailing] = []
    worker = make_worker(schedule=BUDGET, on_ailing=[lambda _, ailing: told.append(ailing)])
    subscribe(receiver.url())
    receiver.default = Answer(500)
    publish(1)
    worker.run_once()
    begun = clock.now()
    clock.advance(6 * HOUR)
    worker.run_once()
    [ailing] = told
    assert (ailing.failing_since, ailing.at - begun) == (begun, 6 * HOUR)
    assert not ailing.is_switched_off
