"""The worker is killed at random moments, again and again; in the end everything has arrived."""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import func, select

from keystore.clock import SystemClock
from keystore.db import Database, writing
from keystore.models import Organization
from tests.support.receiver import Answer, Receiver
from tests.webhooks.conftest import NOTE_READY, Subscribe
from tests.webhooks.worker_process import BATCH, SLOTS
from webhooks import outbox
from webhooks.models import IS_PENDING, Attempt, Delivery

ROOT = Path(__file__).parents[2]
EVENTS = 2_000
KILLS = 12
SEED = 20260504


@pytest.fixture
def clock() -> SystemClock:
    """Other processes take part, so time is the machine's."""
    return SystemClock()


@pytest.fixture
def published(
    database: Database,
    subscribe: Subscribe,
    receiver: Receiver,
    organization: Organization,
    clock: SystemClock,
) -> dict[str, bytes]:
    """Bodies by message id, of events that nobody has sent yet."""
    subscribe(receiver.url())
    bodies = {}
    with database.session() as session, writing(session):
        for number in range(EVENTS):
            body = b'{"note": %d, "text": "%s"}' % (number, b"x" * (number % 2_000))
            event = outbox.publish(
                session,
                organization_id=organization.id,
                event_type=NOTE_READY,
                audience=None,
                body=body,
                subject=f"note-{number}",
                now=clock.now(),
            )
            bodies[f"evt_{event.id.hex}"] = body
    return bodies


@contextmanager
def worker_process(database_url: str) -> Iterator["subprocess.Popen[str]"]:
    """Start a worker and wait until it begins; whatever happens, it does not outlive the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.webhooks.worker_process", database_url],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def count(database: Database, *conditions: object) -> int:
    with database.session() as session, session.begin():
        query = select(func.count()).select_from(Delivery).where(*conditions)  # type: ignore[arg-type]
        return session.scalars(query).one()


def test_no_event_is_lost_however_often_the_worker_is_killed(
    database: Database, database_url: str, receiver: Receiver, published: dict[str, bytes]
) -> None:
    receiver.default = Answer(delay=0.02)
    random = Random(SEED)
    orphans = 0
    for _ in range(KILLS):
        with worker_process(database_url) as process:
            time.sleep(random.uniform(0.0, 0.25))
            process.kill()  # SIGKILL: it gets no chance to tidy up
        orphans += count(database, Delivery.lease_token.is_not(None), IS_PENDING)
    assert orphans, "no kill hit anything: this proved nothing"
    assert count(database, IS_PENDING) > 0, "all was sent before the last kill"

    with worker_process(database_url) as last:
        deadline = time.monotonic() + 60
        while count(database, IS_PENDING):
            assert time.monotonic() < deadline, "deliveries are stuck"
            time.sleep(0.1)
        last.terminate()
        assert last.wait(20) == 0

    # The receiver has every event at least once, and always the same one under the same id.
    receipts = Counter(request.headers["webhook-id"] for request in receiver.requests)
    assert receipts.keys() == published.keys()
    assert all(
        request.body == published[request.headers["webhook-id"]] for request in receiver.requests
    )
    # Only what a killed worker had under way, or had not yet written down, came twice.
    assert receipts.total() - EVENTS <= KILLS * (SLOTS + BATCH)

    # The log agrees.
    with database.session() as session, session.begin():
        deliveries = session.scalars(select(Delivery)).all()
        attempts = session.scalars(select(Attempt)).all()
    successes = Counter(one.delivery_id for one in attempts if one.status == 200)
    assert len(deliveries) == EVENTS
    for delivery in deliveries:
        assert (delivery.state, delivery.attempts) == ("delivered", 1)
        assert successes[delivery.id] == 1 <= receipts[f"evt_{delivery.event_id.hex}"]
        assert (delivery.lease_owner, delivery.lease_token, delivery.lease_until) == (None,) * 3
    assert len(attempts) == EVENTS
    if database.is_sqlite:
        with database.session() as session, session.begin():
            assert session.connection().exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
