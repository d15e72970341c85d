"""How an idle worker learns that something was published, without asking all the time.

PostgreSQL tells (LISTEN/NOTIFY); of SQLite it can be seen that somebody has committed something
(`Database.mark`). Either may fail to: whoever waits here looks for work now and then all the same.
"""

import logging
import time
from typing import Any, Protocol

import psycopg

from keystore.db import Database
from webhooks.lanes import CHANNEL

PEEK_PAUSE = 0.002  # seconds between two looks at SQLite's mark
REPAIR_PAUSE = 5.0  # seconds before a broken connection is made anew

log = logging.getLogger(__name__)


class Waker(Protocol):
    """Something to wait by. Belongs to one thread."""

    def wait(self, seconds: float) -> bool:
        """Wait until something may have been published, or for so long; tell which. 0: look."""
        ...

    @property
    def bell(self) -> int | None:
        """A file descriptor that can be read when it is worth a look; None: there is none."""
        ...

    def close(self) -> None:
        """Hang up."""
        ...


def waker(db: Database) -> Waker:
    """Return what suits a database; opens no connection yet."""
    return Watch(db) if db.is_sqlite else Listener(db)


class Watch:
    """Sees SQLite's commits."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._seen: bytes | None = None

    def wait(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while (mark := self._db.mark()) == self._seen:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(PEEK_PAUSE, left))
        self._seen = mark
        return True

    @property
    def bell(self) -> None:
        return None

    def close(self) -> None:
        pass


class Listener:
    """Listens on a connection of its own, and makes it anew when it breaks."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._connection: psycopg.Connection[Any] | None = None
        self._repair_at = 0.0

    def wait(self, seconds: float) -> bool:
        try:
            connection = self._connected()
            if connection is not None:
                return any(True for _ in connection.notifies(timeout=seconds, stop_after=1))
        except psycopg.Error as error:
            log.warning("listening for events failed (%s); it is tried again", type(error).__name__)
            self.close()
            self._repair_at = time.monotonic() + REPAIR_PAUSE
        time.sleep(min(seconds, PEEK_PAUSE))
        return False

    @property
    def bell(self) -> int | None:
        connection = self._connection
        return None if connection is None or connection.closed else connection.fileno()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> psycopg.Connection[Any] | None:
        if self._connection is None and time.monotonic() >= self._repair_at:
            connection: psycopg.Connection[Any] = self._db.raw_connection()
            self._connection = connection
            connection.autocommit = True
            connection.execute(f"LISTEN {CHANNEL}")
        return self._connection
