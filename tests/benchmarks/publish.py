"""Publishing: what an event costs the transaction in which it happens, by how many want it.

Run it with `python -m tests.benchmarks.publish`.
"""

import statistics
import time
from unittest import mock

from sqlalchemy import literal, select, text

from keystore import prepared
from keystore.db import writing
from keystore.prepared import Direct
from tests.benchmarks.deliver import BENCH, BODY, CLOCK
from tests.benchmarks.office import OTHER, Office, Sink, databases, sink, until, worker
from tests.benchmarks.tables import goal, note, spread, table
from webhooks import outbox

ROUNDS = 5
EVENTS = 200  # in each round, for a fan-out of one
OTHERS = 10_000  # subscriptions to another event
CROWD = 10_000
GOAL_MS = 0.5


def publish(office: Office, events: int) -> tuple[float, float]:
    """Return the median milliseconds of `publish` alone, and with its transaction."""
    alone, whole = [], []
    for _ in range(events):
        begin = time.perf_counter()
        with office.database.session() as session, writing(session):
            # As whoever publishes has written something: the transaction has begun.
            session.execute(text("SELECT 1"))
            before = time.perf_counter()
            outbox.publish(
                session,
                organization_id=office.organization,
                event_type=BENCH,
                body=BODY,
                subject="",
                audience=None,
                now=CLOCK.now(),
            )
            alone.append((time.perf_counter() - before) * 1000)
        whole.append((time.perf_counter() - begin) * 1000)
    return statistics.median(alone), statistics.median(whole)


def statements(office: Office) -> tuple[float, float]:
    """Return the median milliseconds that the statements of `publish` for one take, together.

    And what as many take that do nothing.
    """
    run, taken, together, idle = prepared._run, list[float](), list[float](), list[float]()

    def timed(*given: object, **more: bool) -> None:
        begin = time.perf_counter()
        run(*given, **more)  # type: ignore[arg-type]
        taken.append((time.perf_counter() - begin) * 1000)

    nothing = Direct(select(literal(1)))
    with mock.patch.object(prepared, "_run", timed):
        for _ in range(EVENTS):
            office.publish(event_type=BENCH)
            together.append(sum(taken))
            count = len(taken)
            taken.clear()
            with office.database.session() as session, session.begin():
                for _ in range(count):
                    nothing.rows(session.connection())
            idle.append(sum(taken))
            taken.clear()
    return statistics.median(together), statistics.median(idle)


def arrive(office: Office, place: Sink) -> float:
    """Return the seconds from publishing until one event is at each of the crowd's endpoints."""
    office.forget()
    place.clear()
    [begun] = office.publish().values()
    with worker(office.database):
        until(lambda: place.count() >= CROWD - 1)
        arrivals = place.arrivals()
    assert len({path for _, _, path in arrivals}) == len(arrivals) == CROWD - 1
    return max(at for at, _, _ in arrivals) - begun


def main() -> None:
    rows, ones, whole = [], {}, dict[str, float]()
    parts = dict[str, tuple[float, float]]()
    with sink() as place, databases() as fresh:
        for name, database in fresh():
            office = Office(database)
            office.subscribe([f"https://other.example/{one}" for one in range(OTHERS)], OTHER)
            office.subscribe(["https://127.0.0.1:9/"])
            publish(office, 20)  # statements are compiled by then
            rounds = [publish(office, EVENTS) for _ in range(ROUNDS)]
            ones[name] = [alone for alone, _ in rounds]
            parts[name] = statements(office)
            rows.append((f"{name}, for one", rounds))
            url = place.url if place else "https://many.example"
            office.subscribe([f"{url}/{one}" for one in range(CROWD - 1)])
            rows.append((f"{name}, for {CROWD:,}", [publish(office, 1) for _ in range(ROUNDS)]))
            if place:
                whole[name] = arrive(office, place)
    table(
        "Publishing an event",
        f"2 KB, in a transaction of its own, beside {OTHERS:,} subscriptions to another event; "
        f"{ROUNDS} rounds of {EVENTS} events for one subscriber and of one event for {CROWD:,}.",
        ["", "`publish` alone, ms", "with begin and commit, ms"],
        [
            [
                name,
                spread([alone for alone, _ in rounds]),
                spread([whole for _, whole in rounds]),
            ]
            for name, rounds in rows
        ],
    )
    for name, (together, idle) in parts.items():
        note(
            f"For one on {name}, its statements take {together:.2f} ms; as many that do nothing, "
            f"{idle:.2f}."
        )
    for name, seconds in whole.items():
        note(f"One event for {CROWD:,} on {name} has arrived everywhere after {seconds:.1f} s.")
    for name, reached in ones.items():
        goal(f"`publish` for one on {name}, ms", reached, GOAL_MS, at_most=True)


if __name__ == "__main__":
    main()
