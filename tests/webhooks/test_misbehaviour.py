"""A receiver does its worst; the log says what it did, and its neighbour gets everything meanwhile.

Each story runs the real worker as in earnest, on either database.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from keystore.db import Database
from tests.support.certificates import certified_for
from tests.support.receiver import (
    Answer,
    Behaviour,
    CloseEarly,
    Drip,
    Flood,
    Hang,
    Raw,
    Receiver,
)
from tests.support.receiver_process import receiver_process
from tests.webhooks.conftest import MakeWorker, Publish, Subscribe
from tests.webhooks.running import running, until
from webhooks.models import Attempt, Delivery, DeliveryState

EVENTS = 3
IN_TIME = "No whole answer came in time."
BROKEN = "The connection broke, or the answer was not HTTP."
CERTIFICATE = "The host's TLS certificate is not valid for its name."

Told = tuple[str, int | None, str | None]


@pytest.fixture
def neighbour() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def told(database: Database, subscription_id: object) -> list[Told]:
    """Return what the log says of the attempts at one endpoint."""
    with database.session() as session, session.begin():
        rows = session.execute(
            select(Attempt.outcome, Attempt.status, Attempt.error)
            .join(Delivery, Delivery.id == Attempt.delivery_id)
            .where(Delivery.subscription_id == subscription_id)
            .order_by(Attempt.id)
        ).all()
    return [(row.outcome, row.status, row.error) for row in rows]


def states(database: Database, subscription_id: object) -> list[DeliveryState]:
    with database.session() as session, session.begin():
        which = Delivery.subscription_id == subscription_id
        return list(session.scalars(select(Delivery.state).where(which).order_by(Delivery.id)))


class Stage:
    """Two endpoints, of which one misbehaves, and a worker."""

    def __init__(
        self,
        database: Database,
        subscribe: Subscribe,
        publish: Publish,
        make_worker: MakeWorker,
        neighbour: Receiver,
    ) -> None:
        self._database, self._subscribe, self._publish = database, subscribe, publish
        self._make_worker, self._neighbour = make_worker, neighbour

    def play(self, url: str, **worker: object) -> list[Told]:
        """Publish for both, wait until all was tried, and return what the log says of this one."""
        bad = self._subscribe(url).subscription.id
        good = self._subscribe(self._neighbour.url()).subscription.id
        for number in range(EVENTS):
            self._publish(number)
        with running(self._make_worker(**worker)):
            self._neighbour.wait_for(EVENTS)
            until(lambda: len(told(self._database, bad)) == EVENTS)
            until(lambda: states(self._database, good) == ["delivered"] * EVENTS)
        assert states(self._database, bad) in (["pending"] * EVENTS, ["delivered"] * EVENTS)
        return told(self._database, bad)


@pytest.fixture
def stage(
    database: Database,
    subscribe: Subscribe,
    publish: Publish,
    make_worker: MakeWorker,
    neighbour: Receiver,
) -> Stage:
    return Stage(database, subscribe, publish, make_worker, neighbour)


@pytest.mark.parametrize(
    ("behaviour", "story"),
    [
        pytest.param(Hang(), ("timed_out", None, IN_TIME), id="hangs"),
        pytest.param(Drip(every=0.2), ("timed_out", 200, IN_TIME), id="drips"),
        pytest.param(Flood(), ("answered", 200, None), id="200-megabytes"),
        pytest.param(
            CloseEarly("before"),
            ("broken", None, "The connection was closed without an answer."),
            id="closes-before-a-word",
        ),
        pytest.param(
            CloseEarly("within"), ("broken", 200, "The answer was cut short."), id="closes-early"
        ),
        pytest.param(Raw(b"\x16\x03 ...\r\n"), ("broken", None, BROKEN), id="no-http"),
        pytest.param(
            Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno number\r\n"),
            ("broken", 200, BROKEN),
            id="broken-http",
        ),
        pytest.param(Answer(500), ("answered", 500, None), id="fails"),
    ],
)
def test_bad_answers(stage: Stage, receiver: Receiver, behaviour: Behaviour, story: Told) -> None:
    receiver.default = behaviour
    assert stage.play(receiver.url()) == [story] * EVENTS
    assert receiver.flooded < 50_000_000


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_s_second_hop_is_never_visited(
    stage: Stage, receiver: Receiver, status: int
) -> None:
    with Receiver() as second:
        receiver.default = Answer(status, {"Location": second.url()})
        assert stage.play(receiver.url()) == [("answered", status, None)] * EVENTS
        assert second.connections == 0


@pytest.mark.parametrize("fault", ["name", "expired", "self-signed"])
def test_a_certificate_that_is_no_good(stage: Stage, tmp_path: Path, fault: str) -> None:
    valid, context = certified_for("127.0.0.1", tmp_path / "valid")
    expired, old = certified_for("127.0.0.1", tmp_path / "old", ended=timedelta(hours=1))
    authorities = {"name": valid, "expired": expired, "self-signed": None}[fault]
    with Receiver(tls=old if fault == "expired" else context) as bad:
        url = bad.url(host="localhost" if fault == "name" else None)
        story = stage.play(url, authorities=authorities and str(authorities))
        assert story == [("unreachable", None, CERTIFICATE)] * EVENTS
        assert bad.requests == []


def test_a_receiver_s_process_dies_with_requests_under_way(
    database: Database,
    subscribe: Subscribe,
    publish: Publish,
    make_worker: MakeWorker,
    neighbour: Receiver,
) -> None:
    with ExitStack() as stack:
        dying = stack.enter_context(receiver_process({"/hook": Hang()}))
        bad = subscribe(dying.url()).subscription.id
        subscribe(neighbour.url())
        for number in range(EVENTS):
            publish(number)
        with running(make_worker(timeout=20.0)):
            until(lambda: dying.count() == EVENTS)
            dying.kill()
            until(lambda: len(told(database, bad)) == EVENTS)
            publish(EVENTS)  # when nobody listens any more
            until(lambda: len(told(database, bad)) == EVENTS + 1)
            neighbour.wait_for(EVENTS + 1)
    *within, after = told(database, bad)
    assert {outcome for outcome, _, _ in within} == {"broken"}
    assert after == ("unreachable", None, "The host took no connection.")
    assert set(states(database, bad)) == {"pending"}
