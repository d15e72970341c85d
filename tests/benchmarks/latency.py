"""How long it takes from publishing to arrival: with nothing else to do, and at half load.

Run it with `python -m tests.benchmarks.latency`. One worker in a process of its own, this process
publishes, nginx takes everything and writes down when. A time is from before the publishing
transaction until nginx has answered.
"""

import statistics
import sys
import time
from random import Random

from tests.benchmarks.office import OTHER, Office, Sink, databases, sink, until, worker
from tests.benchmarks.tables import goal, spread, table

ROUNDS = 3
ENDPOINTS = 20  # each event is for all of them
EVENTS = 250  # published and delivered as fast as can be, to know what full load is
IDLE_EVENTS = 60
SECONDS = 5.0  # at half load
SEED = 20260504
GOAL_P50, GOAL_P99 = 20.0, 100.0


def times(place: Sink, begun: dict[str, float], count: int) -> list[float]:
    """Return the milliseconds that each delivery took, once so many have arrived."""
    until(lambda: place.count() >= count)
    return sorted((at - begun[message]) * 1000 for at, message, _ in place.arrivals())


def full_load(office: Office, place: Sink) -> float:
    """Return the deliveries per second when events are published as fast as they can be."""
    place.clear()
    with worker(office.database):
        begun = min(office.publish(EVENTS).values())
        until(lambda: place.count() >= EVENTS * ENDPOINTS)
        last = max(at for at, _, _ in place.arrivals())
        until(lambda: not office.is_pending())
    return EVENTS * ENDPOINTS / (last - begun)


def idle(office: Office, place: Sink, random: Random) -> list[float]:
    """Publish now and then, and return how long each delivery took."""
    place.clear()
    begun = dict[str, float]()
    for _ in range(IDLE_EVENTS):
        time.sleep(random.uniform(0.02, 0.08))
        begun |= office.publish(event_type=OTHER)
    return times(place, begun, IDLE_EVENTS)


def loaded(office: Office, place: Sink, per_second: float) -> list[float]:
    """Publish steadily for a while, and return how long each delivery took."""
    place.clear()
    begun = steadily(office, per_second / ENDPOINTS, SECONDS)
    return times(place, begun, len(begun) * ENDPOINTS)


def steadily(office: Office, per_second: float, seconds: float) -> dict[str, float]:
    """Publish so many events a second, for so long; return when each began, by message id."""
    begun = dict[str, float]()
    start = time.monotonic()
    for number in range(round(seconds * per_second)):
        time.sleep(max(0.0, start + number / per_second - time.monotonic()))
        begun |= office.publish()
    return begun


def percentile(sorted_times: list[float], part: float) -> float:
    """Return the time within which this part of the deliveries arrived."""
    return sorted_times[min(len(sorted_times) - 1, int(len(sorted_times) * part))]


def measure(
    office: Office, place: Sink
) -> tuple[list[float], list[list[float]], list[list[float]]]:
    """Return full load, and the times of each round when idle and at half load."""
    random = Random(SEED)
    full = [full_load(office, place) for _ in range(ROUNDS)]
    quiet, busy = [], []
    with worker(office.database):
        for _ in range(ROUNDS):
            quiet.append(idle(office, place, random))
            busy.append(loaded(office, place, statistics.median(full) / 2))
            until(lambda: not office.is_pending())
    return full, quiet, busy


def main() -> None:
    rows, goals = [], []
    with sink() as place, databases() as fresh:
        if place is None:
            sys.stdout.write("\nLatency: not measured, as it needs nginx.\n")
            return
        for name, database in fresh():
            office = Office(database)
            office.subscribe([f"{place.url}/{number}" for number in range(ENDPOINTS)])
            office.subscribe([f"{place.url}/alone"], OTHER)
            full, quiet, busy = measure(office, place)
            for what, rounds in (("idle", quiet), ("half load", busy)):
                halves = [percentile(one, 0.5) for one in rounds]
                worst = [percentile(one, 0.99) for one in rounds]
                load = f"{statistics.median(full) / 2:,.0f}/s" if rounds is busy else ""
                rows.append([f"{name}, {what}", load, spread(halves, ".1f"), spread(worst, ".1f")])
                goals.append((f"p50 on {name}, {what}, ms", halves, GOAL_P50))
                if rounds is busy:
                    goals.append((f"p99 on {name}, {what}, ms", worst, GOAL_P99))
    table(
        "From publishing to arrival",
        f"2 KB, when idle to one endpoint, under load to {ENDPOINTS} at a time, from before the "
        "publishing transaction until nginx has answered; one worker. Half load is half of what "
        f"comes through when events are published as fast as can be. {ROUNDS} rounds.",
        ["", "deliveries", "p50, ms", "p99, ms"],
        rows,
    )
    for text, reached, bound in goals:
        goal(text, reached, bound, at_most=True)


if __name__ == "__main__":
    main()
