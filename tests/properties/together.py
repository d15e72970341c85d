"""Doing two things at the same time, and doing one thing only up to a point."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

PATIENCE = 30.0  # seconds; only reached when something is wrong
BLOCKED = 0.1  # seconds after which one that has not ended is taken to wait for the other
STILL_BLOCKED = 0.02  # seconds to see whether it has gone on


def at_once(*actions: Callable[[], Any]) -> tuple[list[Any], list[BaseException]]:
    """Start the actions at the same moment; return what they returned and what they raised."""
    start = threading.Barrier(len(actions))
    won: list[Any] = []
    lost: list[BaseException] = []

    def run(action: Callable[[], Any]) -> None:
        start.wait()
        try:
            won.append(action())
        except Exception as error:  # noqa: BLE001 - judged by the caller
            lost.append(error)

    threads = [threading.Thread(target=run, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return won, lost


class Stop(Exception):
    """Raised in the middle of a transaction, as if the process had died there."""


@contextmanager
def dying_at(engine: Engine, statement: int) -> Iterator[Callable[[], bool]]:
    """Break off at the n-th statement (from 1); one after the last is the commit itself.

    Yields a callable that tells whether it came to that.
    """
    seen, died = 0, False

    def before_statement(*_: object) -> None:
        nonlocal seen, died
        seen += 1
        if seen == statement:
            died = True
            raise Stop

    def before_commit(_connection: object) -> None:
        nonlocal died
        if seen == statement - 1:
            died = True
            raise Stop

    event.listen(engine, "before_cursor_execute", before_statement)
    event.listen(engine, "commit", before_commit)
    try:
        yield lambda: died
    finally:
        event.remove(engine, "before_cursor_execute", before_statement)
        event.remove(engine, "commit", before_commit)


class Gate:
    """Holds one thread before its n-th statement until it is let through."""

    def __init__(self, statement: int) -> None:
        self._statement = statement
        self._seen = 0
        self._thread: int | None = None
        self.reached = False
        self.arrived = threading.Event()
        self._open = threading.Event()

    def watch(self) -> None:
        """Make the calling thread the one that is held."""
        self._thread = threading.get_ident()

    def before_statement(self, *_: object) -> None:
        if threading.get_ident() != self._thread:
            return
        self._seen += 1
        if self._seen == self._statement:
            self.reached = True
            self.arrived.set()
            self._open.wait(PATIENCE)

    def let_through(self) -> None:
        self._open.set()


def interleaved(
    engine: Engine, first: Callable[[], Any], second: Callable[[], Any], statement: int
) -> tuple[tuple[Any, Any], bool]:
    """Run `first` up to its n-th statement, then all of `second` that can run, then the rest.

    Where the database makes the second wait for the first, the first goes on. Returns what each
    returned or raised, and whether the first has that many statements.
    """
    gate, ended = Gate(statement), [threading.Event(), threading.Event()]
    came: list[Any] = [None, None]

    def run(number: int, action: Callable[[], Any]) -> None:
        if number == 0:
            gate.watch()
        try:
            came[number] = action()
        except Exception as error:  # noqa: BLE001 - judged by the caller
            came[number] = error
        ended[number].set()
        gate.arrived.set()  # it may have fewer statements

    event.listen(engine, "before_cursor_execute", gate.before_statement)
    threads = [
        threading.Thread(target=run, args=(number, action))
        for number, action in enumerate((first, second))
    ]
    try:
        threads[0].start()
        gate.arrived.wait(PATIENCE)
        threads[1].start()
        ended[1].wait(BLOCKED)
        gate.let_through()
        for thread in threads:
            thread.join()
    finally:
        event.remove(engine, "before_cursor_execute", gate.before_statement)
    return (came[0], came[1]), gate.reached


class Actor:
    """One of several who act on one database, held before each statement and each commit."""

    def __init__(self, action: Callable[[], Any]) -> None:
        self._action = action
        self._may_go = threading.Semaphore(0)
        self._is_free = False
        self._stands = threading.Event()  # before a statement, or at the end
        self._thread = threading.Thread(target=self._run)
        self.has_ended = False
        self.came: Any = None

    @property
    def is_this_thread(self) -> bool:
        return threading.current_thread() is self._thread

    def start(self) -> None:
        self._thread.start()
        self._stands.wait(PATIENCE)

    def before_step(self) -> None:
        """Wait to be let through; called by its own thread."""
        if not self._is_free:
            self._stands.set()
            self._may_go.acquire(timeout=PATIENCE)

    def step(self) -> None:
        """Let it make one step, and wait until that is made or takes the other's end to make."""
        if self.has_ended:
            return
        if self._stands.is_set():
            self._stands.clear()
            self._may_go.release()
            self._stands.wait(BLOCKED)
        else:  # it waits for another one in the step that it was let make before
            self._stands.wait(STILL_BLOCKED)

    def finish(self) -> None:
        """Let it go on to its end, without waiting for that."""
        self._is_free = True
        self._may_go.release()

    def join(self) -> Any:
        """Return what came of it."""
        self._thread.join()
        return self.came

    def _run(self) -> None:
        try:
            self.came = self._action()
        except Exception as error:  # noqa: BLE001 - judged by the caller
            self.came = error
        self.has_ended = True
        self._stands.set()


def in_steps(
    engine: Engine, actions: Sequence[Callable[[], Any]], order: Sequence[int]
) -> tuple[Any, ...]:
    """Let the actions make one statement each by the order of their numbers; then all go on.

    Whoever waits for a lock of another's is passed over meanwhile. Returns what each returned or
    raised.
    """
    actors = [Actor(action) for action in actions]

    def before(*_: object) -> None:
        for actor in actors:
            if actor.is_this_thread:
                actor.before_step()

    names = ("before_cursor_execute", "commit")
    for name in names:
        event.listen(engine, name, before)
    try:
        for actor in actors:
            actor.start()
        for number in order:
            actors[number].step()
        for actor in actors:
            actor.finish()
        return tuple(actor.join() for actor in actors)
    finally:
        for name in names:
            event.remove(engine, name, before)
