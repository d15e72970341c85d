import logging
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from keystore.clock import ManualClock
from keystore.db import Database, writing
from keystore.models import Organization
from tests.properties.together import BLOCKED
from tests.support.receiver import (
    Answer,
    Hang,
    Receiver,
)
from tests.support.statements import statements
from tests.webhooks.conftest import NOTE_READY, MakeWorker, Publish, Subscribe
from tests.webhooks.running import attempts, deliveries, running, until
from webhooks import fairness, outbox, windows
from webhooks.catalog import Catalog
from webhooks.fairness import Room
from webhooks.health import Health
from webhooks.leases import LANES_WORTH
from webhooks.models import Attempt
from webhooks.outcome import Ending
from webhooks.visits import IDLE_PAUSE, LINGER_PAUSE, Visits
from webhooks.worker import Worker


def test_no_transaction_is_open_while_a_receiver_is_waited_for(
    receiver: Receiver, subscribe: Subscribe, publish: Publish, worker: Worker, database: Database
) -> None:
    subscribe(receiver.url())
    receiver.then(Hang())
    publish(1)
    with running(worker):
        receiver.wait_for(1)
        publish(2)  # needs SQLite's one write lock while the first request hangs
        receiver.wait_for(2)
    assert [one.state for one in deliveries(database)] == ["pending", "delivered"]


def test_several_workers_share_the_work_without_sending_anything_twice(
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    make_worker: MakeWorker,
    database: Database,
) -> None:
    subscribe(receiver.url())
    events = {f"evt_{publish(number).id.hex}" for number in range(120)}
    with running(make_worker(batch=7)), running(make_worker(batch=7)):
        until(lambda: {one.state for one in deliveries(database)} == {"delivered"})
    assert len(receiver.requests) == 120
    assert {request.headers["webhook-id"] for request in receiver.requests} == events


def test_who_always_has_something_new_comes_to_the_old_as_well(
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    make_worker: MakeWorker,
    clock: ManualClock,
) -> None:
    worker = make_worker(batch=1)
    subscribe(receiver.url())
    receiver.then(Answer(500))
    old = f"evt_{publish().id.hex}"
    worker.run_once()
    clock.advance(timedelta(hours=1).total_seconds())
    for number in range(fairness.RETRIES_TURN):
        publish(number)
        publish(number)
        assert worker.run_once() == 1
    assert [one.headers["webhook-id"] for one in receiver.requests].count(old) == 2


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_is_published_while_a_worker_waits_for_the_lock_is_found_by_it(
    database: Database,
    subscribe: Subscribe,
    organization: Organization,
    catalog: Catalog,
    clock: ManualClock,
) -> None:
    subscribe("https://hooks.example.com/northwind")
    visits = Visits(
        database, clock, lease=timedelta(minutes=1), health=Health(timedelta(1)), catalog=catalog
    )
    with ThreadPoolExecutor() as pool:
        with database.session() as session, writing(session):
            visit = pool.submit(visits.write_and_claim, [], Room(10, 10, 10, {}))
            time.sleep(BLOCKED)
            clock.advance(1)
            outbox.publish(
                session,
                organization_id=organization.id,
                event_type=NOTE_READY,
                body=b"{}",
                subject="note",
                audience=None,
                now=clock.now(),
            )
        assert len(visit.result()) == 1


def test_lanes_that_held_little_are_claimed_all_at_once_the_next_time(
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    make_worker: MakeWorker,
    database: Database,
) -> None:
    """What a claim costs goes by its statements, where there are few deliveries in each."""
    batch = LANES_WORTH // 2  # so that one lane is tried first
    worker = make_worker(batch=batch)
    for number in range(3):
        subscribe(receiver.url(f"/{number}"))

    def rounds() -> int:
        with statements(database) as asked:
            worker.run_once()
        return sum(sql.startswith("UPDATE deliveries SET lease_owner") for sql in asked)

    publish(1)
    assert rounds() == 2, "one lane, and then the others"
    publish(2)
    assert rounds() == 1, "three lanes with one each"
    for number in range(2 * batch):
        publish(number)
    rounds()  # which leaves more in each
    known = len(receiver.requests)
    assert rounds() == 1, "one lane, which is enough"
    assert len({one.path for one in receiver.requests[known:]}) == 1


def test_lanes_that_were_just_emptied_are_looked_at_again_at_once(
    receiver: Receiver, subscribe: Subscribe, publish: Publish, worker: Worker
) -> None:
    """Who publishes meanwhile leaves them alone, as it is their turn."""
    subscribe(receiver.url())
    publish()
    assert len(worker._exchange(10)) == 1
    assert worker._visits.next_look <= time.monotonic() + LINGER_PAUSE
    before = time.monotonic()
    assert len(worker._exchange(10)) == 0
    assert worker._visits.next_look > before + LINGER_PAUSE, "nothing was in it"


def test_retries_are_looked_for_where_one_is_due(
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    worker: Worker,
    database: Database,
    clock: ManualClock,
) -> None:
    receiver.then(Answer(500))
    subscribe(receiver.url())

    def deliver(expected: int) -> int:
        with statements(database) as asked:
            assert worker.run_once() == expected
        return sum("events.needs" in sql for sql in asked)

    publish(1)
    assert deliver(1) == 1
    publish(2)
    assert deliver(1) == 1, "the first is not due again"
    publish(3)
    clock.advance(timedelta(hours=1).total_seconds())
    assert deliver(2) == 2


def test_who_has_no_room_for_what_waits_only_looks(
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    make_worker: MakeWorker,
    database: Database,
) -> None:
    """Otherwise one endpoint that hangs would keep others from SQLite's one lock all the time."""
    receiver.then(*[Hang()] * windows.FIRST)
    subscribe(receiver.url())
    for number in range(2 * windows.FIRST):
        publish(number)
    with running(make_worker(timeout=60.0, grace=0.1)):
        receiver.wait_for(windows.FIRST)
        time.sleep(2 * IDLE_PAUSE)  # whatever follows on these has been done
        with statements(database) as asked:
            time.sleep(4 * IDLE_PAUSE)
    assert asked
    assert not [sql for sql in asked if "UPDATE" in sql or "IMMEDIATE" in sql]
    assert len(receiver.requests) == windows.FIRST, "no more than what it began with"


def test_a_result_that_the_database_refuses_does_not_take_its_neighbours_with_it(
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    worker: Worker,
    database: Database,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    subscribe(receiver.url())
    for number in range(3):
        publish(number)
    second = deliveries(database)[1]
    with database.session() as session, writing(session):
        # Somebody has meddled with the log: there is a first attempt already.
        session.add(
            Attempt(
                delivery_id=second.id,
                number=1,
                started_at=clock.now(),
                duration_ms=0,
                outcome=Ending.ANSWERED,
                request_headers="",
                response_excerpt="",
            )
        )
    caplog.set_level(logging.CRITICAL)
    assert worker.run_once() == 3
    assert [(one.state, one.attempts) for one in deliveries(database)] == [("delivered", 1)] * 3
    assert len(attempts(database)) == 3
    assert len(receiver.requests) == 3


def test_a_database_that_is_away_for_a_while_costs_nothing(
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    worker: Worker,
    database: Database,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.CRITICAL)
    subscribe(receiver.url())
    publish()
    receiver.then(Answer(delay=0.3))
    with running(worker):
        receiver.wait_for(1)
        rename(database, "attempts", "attempts_away")
        until(lambda: worker._results != [])
        rename(database, "attempts_away", "attempts")
        until(lambda: {one.state for one in deliveries(database)} == {"delivered"})
    assert len(receiver.requests) == 1


def rename(database: Database, old: str, new: str) -> None:
    with database.session() as session, writing(session):
        session.connection().exec_driver_sql(f"ALTER TABLE {old} RENAME TO {new}")
