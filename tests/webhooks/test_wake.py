from collections.abc import Iterator
from select import select

import pytest
from sqlalchemy import text

from keystore.db import Database
from tests.webhooks.conftest import Publish, Subscribe
from webhooks import wake
from webhooks.wake import Waker

URL = "https://hooks.example.com/northwind"
PATIENCE = 30.0  # seconds; only reached when something is wrong


@pytest.fixture
def waker(database: Database) -> Iterator[Waker]:
    waker = wake.waker(database)
    waker.wait(0.0)  # from here on it listens
    yield waker
    waker.close()


def test_what_is_published_wakes_and_nothing_else_does(
    waker: Waker, subscribe: Subscribe, publish: Publish
) -> None:
    subscribe(URL)
    waker.wait(0.0)
    assert not waker.wait(0.0)
    publish(1)
    assert waker.wait(PATIENCE)
    assert not waker.wait(0.0)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_bell_rings_for_whoever_waits_for_more_than_one_thing(
    waker: Waker, subscribe: Subscribe, publish: Publish
) -> None:
    subscribe(URL)
    waker.wait(0.0)
    assert waker.bell is not None
    assert select([waker.bell], [], [], 0.0)[0] == []
    publish(1)
    assert select([waker.bell], [], [], PATIENCE)[0] == [waker.bell]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_sqlite_has_no_bell(waker: Waker) -> None:
    assert waker.bell is None


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_listener_whose_connection_breaks_listens_again(
    database: Database,
    waker: Waker,
    subscribe: Subscribe,
    publish: Publish,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wake, "REPAIR_PAUSE", 0.0)
    subscribe(URL)
    with database.engine.connect() as connection:
        others = "pid <> pg_backend_pid() AND datname = current_database()"
        kill = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"
        connection.execute(text(kill))
    assert not waker.wait(PATIENCE)  # it notices, and does not fail
    waker.wait(0.0)
    publish(1)
    assert waker.wait(PATIENCE)
