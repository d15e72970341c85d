"""A worker that runs beside a test, and what can be seen of it in the tables."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import select

from keystore.db import Database
from webhooks.models import Attempt, Delivery
from webhooks.worker import Worker


@contextmanager
def running(worker: Worker) -> Iterator[None]:
    """Run a worker in a thread of its own; leave when it has stopped in good order."""
    stop = threading.Event()
    thread = threading.Thread(target=worker.run_forever, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for something that happens in another thread."""
    pause = threading.Event()
    for _ in range(round(seconds / 0.02)):
        if true():
            return
        pause.wait(0.02)
    raise AssertionError("it did not happen")


def no_thread(thread: threading.Thread) -> None:
    """Stands in for Thread.start where a process may have no more of them."""
    raise RuntimeError("can't start new thread")


def deliveries(database: Database) -> list[Delivery]:
    with database.session() as session, session.begin():
        return list(session.scalars(select(Delivery).order_by(Delivery.id)))


def attempts(database: Database) -> list[Attempt]:
    with database.session() as session, session.begin():
        return list(session.scalars(select(Attempt).order_by(Attempt.id)))
