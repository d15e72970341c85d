"""What eight endpoints notice of a ninth that hangs and a tenth that drips a byte now and again.

Run it with `python -m tests.benchmarks.fairness`. Throughput: a backlog for all of them, until the
eight have theirs. Latency: events that come steadily, half as many as come through beside
the two when they are published as fast as can be. Each beside a run without the two, in turns.
"""

import sys

from sqlalchemy import update

from keystore.db import Database, writing
from tests.benchmarks import latency
from tests.benchmarks.latency import percentile
from tests.benchmarks.office import Office, Sink, databases, sink, until, worker
from tests.benchmarks.tables import goal, spread, table
from tests.support.receiver import Drip, Hang
from tests.support.receiver_process import ReceiverProcess, receiver_process
from webhooks.models import Subscription

ROUNDS = 9  # the machine is not the same from one to the next
GOOD = 8
BACKLOG = 2000  # events, each for all ten; a shorter one tells more of the machine than of us
EVENTS = 500  # published as fast as can be
WARM_UP, SECONDS = 1.0, 4.0
GOOD_PATH = "/hook/good"
GOAL_THROUGHPUT, GOAL_P99 = 0.95, 1.2


class Stage:
    """Eight endpoints, and two that misbehave."""

    def __init__(self, database: Database, place: Sink, trap: ReceiverProcess) -> None:
        self.office = Office(database)
        self._place = place
        self._good = [f"{place.url}/good{number}" for number in range(GOOD)]
        ill = [trap.url("/hang"), trap.url("/drip")]
        self._ill = self.office.subscribe(self._good + ill)[GOOD:]

    def treat(self, *, ill: bool) -> None:
        """Begin anew: nothing waits, nobody fails; the two are there, or not."""
        self.office.forget()
        with self.office.database.session() as session, writing(session):
            session.execute(
                update(Subscription).where(Subscription.id.in_(self._ill)).values(is_active=ill)
            )
        self._place.clear()

    def throughput(self) -> float:
        """Return what the eight get per second out of a backlog."""
        self.office.publish(BACKLOG)
        with worker(self.office.database):
            until(lambda: self._place.count(GOOD_PATH) >= BACKLOG * GOOD)
            arrivals = sorted(at for at, _ in self._arrivals())
        return len(arrivals) / (arrivals[-1] - arrivals[0])

    def full_load(self) -> float:
        """Return the events per second that come through when published as fast as can be."""
        with worker(self.office.database):
            begun = min(self.office.publish(EVENTS).values())
            until(lambda: self._place.count(GOOD_PATH) >= EVENTS * GOOD)
        return EVENTS / (max(at for at, _ in self._arrivals()) - begun)

    def p99(self, events_per_second: float) -> float:
        """Return the milliseconds in which 99 of 100 deliveries to the eight have arrived.

        Without those of the first second: a worker that has just begun is slow for another reason.
        """
        with worker(self.office.database):
            before = latency.steadily(self.office, events_per_second, WARM_UP)
            begun = latency.steadily(self.office, events_per_second, SECONDS)
            until(lambda: self._place.count(GOOD_PATH) >= (len(before) + len(begun)) * GOOD)
        found = [(at - begun[one]) * 1000 for at, one in self._arrivals() if one in begun]
        return percentile(sorted(found), 0.99)

    def _arrivals(self) -> list[tuple[float, str]]:
        found = self._place.arrivals()
        return [(at, message) for at, message, path in found if path.startswith(GOOD_PATH)]


def measure(stage: Stage) -> dict[str, list[float]]:
    """Return throughputs and p99s, without the two and with them, by round."""
    found: dict[str, list[float]] = {one: [] for one in ("well", "ill", "well p99", "ill p99")}
    for number in range(ROUNDS):
        # Who goes first changes, so that what the machine does meanwhile falls on both.
        for ill in (False, True) if number % 2 else (True, False):
            stage.treat(ill=ill)
            found["ill" if ill else "well"].append(stage.throughput())
    stage.treat(ill=True)
    pace = stage.full_load() / 2
    for number in range(ROUNDS):
        for ill in (False, True) if number % 2 else (True, False):
            stage.treat(ill=ill)
            found["ill p99" if ill else "well p99"].append(stage.p99(pace))
    return found


def main() -> None:
    rows, goals = [], []
    with (
        sink() as place,
        receiver_process({"/hang": Hang(), "/drip": Drip(every=1.0)}) as trap,
        databases() as fresh,
    ):
        if place is None:
            sys.stdout.write("\nFairness: not measured, as it needs nginx.\n")
            return
        for name, database in fresh():
            found = measure(Stage(database, place, trap))
            for what, key in (("the eight alone", "well"), ("one more hangs, one drips", "ill")):
                cells = [spread(found[key], ",.0f"), spread(found[f"{key} p99"], ".1f")]
                rows.append([f"{name}, {what}", *cells])
            goals.append((name, found))
    table(
        "Eight endpoints beside two that misbehave",
        f"A backlog of {BACKLOG} events for each endpoint, and then {SECONDS:.0f} seconds of "
        "events at half load (half of what comes through beside the two when published as fast as "
        "can be); one worker with the time-out of an installation (15 s). What the eight notice, "
        f"{ROUNDS} rounds of each, in turns.",
        ["", "the eight's deliveries per second", "their p99, ms"],
        rows,
    )
    for name, found in goals:
        ratios = [ill / well for ill, well in zip(found["ill"], found["well"], strict=True)]
        goal(f"throughput on {name}, beside a run without them", ratios, GOAL_THROUGHPUT)
        pairs = zip(found["ill p99"], found["well p99"], strict=True)
        later = [ill / well for ill, well in pairs]
        goal(f"p99 on {name}, beside a run without them", later, GOAL_P99, at_most=True)


if __name__ == "__main__":
    main()
