"""What a claim costs when the log has grown long, among 10,000 subscriptions.

Run it with `python -m tests.benchmarks.claims`. A claim of a whole batch, with its transaction,
rolled back at the end so that the next one finds the same.
"""

import os
import time
from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy import func, select, text

from keystore.db import BEGIN, Database, writing
from tests.benchmarks.deliver import CLOCK
from tests.benchmarks.office import Office, databases
from tests.benchmarks.tables import goal, spread, table
from webhooks import fairness, leases
from webhooks.fairness import Room
from webhooks.models import Delivery

SUBSCRIPTIONS = 10_000
SIZES = tuple(sorted({0, 1_000_000, int(os.environ.get("ROWS", "0"))}))  # ROWS=10000000: more
PART = 500_000  # rows per transaction
FILL_SECONDS = 240.0  # after which the log is as long as it is
CLAIMS = 30
BATCH, SLOTS = 256, 640  # as a worker has them
GOAL = 1.5  # times the cost with an empty log

_FILL = """
INSERT INTO deliveries (organization_id, event_id, subscription_id, without, state, attempts,
                        throttles, created_at, due_at, finished_at)
SELECT organization_id, event_id, subscription_id, without, 'delivered', 1, 0, created_at, due_at,
       created_at
FROM deliveries WHERE state = 'delivered' LIMIT {count}
"""


def claim_ms(database: Database) -> Iterator[float]:
    """Yield the milliseconds that each claim of a batch took."""
    for _ in range(CLAIMS):
        begin = time.perf_counter()
        with database.session() as session, session.begin() as transaction:
            session.connection(execution_options={BEGIN: "IMMEDIATE"})
            claimed = leases.claim(
                session,
                now=CLOCK.now(),
                owner="bench",
                lease=timedelta(seconds=60),
                room=Room(BATCH, BATCH // 2, fairness.cap(SLOTS, SLOTS), {}),
            )
            taken = (time.perf_counter() - begin) * 1000
            transaction.rollback()
        assert len(claimed.jobs) == BATCH
        yield taken


def log_size(database: Database) -> int:
    with database.session() as session, session.begin():
        done = select(func.count()).select_from(Delivery).where(Delivery.state == "delivered")
        return session.scalars(done).one()


def lengthen(database: Database, size: int) -> None:
    """Fill the log with copies of what is in it, up to a size or for so long."""
    deadline = time.monotonic() + FILL_SECONDS
    have = log_size(database)
    if have < size and not have:
        with database.session() as session, writing(session):
            session.execute(
                text(
                    "UPDATE deliveries SET state = 'delivered', attempts = 1, finished_at = due_at"
                    " WHERE id <= (SELECT count(*) / 2 FROM deliveries)"
                )
            )
        have = log_size(database)
    while have < size and time.monotonic() < deadline:
        count = min(have, PART, size - have)
        with database.session() as session, writing(session):
            session.execute(text(_FILL.format(count=count)))
        have += count
    database.analyze()


def main() -> None:
    rows, costs = [], dict[str, list[list[float]]]()
    with databases() as fresh:
        for name, database in fresh():
            office = Office(database)
            office.subscribe([f"https://one.example/{one}" for one in range(SUBSCRIPTIONS)])
            office.publish(2)
            costs[name] = []
            for size in SIZES:
                lengthen(database, size)
                took = list(claim_ms(database))
                costs[name].append(took)
                rows.append([f"{name}, {log_size(database):,} in the log", spread(took)])
    table(
        "Claiming",
        f"{BATCH} deliveries of at least {SUBSCRIPTIONS:,} that are due for {SUBSCRIPTIONS:,} "
        f"subscriptions, {CLAIMS} times.",
        ["", "a claim, ms"],
        rows,
    )
    for name, (empty, *fuller) in costs.items():
        last = [full / base for full, base in zip(sorted(fuller[-1]), sorted(empty), strict=True)]
        goal(f"a claim on {name} with the longest log, beside none", last, GOAL, at_most=True)


if __name__ == "__main__":
    main()
