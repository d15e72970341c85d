import os
import socket
import threading

import pytest

from keystore.clock import ManualClock
from keystore.db import Database, writing
from tests.support.statements import statements
from tests.webhooks.conftest import MakeWorker, Publish, Subscribe
from tests.webhooks.running import running
from webhooks import hold

HERE = socket.gethostname()[:40]
FAR = "elsewhere:1:abc"


@pytest.fixture
def ask(database: Database, clock: ManualClock) -> "Ask":
    return Ask(database, clock)


class Ask:
    """Asks for the hold, each time in a transaction of its own."""

    def __init__(self, database: Database, clock: ManualClock) -> None:
        self._database, self._clock = database, clock

    def take(self, owner: str) -> bool | None:
        with self._database.session() as session, writing(session):
            return hold.take(session, owner, self._clock.now())

    def give_back(self, owner: str) -> None:
        with self._database.session() as session, writing(session):
            hold.give_back(session, owner)


def test_one_worker_has_it_and_keeps_it_until_it_gives_it_back(ask: Ask) -> None:
    mine, other = hold.new_owner(), hold.new_owner()
    assert ask.take(mine) is True
    assert ask.take(mine) is False
    assert ask.take(other) is None
    ask.give_back(other)  # who does not have it changes nothing
    assert ask.take(other) is None
    ask.give_back(mine)
    assert ask.take(other) is True


def test_it_runs_out_unless_it_is_kept(ask: Ask, clock: ManualClock) -> None:
    ask.take(FAR)
    clock.advance(hold.LENGTH / 2)
    ask.take(FAR)
    clock.advance(hold.LENGTH / 2)
    mine = hold.new_owner()
    assert ask.take(mine) is None
    clock.advance(hold.LENGTH / 2)
    assert ask.take(mine) is True
    assert ask.take(FAR) is None


def test_a_process_of_this_machine_that_is_dead_holds_nothing(ask: Ask) -> None:
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    ask.take(f"{HERE}:{child}:abc")
    assert ask.take(hold.new_owner()) is True


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_who_waits_for_the_hold_is_seldom_in_a_writer_s_way(
    database: Database,
    make_worker: MakeWorker,
    subscribe: Subscribe,
    publish: Publish,
    clock: ManualClock,
) -> None:
    """SQLite lets one write at a time: a worker that may do nothing is to ask now and then only."""
    with database.session() as session, writing(session):
        hold.take(session, "elsewhere:1:abc", clock.now())
    subscribe("https://hooks.example.com/northwind")
    publish()
    worker = make_worker()
    with statements(database) as asked, running(worker):
        threading.Event().wait(0.7)
    assert 1 <= asked.count("BEGIN IMMEDIATE") <= 3  # one of these is for giving back
