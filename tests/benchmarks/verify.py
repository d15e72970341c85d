"""Verifying a key: `GET /v1/me/` beside a bare Flask view and beside another key store.

Run it with `python -m tests.benchmarks verify`. wrk (a Debian package) makes the load. The keys
that are used have a data scope, a list of networks and a rate limit.
"""

import shutil
import sys
import tempfile
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from tests.benchmarks import crowd, load, servers
from tests.benchmarks.tables import goal, show

KEYS = 100_000
FEW, MANY = 1_000, 1_000_000
USED = 100  # of FEW and of MANY, in turns, so that more than one path through the index is walked
ROUNDS = 6
SECONDS = 3


def method(what: str) -> str:
    options = ", ".join(f"{name} {value}" for name, value in servers.OPTIONS.items())
    return (
        f"{what} Each server is granian with one process ({options}); wrk with {load.CONNECTIONS} "
        f"connections on the same processors, {ROUNDS} rounds of {SECONDS} s in turns."
    )


def beside_others(folder: Path) -> None:
    """Measure the whole check beside a view that checks nothing, and beside the rival's check."""
    with ExitStack() as running:
        targets = [running.enter_context(servers.hello())]
        pairs = crowd.settle(folder, keys=KEYS)
        targets.append(running.enter_context(servers.unchecked(folder)))
        targets.append(running.enter_context(servers.keyhook("GET /v1/me/", folder, pairs)))
        targets += [running.enter_context(one) for one in rivals_of(folder / "rival.db")]
        measured = load.measure(targets, folder, rounds=ROUNDS, seconds=SECONDS)
    hello, unchecked, ours, *rivals = measured
    show(
        "Verifying a key",
        method(
            f"`GET /v1/me/` with {KEYS:,} keys in SQLite, beside a Flask view that returns one "
            "JSON object, that view in our app, where nobody needs a key for it, and a Django REST "
            "view that does so behind `HasAPIKey`, with as many keys in SQLite and database "
            "connections made anew for each request (Django's default) or kept."
        ),
        hello,
        [unchecked, ours, *rivals],
    )
    goal("rate of the bare Flask hello", ours.ratios(hello), 0.5)
    goal("µs of processor time beside it", ours.added(hello), 60, at_most=True)
    for rival in rivals:
        goal(f"rate of {rival.name}", ours.ratios(rival), 2.5)
    if not rivals:
        sys.stdout.write("- djangorestframework-api-key: not installed; `make bench` does so\n")


def rivals_of(database: Path) -> list[AbstractContextManager[load.Target]]:
    """Return the servers of the other key store, if it is installed, on a database as large."""
    if not servers.RIVAL_PYTHON.exists():
        return []
    key = servers.seed_rival(database, KEYS)
    return [servers.rival(database, key, connections) for connections in ("anew", "kept")]


def by_size(folder: Path) -> None:
    """Measure the check among many keys beside the check among few."""
    with ExitStack() as running:
        targets = []
        for keys in (FEW, MANY):
            place = folder / str(keys)
            place.mkdir()
            pairs = crowd.settle(place, keys=keys, used=USED)
            targets.append(running.enter_context(servers.keyhook(f"{keys:,} keys", place, pairs)))
        few, many = load.measure(targets, folder, rounds=ROUNDS, seconds=SECONDS)
    show(
        "A thousand times as many keys",
        method(f"`GET /v1/me/` in SQLite; {USED} of the keys are used in turns."),
        few,
        [many],
    )
    goal("rate among few keys", many.ratios(few), 0.9)


def main() -> None:
    if shutil.which("wrk") is None or not Path("/proc/self/stat").exists():
        sys.stdout.write("\nVerifying: not measured, as it needs wrk and /proc.\n")
        return
    with tempfile.TemporaryDirectory() as name:
        beside_others(Path(name))
    with tempfile.TemporaryDirectory() as name:
        by_size(Path(name))
