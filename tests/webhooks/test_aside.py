"""One thing at a time is done aside, and its owner hears of the end."""

import os
import select
import threading
from collections.abc import Iterator

import pytest

from webhooks.aside import Aside


@pytest.fixture
def aside() -> Iterator[Aside[int]]:
    made = Aside[int]()
    yield made
    made.close()


def can_be_read(bell: int, seconds: float) -> bool:
    readable, _, _ = select.select([bell], [], [], seconds)
    return bool(readable)


def test_a_task_is_done_while_its_owner_goes_on(aside: Aside[int]) -> None:
    go_on = threading.Event()
    aside.begin(lambda: threading.get_ident() if go_on.wait(10) else 0)
    assert aside.is_busy
    assert not aside.is_done
    assert not can_be_read(aside.bell, 0)
    go_on.set()
    assert can_be_read(aside.bell, 10)
    assert aside.is_done
    assert aside.fetch() not in {0, threading.get_ident()}
    assert not aside.is_busy
    assert not can_be_read(aside.bell, 0)


def test_all_tasks_have_the_same_thread(aside: Aside[int]) -> None:
    threads = set()
    for _ in range(3):
        aside.begin(threading.get_ident)
        threads.add(aside.fetch())
    assert len(threads) == 1


def test_what_a_task_raises_its_owner_gets(aside: Aside[int]) -> None:
    aside.begin(lambda: 1 // 0)
    assert can_be_read(aside.bell, 10)
    with pytest.raises(ZeroDivisionError):
        aside.fetch()
    aside.begin(lambda: 2)
    assert aside.fetch() == 2


def test_two_tasks_at_once_are_a_mistake(aside: Aside[int]) -> None:
    aside.begin(lambda: 1)
    with pytest.raises(RuntimeError, match="one thing at a time"):
        aside.begin(lambda: 2)
    assert aside.fetch() == 1


def test_without_a_task_there_is_nothing_to_fetch(aside: Aside[int]) -> None:
    with pytest.raises(RuntimeError, match="nothing was begun"):
        aside.fetch()


def test_closing_waits_for_the_task_and_leaves_nothing_open() -> None:
    aside, ended = Aside[None](), []
    aside.begin(lambda: ended.append("done"))
    bell = aside.bell
    aside.close()
    assert ended == ["done"]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(bell)
    assert not [one for one in threading.enumerate() if one.name.startswith("aside")]
    aside.begin(lambda: ended.append("again"))
    aside.fetch()
    assert ended == ["done", "again"]
    aside.close()
