"""What a delivery is made of: the processor time of its parts, each for itself, without a worker.

Run it with `python -m tests.benchmarks delivery`. A worker has more to do than the sum of these,
and does them in two threads that hand Python's lock to each other; the table of `deliver` has that.
"""

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import NamedTuple

from connector.serving import settle
from keystore.db import Database
from tests.benchmarks import deliver
from tests.benchmarks.deliver import BODY, CLOCK, DELIVERIES, ENDPOINTS, LOOPBACK, VAULT
from tests.benchmarks.tables import note, spread, table
from tests.support.databases import PostgreSQL, fresh_database, sqlite_template
from webhooks import retry
from webhooks.catalog import Catalog
from webhooks.envelope import Envelopes, message_id
from webhooks.fairness import Room
from webhooks.health import Health
from webhooks.outcome import Ending, Outcome
from webhooks.picking import Job
from webhooks.settling import Result
from webhooks.transport import Transport
from webhooks.visits import Visits

ROUNDS = 3
BATCH = 256  # deliveries in a visit, and requests under way at once
SENT = 30_000
MICROSECONDS = 1_000_000
LINES = ["content-type: application/json", "webhook-signature: v1," + "0" * 43 + "="]
OK = Outcome(Ending.ANSWERED, 1, status=200, excerpt="ok")


class Parts(NamedTuple):
    """What one round took, in microseconds of processor time for one delivery."""

    sending: float
    signing: float
    deciding: float
    visiting_sqlite: float
    visiting_postgresql: float  # of this process; what PostgreSQL takes is not in it


TITLES = (  # in the same order
    "POSTing it, by libcurl",
    "its header lines, signed",
    "what is to become of it",
    "claiming it and writing down what came of it: SQLite",
    "the same: PostgreSQL, without what that takes itself",
)


def sending(url: str) -> tuple[float, float]:
    """POST without a worker; return the processor time of one, and how many were sent a second."""
    transport: Transport[int] = Transport(slots=BATCH, timeout=15.0, allow_networks=LOOPBACK)
    started = done = 0
    begin, used = time.monotonic(), time.thread_time()
    while done < SENT:
        while started < min(done + BATCH, SENT):
            transport.start(started, f"{url}/{started % ENDPOINTS}", LINES, BODY)
            started += 1
        for _, outcome in transport.poll(1.0):
            assert outcome.status == 200, outcome
            done += 1
    seconds, used = time.monotonic() - begin, time.thread_time() - used
    transport.close()
    return used / SENT * MICROSECONDS, SENT / seconds


def visiting(database: Database, url: str) -> tuple[float, list[Job]]:
    """Claim and settle without sending; return the processor time of one delivery, and some."""
    deliver.fill(database, url)
    visits = Visits(
        database,
        CLOCK,
        lease=timedelta(seconds=45),
        health=Health(timedelta(days=1)),
        catalog=Catalog(),
    )
    room, results, count = Room(BATCH, BATCH, BATCH, {}), list[Result](), 0
    some = visits.write_and_claim([], room)  # statements are compiled by then
    jobs, used = some, time.thread_time()
    while jobs:
        results = [Result(job, job.created_at, LINES, OK, retry.DELIVERED) for job in jobs]
        count += len(results)
        jobs = visits.write_and_claim(results, room)
    assert count == DELIVERIES
    return (time.thread_time() - used) / count * MICROSECONDS, some


def each(jobs: list[Job], act: Callable[[Job], object]) -> float:
    """Return the processor time of doing something with a job."""
    turns = range(SENT // len(jobs))
    used = time.thread_time()
    for _ in turns:
        for job in jobs:
            act(job)
    return (time.thread_time() - used) / (len(turns) * len(jobs)) * MICROSECONDS


def measure(folder: Path, server: PostgreSQL, url: str) -> tuple[Parts, float]:
    """Return the parts of one round, and how many were sent a second by sending alone."""
    sent, rate = sending(url)
    path = folder / "keyhook.db"
    shutil.copy(sqlite_template(), path)
    with fresh_database(f"sqlite:///{path}") as database:
        on_sqlite, jobs = visiting(database, url)
    address = server.create()
    with fresh_database(address) as database:
        on_postgresql, _ = visiting(database, url)
    server.drop(address)
    envelopes, now, random = Envelopes(VAULT), CLOCK.now(), Random(1)
    timestamp = int(now.timestamp())
    signed = each(
        jobs,
        lambda job: envelopes.lines(job.endpoint, message_id(job.event_id), job.body, timestamp),
    )
    decided = each(
        jobs, lambda _: retry.decide(OK, failures=0, throttles=0, now=now, random=random)
    )
    return Parts(sent, signed, decided, on_sqlite, on_postgresql), rate


def main() -> None:
    nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    wrk = shutil.which("wrk")
    if nginx is None or wrk is None:
        sys.stdout.write("\nWhat a delivery is made of: not measured; it needs nginx and wrk.\n")
        return
    settle()
    rounds, rates, ratios = list[Parts](), list[float](), list[float]()
    server = PostgreSQL(durable=True)
    with tempfile.TemporaryDirectory() as name, deliver.nginx(nginx, Path(name)) as url:
        os.sched_setaffinity(0, {deliver.PROCESSORS[-1]})
        script = Path(name) / "post.lua"
        script.write_text(deliver.WRK)
        for _ in range(ROUNDS):
            reference = deliver.by_wrk(wrk, url, script)
            parts, rate = measure(Path(name), server, url)
            rounds.append(parts)
            rates.append(rate)
            ratios.append(rate / reference)
        os.sched_setaffinity(0, deliver.PROCESSORS)
    server.stop()
    server.remove()
    table(
        "What a delivery is made of",
        f"Each for itself, in one thread; {DELIVERIES:,} deliveries of 2 KB to {ENDPOINTS} "
        f"endpoints, {BATCH} at a time; {ROUNDS} rounds.",
        ["part", "processor time of one, µs"],
        [
            [title, spread(list(taken), ".1f")]
            for title, taken in zip(TITLES, zip(*rounds, strict=True), strict=True)
        ],
    )
    note(
        f"POSTing alone, without all the rest: {statistics.median(rates):,.0f} a second, "
        f"{spread(ratios)} of wrk's."
    )


if __name__ == "__main__":
    main()
