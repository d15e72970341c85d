"""Something done in a thread of its own while its owner goes on, one thing at a time."""

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class Aside(Generic[T]):
    """One thread, which begins with the first task. Belongs to the thread that gives it tasks."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._ends: tuple[int, int] = (-1, -1)  # of a pipe, through which it says that it is done
        self._task: Future[T] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether there is a task whose result nobody has fetched."""
        return self._task is not None

    @property
    def is_done(self) -> bool:
        """Whether there is a result to fetch."""
        return self._task is not None and self._task.done()

    @property
    def bell(self) -> int:
        """A file descriptor that can be read as soon as there is a result to fetch."""
        return self._ends[0]

    def begin(self, task: Callable[[], T]) -> None:
        """Start a task; the result of the one before was fetched."""
        if self._task is not None:
            raise RuntimeError("one thing at a time")
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="aside")
            self._ends = os.pipe()
        self._task = self._pool.submit(task)
        self._task.add_done_callback(self._ring)

    def fetch(self) -> T:
        """Wait until the task is done; return its result, or raise what it raised."""
        if self._task is None:
            raise RuntimeError("nothing was begun")
        os.read(self.bell, 1)
        task, self._task = self._task, None
        return task.result()

    def _ring(self, _task: Future[T]) -> None:
        os.write(self._ends[1], b"!")

    def close(self) -> None:
        """Wait for the task, if there is one, and end the thread; a new task begins another."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool, self._task = None, None
            for end in self._ends:
                os.close(end)
