"""Workers are killed wherever it may hurt, again and again; in the end everything has arrived."""

import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from random import Random
from uuid import UUID

import pytest
from sqlalchemy import func, select

from keystore.audit import SYSTEM
from keystore.clock import SystemClock
from keystore.db import Database, writing
from keystore.models import Organization
from tests.support.receiver import Answer, Behaviour, OnceEach
from tests.support.receiver_process import ReceiverProcess, receiver_process
from tests.webhooks.conftest import NOTE_READY, Subscribe
from tests.webhooks.worker_process import (
    BATCH,
    LEASE,
    SEAMS,
    SLOTS,
    Fault,
    WorkerProcesses,
    worker_processes,
)
from webhooks import outbox
from webhooks.catalog import Catalog
from webhooks.models import IS_PENDING, Attempt, Delivery, Recovery, Subscription
from webhooks.recovery import Recoveries
from webhooks.switches import Switches

#: How far into its work a worker may come before it dies, by seam: past two batches or so.
DEPTHS = {
    "before a request": (1, 25),
    "while under way": (1, 12),
    "after an answer": (1, 25),
    "within a write": (1, 12),
    "before a commit": (1, 5),
    "after a commit": (1, 5),
}
SAMPLES = 2  # of each seam's depths, the first one always among them
EVENTS = 10  # published before each death, each for three receivers
SEED = 20260504
MISSED = 300  # events that a recovery sends later; more than it makes due at a time
#: What is behind its lease's end for whoever comes next, and due again if it failed once.
LATER = timedelta(minutes=10)
SLOW = "/slow"
PATHS: dict[str, Behaviour] = {
    "/well": Answer(delay=0.01),
    "/sick": OnceEach(Answer(500), one_in=4),
    "/busy": OnceEach(Answer(429, {"Retry-After": "20"}), one_in=4),
}


@pytest.fixture
def clock() -> SystemClock:
    """Other processes take part, so time is the machine's."""
    return SystemClock()


@pytest.fixture
def receivers() -> Iterator[ReceiverProcess]:
    with receiver_process(PATHS | {SLOW: Answer(delay=0.2)}) as process:
        yield process


def count(database: Database, *conditions: object) -> int:
    with database.session() as session, session.begin():
        query = select(func.count()).select_from(Delivery).where(*conditions)  # type: ignore[arg-type]
        return session.scalars(query).one()


def publish_some(database: Database, organization: Organization, first: int) -> dict[str, str]:
    """Publish events, and return the digests of their bodies by message id."""
    digests = {}
    with database.session() as session, writing(session):
        for number in range(first, first + EVENTS):
            body = b'{"note": %d, "text": "%s"}' % (number, b"x" * (number % 2_000))
            event = outbox.publish(
                session,
                organization_id=organization.id,
                event_type=NOTE_READY,
                audience=None,
                body=body,
                subject=f"note-{number}",
                now=SystemClock().now(),
            )
            digests[f"evt_{event.id.hex}"] = sha256(body).hexdigest()
    return digests


def finish(database: Database, workers: WorkerProcesses, count_of: int, ahead: timedelta) -> None:
    """Let workers that nobody kills do the rest, putting their clocks forward to what is due."""
    for _ in range(10):
        if not count(database, IS_PENDING):
            return
        workers.start([None] * count_of, ahead)
        until = time.monotonic() + 30
        horizon = SystemClock().now() + ahead
        while count(database, IS_PENDING, Delivery.due_at <= horizon):
            assert time.monotonic() < until, "deliveries are stuck"
            time.sleep(0.02)
        workers.stop()
        ahead += LATER
    raise AssertionError("deliveries come due for ever")


@pytest.mark.parametrize("crew", [1, 2, 4])
def test_no_event_is_lost_wherever_workers_are_killed(
    database: Database,
    database_url: str,
    receivers: ReceiverProcess,
    subscribe: Subscribe,
    organization: Organization,
    crew: int,
) -> None:
    paths = {subscribe(receivers.url(path)).subscription.id: path for path in PATHS}
    random, digests = Random(SEED + crew), dict[str, str]()
    ahead, orphans, deaths = timedelta(), 0, 0
    with worker_processes(database_url) as workers:
        for seam in SEAMS:
            for sample in range(SAMPLES):
                digests |= publish_some(database, organization, len(digests))
                least, most = DEPTHS[seam]
                faults = [
                    Fault(seam, random.randint(least, most) if sample else least)
                    for _ in range(crew)
                ]
                workers.start(faults, ahead)
                workers.await_a_death()
                workers.kill()  # the others, if any, wherever they are
                deaths += crew
                orphans += count(database, IS_PENDING, Delivery.lease_token.is_not(None))
                ahead += LATER
        assert set(DEPTHS) == set(SEAMS)
        assert orphans > deaths, "hardly a death hit anything: this proved nothing"
        assert count(database, IS_PENDING), "all was sent before the last death"
        finish(database, workers, crew, ahead)
    check_that_all_arrived(database, receivers, digests, paths, deaths)


def check_that_all_arrived(
    database: Database,
    receivers: ReceiverProcess,
    digests: dict[str, str],
    paths: dict[UUID, str],
    deaths: int,
) -> None:
    # Each receiver has every event at least once, and always the same one under the same id.
    receipts = receivers.receipts()
    times = Counter((one.path, one.message_id) for one in receipts)
    assert times.keys() == {(path, message) for path in PATHS for message in digests}
    assert all(one.digest == digests[one.message_id] for one in receipts)

    # The log agrees.
    with database.session() as session, session.begin():
        deliveries = session.scalars(select(Delivery)).all()
        attempts = session.scalars(select(Attempt).order_by(Attempt.id)).all()
        ended = session.scalars(select(Subscription.ended_at)).all()
    assert ended == [None] * len(PATHS)
    assert len(deliveries) == len(digests) * len(PATHS)
    logged: dict[int, list[Attempt]] = {one.id: [] for one in deliveries}
    for attempt in attempts:
        logged[attempt.delivery_id].append(attempt)
    for delivery in deliveries:
        assert delivery.state == "delivered"
        assert (delivery.lease_owner, delivery.lease_token, delivery.lease_until) == (None,) * 3
        story = logged[delivery.id]
        assert [one.number for one in story] == list(range(1, delivery.attempts + 1))
        *before, last = [one.status for one in story]
        assert last == 200
        # A receiver fails a message once; a death may keep that out of the log, nothing doubles it.
        assert before in ([], [{"/sick": 500, "/busy": 429}.get(paths[delivery.subscription_id])])
        message = f"evt_{delivery.event_id.hex}"
        assert len(story) <= times[paths[delivery.subscription_id], message]

    # Only what a killed worker had under way, or had not yet written down, came once more.
    assert len(receipts) - len(attempts) <= deaths * (SLOTS + BATCH)
    if database.is_sqlite:
        with database.session() as session, session.begin():
            assert session.connection().exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


def test_a_worker_that_is_left_takes_over_when_a_dead_one_s_lease_has_run_out(
    database: Database,
    database_url: str,
    receivers: ReceiverProcess,
    subscribe: Subscribe,
    organization: Organization,
) -> None:
    subscribe(receivers.url(SLOW))
    digests = publish_some(database, organization, 0)
    with worker_processes(database_url) as workers:
        workers.start([Fault("after an answer", EVENTS + 1)], timedelta())
        await_all(database)
        # On SQLite the second one waits for the place of the first, on PostgreSQL they share.
        workers.start([None], timedelta())
        for _ in range(5):
            digests |= publish_some(database, organization, len(digests))
        workers.await_a_death()
        await_all(database)
        workers.stop()
    assert {one.message_id for one in receivers.receipts()} == digests.keys()


#: Of a step that makes deliveries due: each of its writes, and both its commits.
STEPS = [
    Fault(seam, nth)
    for seam, most in (("within a write", 6), ("before a commit", 4), ("after a commit", 4))
    for nth in range(1, most + 1)
]


def test_a_recovery_is_killed_at_each_step_and_sends_everything_that_was_missed_once(
    database: Database,
    database_url: str,
    receivers: ReceiverProcess,
    subscribe: Subscribe,
    organization: Organization,
    clock: SystemClock,
) -> None:
    subscription = subscribe(receivers.url("/well")).subscription
    where = {"organization_id": organization.id, "actor": SYSTEM}
    with database.session() as session:
        Switches(clock).off(session, subscription.id, **where)  # type: ignore[arg-type]
    begin, digests = clock.now(), dict[str, str]()
    while len(digests) < MISSED:
        digests |= publish_some(database, organization, len(digests))
    with database.session() as session:
        Switches(clock).on(session, subscription.id, **where)  # type: ignore[arg-type]
    with database.session() as session:
        Recoveries(clock, Catalog()).start(session, subscription.id, since=begin, **where)  # type: ignore[arg-type]
    assert count(database) == 0
    with worker_processes(database_url) as workers:
        for fault in STEPS:
            workers.start([fault] * 2, LATER, recovering=True)
            workers.await_a_death()
            workers.kill()
        # What is left is done by workers and by who moves the job on, side by side.
        workers.start([None], LATER, recovering=True)
        workers.start([None], LATER)
        patience = time.monotonic() + 60
        while count(database, Delivery.state == "delivered") < len(digests):
            assert time.monotonic() < patience, "the recovery is stuck"
            time.sleep(0.02)
        workers.stop()
    assert count(database) == len(digests)
    assert Counter(one.message_id for one in receivers.receipts()) == dict.fromkeys(digests, 1)
    with database.session() as session, session.begin():
        recovery = session.scalars(select(Recovery)).one()
    assert (recovery.state, recovery.found, recovery.made) == ("done", MISSED, MISSED)


def await_all(database: Database) -> None:
    patience = time.monotonic() + 10 * LEASE
    while count(database, IS_PENDING):
        assert time.monotonic() < patience, "deliveries are stuck"
        time.sleep(0.02)
