"""Telling whether anything was committed to SQLite in the meantime, without asking SQLite.

All processes that use a database in WAL mode share an index of its log, the file `-shm`, which each
of them maps into its memory. Every commit writes the index's header anew before it returns: the
number of commits, the length of the log, a checksum of all that is in it, and the whole a second
time (https://sqlite.org/walformat.html, section 2.1). So nothing was committed, by whomever,
between two looks that find the same header; and a look costs no system call.
"""

import mmap
import os
import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

HEADER = 96  # bytes, both copies
VERSION = 3_007_000  # of the header's format, the only one that there has been
MOST_REMEMBERED = 10_000  # answers

Q = TypeVar("Q")
A = TypeVar("A")


class _Index:
    """The mapped index of one database."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.bytes = mmap.mmap(descriptor, HEADER, access=mmap.ACCESS_READ)
        self.users = 0

    def close(self) -> None:
        self.bytes.close()
        os.close(self._descriptor)


#: By device and inode. POSIX drops all of a process's locks on a file as soon as the process closes
#: any descriptor of it, and SQLite's locks are such ones. So an index stays open until the last of
#: those here who use its database have closed their connections.
_indexes: dict[tuple[int, int], _Index] = {}
_lock = threading.Lock()


class Commits:
    """The commits to one database, as they can be seen from this process."""

    def __init__(self, path: str, connect: Callable[[], sqlite3.Connection]) -> None:
        """path: of the database file. connect: opens one more connection to it, in WAL mode."""
        self._path = Path(f"{path}-shm")
        self._connect = connect
        # SQLite makes a new index when all connections were closed; with this one they never are.
        self._connection: sqlite3.Connection | None = None
        self._place: tuple[int, int] | None = None
        self._bytes: mmap.mmap | None = None

    def mark(self) -> bytes | None:
        """Return what is different after each commit; None where that cannot be told."""
        try:
            return (self._bytes or self._open())[:HEADER]
        except (OSError, ValueError, sqlite3.Error):  # no such file; closed just now; locked
            return None

    def close(self) -> None:
        """Let go of the index; to be called after all other connections were closed."""
        with _lock:
            connection, self._connection = self._connection, None
            place, self._place, self._bytes = self._place, None, None
            if connection is not None:
                connection.close()
            if place is not None:
                index = _indexes[place]
                index.users -= 1
                if not index.users:
                    del _indexes[place]
                    index.close()

    def _open(self) -> mmap.mmap:
        with _lock:
            if self._bytes is None:
                if self._connection is None:
                    self._connection = self._connect()
                # From its first look on it holds the database, and with it the index.
                self._connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
                self._bytes = self._mapped()
            return self._bytes

    def _mapped(self) -> mmap.mmap:
        found = self._path.stat()
        place = found.st_dev, found.st_ino
        index = _indexes.get(place)
        if index is None:
            # Kept whatever comes next, as closing it would drop locks.
            index = _indexes[place] = _Index(os.open(self._path, os.O_RDONLY | os.O_CLOEXEC))
        header = index.bytes[: HEADER // 2]
        if int.from_bytes(header[:4], sys.byteorder) != VERSION:
            raise ValueError("an index of another format")
        index.users += 1
        self._place = place
        return index.bytes


class UntilCommit(Generic[Q, A]):
    """Answers that the database gave, each good until the next commit to it."""

    def __init__(self) -> None:
        self._answers: tuple[bytes | None, dict[Q, A]] = (None, {})

    def get(self, mark: bytes | None, question: Q) -> A | None:
        """Return the answer that holds at this mark, if there is one."""
        since, answers = self._answers
        return answers.get(question) if mark is not None and mark == since else None

    def put(self, mark: bytes | None, question: Q, answer: A) -> None:
        """Remember an answer to a question that was put to the database after this mark."""
        since, answers = self._answers
        if mark is None:
            return
        if mark != since or len(answers) >= MOST_REMEMBERED:
            answers = {}
            self._answers = mark, answers
        answers[question] = answer
