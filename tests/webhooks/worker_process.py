"""Real delivery workers in processes of their own, to be killed where it hurts.

`python -m tests.webhooks.worker_process DATABASE_URL` has everything imported and opens nothing; on
order it forks workers, so that the hundredth costs no more than a moment. What a worker does is the
product's, and only this process knows where it will end: it kills itself, with SIGKILL, as it comes
to a seam for the n-th time.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.orm import configure_mappers

from keystore.clock import Clock, SystemClock
from keystore.credentials import SecretValue
from keystore.db import Database
from keystore.vault import Vault
from tests.webhooks.conftest import LOOPBACK
from webhooks.catalog import Catalog
from webhooks.recovery import Recoveries
from webhooks.transport import Transport
from webhooks.worker import Worker

ROOT = Path(__file__).parents[2]
TIMEOUT = 2.0
LEASE = 3.0
SLOTS = 20
BATCH = 10
PATIENCE = 30.0  # seconds; only reached when something is wrong


class Fault(NamedTuple):
    """Where a worker dies: as it comes to this seam for the n-th time, counted from 1."""

    seam: str
    nth: int


Visit = Callable[[], None]


def _before_a_request(_engine: Engine, visit: Visit) -> None:
    """The first time: everything is claimed and nothing sent."""
    start = Transport.start

    def starting(self: Any, *arguments: Any) -> None:
        visit()
        start(self, *arguments)

    Transport.start = starting  # type: ignore[method-assign,assignment]


def _after_an_answer(_engine: Engine, visit: Visit) -> None:
    """The receiver has it and has said so; nobody has written that down."""
    poll = Transport.poll

    def polling(self: Any, *arguments: Any) -> Any:
        finished = poll(self, *arguments)
        for _ in finished:
            visit()
        return finished

    Transport.poll = polling  # type: ignore[method-assign,assignment]


def _while_under_way(_engine: Engine, visit: Visit) -> None:
    """Requests have gone out, whole or in part, and answers are awaited."""
    poll = Transport.poll

    def polling(self: Any, *arguments: Any) -> Any:
        if self.busy:
            visit()
        return poll(self, *arguments)

    Transport.poll = polling  # type: ignore[method-assign,assignment]


def _within_a_write(engine: Engine, visit: Visit) -> None:
    """Between the statements of a claim or a record."""

    def before_statement(_c: object, _cursor: object, statement: str, *_more: object) -> None:
        if statement.lstrip()[:6].upper() in {"INSERT", "UPDATE", "DELETE"}:
            visit()

    event.listen(engine, "before_cursor_execute", before_statement)


def _before_a_commit(engine: Engine, visit: Visit) -> None:
    """All statements are through; none counts yet."""
    event.listen(engine, "commit", lambda _connection: visit())


def _after_a_commit(engine: Engine, visit: Visit) -> None:
    """It counts, and the worker does not know."""
    commit = engine.dialect.do_commit

    def committing(connection: Any) -> None:
        commit(connection)
        visit()

    engine.dialect.do_commit = committing  # type: ignore[method-assign,assignment]


SEAMS = {
    "before a request": _before_a_request,
    "while under way": _while_under_way,
    "after an answer": _after_an_answer,
    "within a write": _within_a_write,
    "before a commit": _before_a_commit,
    "after a commit": _after_a_commit,
}


class Shifted:
    """The machine's clock, put forward: leases run out and retries come due without waiting."""

    def __init__(self, by: timedelta) -> None:
        self._by = by

    def now(self) -> datetime:
        return SystemClock().now() + self._by


class WorkerProcesses:
    """The test's end: starts workers together and sees them end."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def start(
        self, faults: Sequence[Fault | None], ahead: timedelta, *, recovering: bool = False
    ) -> None:
        """Start so many, each with its fault if it is to have one; their clocks are ahead.

        recovering: they move recoveries on instead of sending.
        """
        self._ask("start", faults=faults, ahead=ahead.total_seconds(), recovering=recovering)

    def await_a_death(self) -> None:
        """Wait until one of them has come to its fault."""
        assert self._ask("await"), "no worker came to its fault"

    def kill(self) -> None:
        """End all that are left with SIGKILL, wherever they are."""
        self._ask("end", signal=signal.SIGKILL)

    def stop(self) -> None:
        """Let all end in good order."""
        assert set(self._ask("end", signal=signal.SIGTERM)) == {0}

    def _ask(self, what: str, **more: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"what": what, **more}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the process that starts workers has ended"
        return json.loads(line)


@contextmanager
def worker_processes(database_url: str) -> Iterator[WorkerProcesses]:
    """Make ready to start workers; whatever happens, none outlives the block."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.webhooks.worker_process", database_url],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield WorkerProcesses(process)
        # The end of its input is its end, and that of what it has started.


def work(database_url: str, fault: Fault | None, ahead: timedelta, *, recovering: bool) -> None:
    """Run one worker until it is told to stop or comes to its fault."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    database = Database(database_url)
    if fault is not None:
        SEAMS[fault.seam](database.engine, _dying_at(fault.nth))
    if recovering:
        recover(database, Shifted(ahead), stop)
        return
    worker = Worker(
        database,
        Vault([SecretValue("k" * 64)]),
        Shifted(ahead),
        allow_networks=LOOPBACK,
        timeout=TIMEOUT,
        lease=LEASE,
        slots=SLOTS,
        batch=BATCH,
    )
    worker.run_forever(stop)


def recover(database: Database, clock: Clock, stop: threading.Event) -> None:
    """Move recoveries on, again and again."""
    recoveries = Recoveries(clock, Catalog())
    while not stop.wait(0.005):
        with database.session() as session:
            recoveries.step(session)


def _dying_at(count: int) -> Callable[[], None]:
    seen = 0

    def visit() -> None:
        nonlocal seen
        seen += 1
        if seen == count:
            os.kill(os.getpid(), signal.SIGKILL)

    return visit


def _fork(database_url: str, fault: Fault | None, ahead: timedelta, *, recovering: bool) -> int:
    child = os.fork()
    return child or _become_worker(database_url, fault, ahead, recovering=recovering)


def _become_worker(
    database_url: str, fault: Fault | None, ahead: timedelta, *, recovering: bool
) -> NoReturn:
    status = 1
    try:
        os.close(0)
        os.dup2(2, 1)  # the answers to the test are the parent's alone
        work(database_url, fault, ahead, recovering=recovering)
        status = 0
    finally:
        os._exit(status)


def main(database_url: str) -> None:
    configure_mappers()  # once, not in every fork
    running: list[int] = []
    for line in sys.stdin:
        order = json.loads(line)
        answer: object = None
        match order["what"]:
            case "start":
                ahead = timedelta(seconds=order["ahead"])
                faults = [one and Fault(*one) for one in order["faults"]]
                running += [
                    _fork(database_url, fault, ahead, recovering=order["recovering"])
                    for fault in faults
                ]
            case "await":
                answer = _first_dead(running)
            case "end":
                answer = _end(running, order["signal"])
                running = []
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    _end(running, signal.SIGKILL)


def _first_dead(running: list[int]) -> int | None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found, status = os.waitpid(-1, os.WNOHANG)
        if found:
            running.remove(found)
            return found if os.WIFSIGNALED(status) else None
        time.sleep(0.005)
    return None


def _end(running: Sequence[int], how: int) -> list[int]:
    for one in running:
        os.kill(one, how)
    return [os.waitstatus_to_exitcode(os.waitpid(one, 0)[1]) for one in running]


if __name__ == "__main__":
    main(sys.argv[1])
