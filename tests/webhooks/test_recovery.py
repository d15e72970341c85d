"""What a subscription missed is sent to it later, by a job that nothing stops for good."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import delete, select, update

from keystore import audit
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.db import Database, writing
from keystore.models import Organization
from tests.support.receiver import Answer, Receiver
from tests.webhooks.conftest import ADA, NOTE_GONE, NOTE_READY, MakeWorker, Publish, Subscribe
from webhooks import outbox, recovery
from webhooks.catalog import Catalog
from webhooks.errors import AlreadyRecovering, SwitchedOff
from webhooks.models import Attempt, Delivery, Recovery, RecoveryState, Subscription
from webhooks.recovery import Recoveries
from webhooks.switches import Switches

MINUTE = timedelta(minutes=1)
#: SQLite has one writer at a time, so that nothing is being written while a job looks.
with_many_writers = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def recoveries(clock: ManualClock, catalog: Catalog) -> Recoveries:
    return Recoveries(clock, catalog)


@pytest.fixture
def subscribed(subscribe: Subscribe, receiver: Receiver) -> Subscription:
    return subscribe(receiver.url()).subscription


@pytest.fixture
def start(
    database: Database,
    recoveries: Recoveries,
    subscribed: Subscription,
    organization: Organization,
    clock: ManualClock,
) -> Callable[[], Recovery]:
    def start(back: timedelta = 60 * MINUTE) -> Recovery:
        with database.session() as session:
            return recoveries.start(
                session,
                subscribed.id,
                since=clock.now() - back,
                organization_id=organization.id,
                actor=SYSTEM,
            )

    return start


@pytest.fixture
def switch(
    database: Database, clock: ManualClock, subscribed: Subscription, organization: Organization
) -> Callable[[bool], None]:
    def switch(on: bool) -> None:
        switches = Switches(clock)
        act = switches.on if on else switches.off
        with database.session() as session:
            act(session, subscribed.id, organization_id=organization.id, actor=SYSTEM)

    return switch


@pytest.fixture
def go_on(
    database: Database, recoveries: Recoveries, make_worker: MakeWorker, clock: ManualClock
) -> Callable[[], None]:
    """Step and deliver until there is nothing to do."""
    worker = make_worker()

    def go_on() -> None:
        clock.advance(recovery.LAG)
        for _ in range(20):
            with database.session() as session:
                made = recoveries.step(session)
            if not (worker.run_once() or made):
                return

    return go_on


@pytest.fixture
def importing(
    database: Database, organization: Organization, clock: ManualClock
) -> Callable[[], AbstractContextManager[None]]:
    """Publish an event in a transaction that goes on: as an import of a whole file has it."""

    @contextmanager
    def importing() -> Iterator[None]:
        with database.session() as session, writing(session):
            outbox.publish(
                session,
                organization_id=organization.id,
                event_type=NOTE_READY,
                body=b'{"note": 1}',
                subject="note-1",
                audience=None,
                now=clock.now(),
            )
            yield

    return importing


def read(database: Database) -> Recovery:
    with database.session() as session, session.begin():
        return session.scalars(select(Recovery)).one()


def bodies(receiver: Receiver) -> list[int]:
    return sorted(json.loads(request.body)["note"] for request in receiver.requests)


def test_what_was_published_while_it_was_off_is_sent_when_it_is_on_again(
    subscribed: Subscription,
    receiver: Receiver,
    publish: Publish,
    switch: Callable[[bool], None],
    start: Callable[[], Recovery],
    go_on: Callable[[], None],
    database: Database,
    clock: ManualClock,
) -> None:
    publish(1)
    go_on()
    publish(2)  # waits, and is put aside
    switch(False)
    publish(3)
    publish(4)
    publish(5, event_type=NOTE_GONE)  # of a type that it does not want
    switch(True)
    clock.advance(MINUTE)
    start()
    publish(6)
    go_on()
    assert bodies(receiver) == [1, 2, 3, 4, 6]
    job = read(database)
    assert (job.state, job.found, job.made, job.progress) == (RecoveryState.DONE, 5, 3, 1.0)
    with database.session() as session, session.begin():
        states = session.scalars(select(Delivery.state)).all()
    assert [state.value for state in states] == ["delivered"] * 5


def test_what_was_before_is_left_alone(
    publish: Publish,
    receiver: Receiver,
    switch: Callable[[bool], None],
    start: Callable[..., Recovery],
    go_on: Callable[[], None],
    clock: ManualClock,
) -> None:
    clock.advance(MINUTE)
    switch(False)
    publish(1)
    clock.advance(10 * MINUTE)
    publish(2)
    switch(True)
    start(5 * MINUTE)
    go_on()
    assert bodies(receiver) == [2]


def test_it_begins_where_what_is_kept_begins_and_says_so(
    subscribed: Subscription,
    organization: Organization,
    database: Database,
    clock: ManualClock,
    catalog: Catalog,
) -> None:
    keep, asked = timedelta(days=90), clock.now()
    clock.advance(2 * keep)
    with database.session() as session:
        begun = Recoveries(clock, catalog, keep).start(
            session, subscribed.id, since=asked, organization_id=organization.id, actor=SYSTEM
        )
    assert begun.since == begun.cursor_at == clock.now() - keep


def test_nothing_is_sent_from_before_somebody_subscribed(
    publish: Publish,
    subscribed: Subscription,
    receiver: Receiver,
    start: Callable[..., Recovery],
    go_on: Callable[[], None],
    database: Database,
) -> None:
    publish(1)
    go_on()
    with database.session() as session, session.begin():
        found = session.get_one(Subscription, subscribed.id)
        found.created_at += MINUTE
        session.execute(delete(Attempt))
        session.execute(delete(Delivery))
    start()
    go_on()
    assert bodies(receiver) == [1], "once, when it was published"


def test_what_failed_for_good_gets_all_its_retries_again_under_the_same_id(
    publish: Publish,
    receiver: Receiver,
    make_worker: MakeWorker,
    switch: Callable[[bool], None],
    start: Callable[..., Recovery],
    go_on: Callable[[], None],
    database: Database,
    clock: ManualClock,
) -> None:
    worker = make_worker(schedule=(MINUTE,))
    receiver.default = Answer(500)
    publish(1)
    worker.run_once()
    clock.advance(2 * MINUTE)
    worker.run_once()
    with database.session() as session, session.begin():
        assert session.scalars(select(Delivery.state)).one() == "failed"
    switch(True)  # it was switched off, too
    receiver.default = Answer(200)
    receiver.then(Answer(500))
    start()
    go_on()
    clock.advance(6 * MINUTE)
    go_on()
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
    with database.session() as session, session.begin():
        delivery = session.scalars(select(Delivery)).one()
    assert (delivery.state, delivery.attempts) == ("delivered", 4)


def test_a_long_job_goes_in_steps_and_fills_the_lane_no_further_than_a_bit(
    publish: Publish,
    receiver: Receiver,
    switch: Callable[[bool], None],
    start: Callable[[], Recovery],
    recoveries: Recoveries,
    go_on: Callable[[], None],
    database: Database,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recovery, "BATCH", 3)
    monkeypatch.setattr(recovery, "MOST_WAITING", 5)
    switch(False)
    for number in range(10):
        publish(number)
    switch(True)
    start()
    clock.advance(recovery.LAG)
    made = []
    for _ in range(4):
        with database.session() as session:
            made.append(recoveries.step(session))
    assert made == [3, 3, 0, 0], "it waits for what is in the lane"
    assert read(database).state is RecoveryState.RUNNING
    go_on()
    assert bodies(receiver) == list(range(10))
    assert read(database).state is RecoveryState.DONE


@with_many_writers
def test_what_takes_long_to_be_written_is_waited_for(
    importing: Callable[[], AbstractContextManager[None]],
    receiver: Receiver,
    publish: Publish,
    switch: Callable[[bool], None],
    start: Callable[[], Recovery],
    go_on: Callable[[], None],
    database: Database,
    clock: ManualClock,
) -> None:
    switch(False)
    publish(0)
    clock.advance(MINUTE)
    with importing():
        switch(True)
        start()
        time.sleep(0.2)  # which is how long the import takes by the database's own clock
        clock.advance(0.1)
        go_on()
        assert bodies(receiver) == [0], "what was before is in nobody's way"
        assert read(database).state is RecoveryState.RUNNING
    go_on()
    assert bodies(receiver) == [0, 1]
    assert read(database).state is RecoveryState.DONE


@with_many_writers
def test_what_is_never_written_is_not_waited_for_without_end(
    importing: Callable[[], AbstractContextManager[None]],
    start: Callable[[], Recovery],
    go_on: Callable[[], None],
    database: Database,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recovery, "LONGEST", timedelta(seconds=0.1))
    with importing():
        start()
        time.sleep(0.3)
        clock.advance(0.2)
        go_on()
        assert read(database).state is RecoveryState.DONE


def test_retries_that_are_not_due_hold_up_no_job(
    publish: Publish,
    switch: Callable[[bool], None],
    start: Callable[[], Recovery],
    go_on: Callable[[], None],
    receiver: Receiver,
    database: Database,
    clock: ManualClock,
) -> None:
    switch(False)
    publish(0)
    clock.advance(1)
    switch(True)
    for number in range(recovery.MOST_WAITING):
        publish(number + 1)
    in_an_hour = {"attempts": 3, "due_at": clock.now() + 60 * MINUTE}
    with database.session() as session, writing(session):
        session.execute(update(Delivery).values(in_an_hour))
    start()
    go_on()
    assert bodies(receiver) == [0]
    for _ in range(recovery.MOST_WAITING // recovery.BATCH):
        go_on()
    assert read(database).state == RecoveryState.DONE


def test_one_at_a_time_and_only_what_is_switched_on(
    switch: Callable[[bool], None], start: Callable[[], Recovery], database: Database
) -> None:
    start()
    with pytest.raises(AlreadyRecovering):
        start()
    switch(False)
    with pytest.raises(SwitchedOff):
        start()
    assert read(database).state is RecoveryState.RUNNING


def test_a_cancelled_one_makes_nothing_more(
    publish: Publish,
    receiver: Receiver,
    switch: Callable[[bool], None],
    start: Callable[[], Recovery],
    recoveries: Recoveries,
    go_on: Callable[[], None],
    database: Database,
    organization: Organization,
) -> None:
    switch(False)
    publish(1)
    switch(True)
    job = start()
    for _ in range(2):
        with database.session() as session:
            recoveries.cancel(
                session,
                job.subscription_id,
                job.id,
                organization_id=organization.id,
                actor=ADA,
            )
    go_on()
    assert receiver.requests == []
    assert read(database).state is RecoveryState.CANCELLED
    with database.session() as session:
        told = [(one.action, one.actor_label) for one in audit.events(session, organization.id)]
    assert told.count(("subscription.recovery_cancelled", ADA.label)) == 1


def test_a_job_ends_with_its_subscription(
    publish: Publish,
    switch: Callable[[bool], None],
    start: Callable[[], Recovery],
    go_on: Callable[[], None],
    database: Database,
) -> None:
    start()
    publish(1)
    switch(False)
    go_on()
    assert read(database).state is RecoveryState.CANCELLED
