"""What is old goes, a bit at a time; what somebody may still want stays."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.db import Database, writing
from keystore.models import Organization
from tests.support.receiver import Answer, Receiver
from tests.webhooks.conftest import MakeWorker, Publish, Subscribe
from tests.webhooks.running import running, until
from webhooks import retention
from webhooks.catalog import Catalog
from webhooks.models import Attempt, Delivery, Event, EventVariant
from webhooks.recovery import Recoveries
from webhooks.retention import PAUSE, Retention

DAY = timedelta(days=1)
KEEP = 90 * DAY


class Archive:
    """All that is kept, and what drops it."""

    def __init__(
        self,
        database: Database,
        clock: ManualClock,
        subscribe: Subscribe,
        publish: Publish,
        make_worker: MakeWorker,
    ) -> None:
        self.database = database
        self.retention = Retention(clock, KEEP)
        self.subscribe = subscribe
        self.publish = publish
        self.make_worker = make_worker

    def deliver(self) -> None:
        """Send what is due."""
        self.make_worker().run_once()

    def tidy(self) -> int:
        """Drop all that may be dropped: in these stories a walk has few steps."""
        return sum(self.step() for _ in range(10))

    def step(self) -> int:
        with self.database.session() as session:
            return self.retention.step(session)

    @property
    def kept(self) -> tuple[int, int, int]:
        """How many events, deliveries and attempts there are."""
        with self.database.session() as session, session.begin():
            events, deliveries, attempts = (
                session.scalars(select(func.count()).select_from(one)).one()
                for one in (Event, Delivery, Attempt)
            )
        return events, deliveries, attempts


@pytest.fixture
def archive(
    database: Database,
    clock: ManualClock,
    subscribe: Subscribe,
    publish: Publish,
    make_worker: MakeWorker,
) -> Archive:
    return Archive(database, clock, subscribe, publish, make_worker)


def test_an_event_goes_with_all_that_hangs_on_it_when_it_is_old(
    archive: Archive,
    receiver: Receiver,
    clock: ManualClock,
) -> None:
    archive.subscribe(receiver.url("/one"))
    archive.subscribe(receiver.url("/two"))
    old = archive.publish(1)
    with archive.database.session() as session, writing(session):
        session.add(EventVariant(event_id=old.id, without="notes", body=b"{}"))
    archive.deliver()
    clock.advance(DAY)
    archive.publish(2)
    archive.deliver()
    clock.advance(KEEP - DAY)
    assert archive.tidy() == 0
    clock.advance(PAUSE + timedelta(seconds=1))
    assert archive.tidy() == 3
    assert archive.kept == (1, 2, 2)
    clock.advance(DAY)
    archive.tidy()
    assert archive.kept == (0, 0, 0)


def test_an_event_that_nobody_wanted_goes_too(archive: Archive, clock: ManualClock) -> None:
    archive.publish()
    clock.advance(KEEP + DAY)
    assert archive.tidy() == 1
    assert archive.kept == (0, 0, 0)


def test_what_waits_stays_however_old_it_is(
    archive: Archive,
    receiver: Receiver,
    clock: ManualClock,
) -> None:
    archive.subscribe(receiver.url("/waits"))
    archive.publish()
    clock.advance(2 * KEEP)
    assert archive.tidy() == 0
    receiver.default = Answer(503)
    archive.deliver()
    clock.advance(PAUSE)
    assert archive.tidy() == 0
    assert archive.kept == (1, 1, 1)


def test_what_ended_lately_stays_though_its_event_is_old(
    archive: Archive,
    receiver: Receiver,
    clock: ManualClock,
) -> None:
    archive.subscribe(receiver.url("/late"))
    archive.publish()
    clock.advance(KEEP + DAY)
    archive.deliver()
    assert archive.tidy() == 0
    assert archive.kept == (1, 1, 1)
    clock.advance(KEEP + DAY)
    archive.tidy()
    assert archive.kept == (0, 0, 0)


def test_what_a_running_recovery_may_want_stays_until_it_is_done(
    archive: Archive,
    receiver: Receiver,
    organization: Organization,
    clock: ManualClock,
    catalog: Catalog,
) -> None:
    subscription = archive.subscribe(receiver.url("/hook")).subscription
    event = archive.publish()
    with archive.database.session() as session, writing(session):
        session.query(Delivery).filter_by(event_id=event.id).delete()
    clock.advance(KEEP + DAY)
    recoveries = Recoveries(clock, catalog)
    with archive.database.session() as session:
        recoveries.start(
            session,
            subscription.id,
            since=event.created_at,
            organization_id=organization.id,
            actor=SYSTEM,
        )
    assert archive.tidy() == 0
    assert archive.kept == (1, 0, 0)
    with archive.database.session() as session:
        assert recoveries.step(session) == 1
    assert archive.kept == (1, 1, 0)


@pytest.mark.parametrize(("events", "each"), [(2, 500), (1, 1), (3, 7)])
def test_it_goes_in_small_bits(
    archive: Archive,
    receiver: Receiver,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
    events: int,
    each: int,
) -> None:
    monkeypatch.setattr(retention, "EVENTS", events)
    monkeypatch.setattr(retention, "DELIVERIES", each)
    for number in range(5):
        archive.subscribe(receiver.url(f"/{number}"))
    for number in range(4):
        archive.publish(number)
    archive.deliver()
    clock.advance(KEEP + DAY)

    bits = []
    while bit := archive.step():
        bits.append(bit)

    assert archive.kept == (0, 0, 0)
    assert sum(bits) == 4 * 5 + 4
    assert max(bits) <= each + events


def test_who_keeps_everything_drops_nothing(
    database: Database, publish: Publish, clock: ManualClock
) -> None:
    publish()
    clock.advance(100 * KEEP)
    with database.session() as session:
        assert Retention(clock, None).step(session) == 0


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_what_somebody_holds_is_passed_over(
    archive: Archive,
    receiver: Receiver,
    clock: ManualClock,
) -> None:
    """On PostgreSQL alone: SQLite has one writer at a time."""
    archive.subscribe(receiver.url("/held"))
    archive.publish(1)
    archive.publish(2)
    archive.deliver()
    clock.advance(KEEP + DAY)
    held = select(Delivery).order_by(Delivery.id).limit(1).with_for_update()
    with archive.database.session() as session, writing(session):
        session.scalars(held).one()
        assert archive.tidy() == 2
    assert archive.kept == (1, 1, 1)


def test_a_worker_does_it_beside_delivering(
    receiver: Receiver,
    clock: ManualClock,
    archive: Archive,
) -> None:
    archive.subscribe(receiver.url("/hook"))
    archive.publish(1)
    archive.deliver()
    clock.advance(KEEP + DAY)
    archive.publish(2)
    with running(archive.make_worker(errands=[archive.retention.step])):
        until(lambda: archive.kept == (1, 1, 1))
