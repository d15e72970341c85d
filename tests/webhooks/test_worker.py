import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from standardwebhooks import Webhook

from keystore.audit import SYSTEM
from keystore.clock import ManualClock, SystemClock
from keystore.credentials import SecretValue
from keystore.db import Database, writing
from keystore.models import Organization
from tests.support.receiver import (
    Answer,
    Behaviour,
    CloseEarly,
    Drip,
    Flood,
    Hang,
    Raw,
    Receiver,
    Together,
)
from tests.webhooks.conftest import NOTE_GONE, MakeWorker, Publish, Subscribe
from tests.webhooks.running import attempts, deliveries, running, until
from webhooks import lanes, leases, visits, windows
from webhooks import worker as worker_module
from webhooks.fairness import Room
from webhooks.models import Subscription
from webhooks.settling import Result
from webhooks.signing import Signer
from webhooks.subscriptions import Subscriptions
from webhooks.transport import Transport
from webhooks.wake import PEEK_PAUSE
from webhooks.worker import Worker


def test_delivers_what_was_published_signed_for_its_subscriber(
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    worker: Worker,
    database: Database,
    clock: ManualClock,
    set_secret: Callable[[str], SecretValue],
) -> None:
    clock.advance(SystemClock().now() - clock.now())  # the verifying library reads the machine's
    secret = subscribe(receiver.url("/northwind")).signing_secret
    contract = set_secret("a-secret-of-all-of-Northwind")
    event = publish(7)
    assert worker.run_once() == 1
    [request] = receiver.requests
    assert (request.method, request.path, request.body) == ("POST", "/northwind", b'{"note": 7}')
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"].startswith("Keyhook/")
    assert request.headers["webhook-id"] == f"evt_{event.id.hex}"
    assert Webhook(secret.reveal()).verify(request.body, request.headers) == {"note": 7}
    timestamp = int(clock.now().timestamp())
    signer = Signer(secret, contract=contract)
    signed = signer.headers(f"evt_{event.id.hex}", timestamp, request.body)
    assert signed.items() <= request.headers.items()
    [delivery], [attempt] = deliveries(database), attempts(database)
    assert (delivery.state, delivery.attempts) == ("delivered", 1)
    assert attempt.response_excerpt == "ok"
    sent = dict(line.split(": ", 1) for line in attempt.request_headers.split("\n"))
    assert sent.items() <= request.headers.items()
    assert sent["x-avoma-signature"] == signed["x-avoma-signature"]


def test_there_is_nothing_more_to_do_after_that(
    receiver: Receiver, subscribe: Subscribe, publish: Publish, worker: Worker
) -> None:
    subscribe(receiver.url())
    publish()
    assert [worker.run_once() for _ in range(3)] == [1, 0, 0]
    assert len(receiver.requests) == 1


def test_each_subscriber_s_signature_is_made_with_its_own_secret(
    receiver: Receiver, subscribe: Subscribe, publish: Publish, worker: Worker, clock: ManualClock
) -> None:
    secrets = {path: subscribe(receiver.url(path)).signing_secret for path in ("/a", "/b")}
    publish()
    worker.run_once()
    assert {request.path for request in receiver.requests} == {"/a", "/b"}
    for request in receiver.requests:
        signed = Signer(secrets[request.path]).headers(
            request.headers["webhook-id"],
            int(clock.now().timestamp()),
            request.body,
        )
        assert signed.items() <= request.headers.items()


@pytest.mark.parametrize(
    ("behaviour", "outcome", "status"),
    [
        (Answer(500), "answered", 500),
        (Answer(302, {"Location": "/elsewhere"}), "answered", 302),
        (Hang(), "timed_out", None),
        (Drip(), "timed_out", 200),
        (CloseEarly(), "broken", None),
        (CloseEarly("within"), "broken", 200),
        (Raw(b"\x00\x01 no HTTP at all \xff\xfe"), "broken", None),
        (Flood(status=500), "answered", 500),
        (Answer(503, body=b"\x00\xff" * 5_000), "answered", 503),
    ],
)
def test_whatever_the_receiver_does_is_logged_and_the_same_message_comes_again(
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    worker: Worker,
    database: Database,
    clock: ManualClock,
    behaviour: Behaviour,
    outcome: str,
    status: int | None,
) -> None:
    subscribe(receiver.url())
    publish()
    receiver.then(behaviour)
    assert worker.run_once() == 1
    [delivery], [attempt] = deliveries(database), attempts(database)
    assert (delivery.state, delivery.attempts) == ("pending", 1)
    assert (attempt.outcome, attempt.status) == (outcome, status)
    wait = delivery.due_at - clock.now()
    assert timedelta(minutes=4) <= wait <= timedelta(minutes=6)
    clock.advance(wait - timedelta(seconds=1))
    assert worker.run_once() == 0
    clock.advance(1)
    assert worker.run_once() == 1
    assert [one.state for one in deliveries(database)] == ["delivered"]
    first, second = receiver.requests
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


def test_a_receiver_that_never_gets_well_is_given_up_after_six_attempts_in_two_days(
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    worker: Worker,
    database: Database,
    clock: ManualClock,
) -> None:
    subscribe(receiver.url())
    publish()
    receiver.default = Answer(500)
    begin = clock.now()
    while worker.run_once():
        clock.advance(max(deliveries(database)[0].due_at - clock.now(), timedelta()))
    [delivery] = deliveries(database)
    assert (delivery.state, delivery.attempts) == ("failed", 6)
    assert len(receiver.requests) == 6
    assert timedelta(hours=30) < clock.now() - begin < timedelta(hours=47)


def test_429_with_retry_after_is_obeyed_and_spends_nothing(
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    worker: Worker,
    database: Database,
    clock: ManualClock,
) -> None:
    subscribe(receiver.url())
    publish()
    receiver.then(Answer(429, {"Retry-After": "120"}))
    worker.run_once()
    [delivery] = deliveries(database)
    assert timedelta(seconds=120) <= delivery.due_at - clock.now() <= timedelta(seconds=144)
    assert (delivery.attempts, delivery.throttles) == (1, 1)


def test_410_ends_the_subscription_and_nothing_more_is_sent(
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    make_worker: MakeWorker,
    database: Database,
    clock: ManualClock,
) -> None:
    worker = make_worker(batch=1)
    subscribe(receiver.url())
    publish(1)
    publish(2)
    receiver.default = Answer(410)
    assert worker.run_once() == 1
    clock.advance(timedelta(days=7))
    assert worker.run_once() == 0
    publish(3)
    assert worker.run_once() == 0
    assert len(receiver.requests) == 1
    assert [one.state for one in deliveries(database)] == ["dropped", "dropped"]
    with database.session() as session, session.begin():
        assert session.scalars(select(Subscription.ended_reason)).one() == "target gone"


def test_an_ended_subscription_gets_nothing_of_what_was_queued(
    receiver: Receiver,
    subscribe: Subscribe,
    subscriptions: Subscriptions,
    publish: Publish,
    worker: Worker,
    organization: Organization,
    database: Database,
    clock: ManualClock,
) -> None:
    subscription = subscribe(receiver.url()).subscription
    receiver.default = Answer(500)
    publish(1)
    worker.run_once()  # waits for its second attempt now
    publish(2)
    with database.session() as session:
        subscriptions.unsubscribe(
            session, subscription.id, organization_id=organization.id, actor=SYSTEM
        )
    clock.advance(timedelta(days=7))
    assert worker.run_once() == 0
    assert len(receiver.requests) == 1
    assert [one.state for one in deliveries(database)] == ["dropped", "dropped"]


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "[::ffff:127.0.0.1]", "localhost"])
def test_a_private_address_is_refused_at_the_socket_and_not_tried_again(
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    make_worker: MakeWorker,
    database: Database,
    host: str,
) -> None:
    subscription = subscribe(receiver.url()).subscription
    with database.session() as session, writing(session):  # as if a name had been pointed there
        session.get_one(Subscription, subscription.id).target_url = receiver.url(host=host)
    publish()
    assert make_worker(allow_networks=()).run_once() == 1
    [delivery], [attempt] = deliveries(database), attempts(database)
    assert (delivery.state, delivery.attempts) == ("failed", 1)
    assert (attempt.outcome, attempt.status) == ("refused", None)
    assert attempt.error == "The address of this host is one that webhooks may not reach."
    assert receiver.connections == 0


def test_a_row_that_cannot_be_sent_is_a_failed_attempt_and_stops_no_other(
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    worker: Worker,
    database: Database,
    caplog: pytest.LogCaptureFixture,
) -> None:
    spoilt, garbled, odd = (subscribe(receiver.url()).subscription for _ in range(3))
    subscribe(receiver.url("/good"))
    with database.session() as session, writing(session):
        one, two, three = (session.get_one(Subscription, s.id) for s in (spoilt, garbled, odd))
        one.secret_sealed, two.secret_sealed = two.secret_sealed, b"\x00"
        three.target_url = "http://no\x7fwhere .example\\"
    publish()
    caplog.set_level(logging.CRITICAL)
    assert worker.run_once() == 4
    assert [request.path for request in receiver.requests] == ["/good"]
    states = {one.subscription_id: (one.state, one.attempts) for one in deliveries(database)}
    assert states[spoilt.id] == states[garbled.id] == states[odd.id] == ("pending", 1)
    outcomes = sorted(one.outcome for one in attempts(database))
    assert outcomes == ["answered", "unsent", "unsent", "unsent"]
    assert worker.run_once() == 0  # they wait for their time like any other


def test_a_lease_must_outlive_an_attempt(make_worker: MakeWorker) -> None:
    with pytest.raises(ValueError, match="outlive"):
        make_worker(timeout=5.0, lease=5.0)


def test_slow_receivers_do_not_keep_the_others_waiting(
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    make_worker: MakeWorker,
    database: Database,
) -> None:
    worker = make_worker(slots=10, batch=5, timeout=20.0, grace=0.0)
    receiver.on("/slow", Hang())
    subscribe(receiver.url("/slow"))
    publish(1)
    publish(2)
    with running(worker):
        receiver.wait_for(2)
        subscribe(receiver.url("/quick"))
        # Two slots hang for as long as this test may take; what follows goes through the rest.
        for number in range(3, 8):
            publish(number)
        until(lambda: sum(one.path == "/quick" for one in receiver.requests) == 5)


def test_keeps_many_requests_under_way_at_once(
    receiver: Receiver, subscribe: Subscribe, publish: Publish, make_worker: MakeWorker
) -> None:
    receiver.default = Together(3 * windows.FIRST)
    for _ in range(3):  # no endpoint gets all there is
        subscribe(receiver.url())
    for number in range(windows.FIRST):
        publish(number)
    with running(make_worker(slots=120, batch=10, timeout=60.0, grace=0.1)):
        until(lambda: len(receiver.requests) == 3 * windows.FIRST)


def test_an_endpoint_that_answers_is_sent_more_at_once(
    receiver: Receiver, subscribe: Subscribe, publish: Publish, make_worker: MakeWorker
) -> None:
    receiver.then(*[Answer()] * windows.FIRST)
    receiver.default = Together(2 * windows.FIRST)
    subscribe(receiver.url())
    for number in range(3 * windows.FIRST):
        publish(number)
    with running(make_worker(slots=120, timeout=60.0, grace=0.1)):
        until(lambda: len(receiver.requests) == 3 * windows.FIRST)


@pytest.fixture
def patience() -> Iterator[pytest.MonkeyPatch]:
    """Until it is undone, no worker does anything only because of the time."""
    with pytest.MonkeyPatch.context() as patience:
        patience.setattr(worker_module, "WRITE_DELAY", 60.0)
        patience.setattr(visits, "IDLE_PAUSE", 60.0)
        patience.setattr(visits, "DOUBT_PAUSE", 60.0)
        yield patience


def test_one_that_hangs_does_not_delay_what_is_sent_to_those_who_have_answered(
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    make_worker: MakeWorker,
    patience: pytest.MonkeyPatch,
) -> None:
    """Who begins gets little at once: what waits is then for the answers, not for a clock."""
    receiver.on("/slow", Hang())
    subscribe(receiver.url("/slow"))
    subscribe(receiver.url("/quick"))
    many = 6 * windows.FIRST
    for number in range(many):
        publish(number)
    with running(make_worker(timeout=60.0, grace=0.1)):
        until(lambda: sum(one.path == "/quick" for one in receiver.requests) == many)
        patience.undo()  # it is to stop at once
    assert sum(one.path == "/slow" for one in receiver.requests) == windows.FIRST


def test_one_that_hangs_does_not_delay_what_is_written_of_those_who_have_answered(
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    make_worker: MakeWorker,
    database: Database,
    patience: pytest.MonkeyPatch,
) -> None:
    """Results are written when all that was started last is back, whatever else is under way."""
    receiver.on("/slow", Hang())
    receiver.on("/quick", Answer(delay=0.1))  # when there has long been nothing more to look for
    subscribe(receiver.url("/slow"))
    subscribe(receiver.url("/quick"))
    for number in range(windows.FIRST):
        publish(number)
    with running(make_worker(timeout=60.0, grace=0.1)):
        receiver.wait_for(2 * windows.FIRST)
        publish(windows.FIRST)  # of which the one that hangs gets nothing more
        until(lambda: len(attempts(database)) == windows.FIRST + 1)
        patience.undo()  # it is to stop at once


def test_what_comes_back_long_after_it_was_started_waits_for_company(
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    make_worker: MakeWorker,
    database: Database,
    patience: pytest.MonkeyPatch,
) -> None:
    """Else each answer of many slow endpoints would be written alone."""
    receiver.on("/hangs", Hang())
    receiver.on("/slow", Answer(delay=1.0))
    subscribe(receiver.url("/hangs"))
    subscribe(receiver.url("/slow"))
    subscribe(receiver.url("/quick"), "note.gone")
    publish()
    worker = make_worker(timeout=60.0, grace=0.1)
    with running(worker):
        receiver.wait_for(2)
        publish(event_type=NOTE_GONE)
        until(lambda: len(attempts(database)) == 1)
        until(lambda: [one.job.attempts for one in worker._results] == [0])
        assert len(attempts(database)) == 1
        patience.undo()  # it is to stop at once


def test_finds_new_work_by_itself_and_old_work_when_its_time_has_come(
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    worker: Worker,
    database: Database,
    clock: ManualClock,
) -> None:
    subscribe(receiver.url())
    with running(worker):
        receiver.then(Answer(500))
        publish(1)
        until(lambda: any(one.attempts for one in deliveries(database)))
        publish(2)
        receiver.wait_for(2)
        clock.advance(timedelta(minutes=7))
        receiver.wait_for(3)
        until(lambda: {one.state for one in deliveries(database)} == {"delivered"})


def test_stopping_lets_requests_end_and_writes_them_down(
    receiver: Receiver, subscribe: Subscribe, publish: Publish, worker: Worker, database: Database
) -> None:
    receiver.default = Answer(delay=0.3)
    subscribe(receiver.url())
    for number in range(20):
        publish(number)
    with running(worker):
        receiver.wait_for(20)
    assert {one.state for one in deliveries(database)} == {"delivered"}
    assert len(receiver.requests) == 20


def test_stopping_gives_back_what_does_not_end(
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    make_worker: MakeWorker,
    database: Database,
) -> None:
    receiver.then(Hang(), Hang())
    subscribe(receiver.url())
    publish(1)
    publish(2)
    with running(make_worker(timeout=60.0, grace=0.1)):
        receiver.wait_for(2)
    for one in deliveries(database):
        assert (one.state, one.attempts, one.lease_token) == ("pending", 0, None)
    assert make_worker().run_once() == 2  # another worker needs to wait for nothing


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_has_no_bell_is_looked_at_as_often_while_an_endpoint_hangs(
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    make_worker: MakeWorker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    receiver.on("/slow", Hang())
    subscribe(receiver.url("/slow"))
    worker, waits = make_worker(timeout=20.0, grace=0.0), list[float]()
    poll = worker._transport.poll

    def noted(wait: float, bell: int | None = None) -> Any:
        if not worker._aside.is_busy and worker._visits.is_dry:
            waits.append(wait)
        return poll(wait, bell)

    monkeypatch.setattr(worker._transport, "poll", noted)
    publish()
    with running(worker):
        receiver.wait_for(1)
        waits.clear()
        until(lambda: len(waits) > 10)
        assert max(waits) <= PEEK_PAUSE


def test_a_lane_that_was_just_emptied_is_looked_at_in_time_while_its_endpoint_hangs(
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    make_worker: MakeWorker,
    database: Database,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_module, "BUSY_PAUSE", 60.0)
    receiver.default = Hang()
    subscribe(receiver.url())

    def any_due() -> bool:
        with database.session() as session, session.begin():
            return lanes.any_due(session, clock.now())

    with running(make_worker(timeout=60.0, grace=0.0)):
        for number in (1, 2):
            publish(number)
            receiver.wait_for(number)
        until(lambda: not any_due())


def test_a_worker_without_a_free_slot_waits_for_what_is_under_way(
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    make_worker: MakeWorker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It must not ask again and again whether it is time to look for more."""
    receiver.default = Hang()
    subscribe(receiver.url())
    worker, waits = make_worker(timeout=60.0, grace=0.0), list[float]()
    poll = worker._transport.poll

    def noted(wait: float, bell: int | None = None) -> Any:
        waits.append(wait)
        return poll(wait, bell)

    publish()
    with running(worker):
        until(lambda: len(receiver.requests) == 1 and worker._visits.is_dry)
        with monkeypatch.context() as full:
            full.setattr(Transport, "free", 0)
            until(lambda: worker._visits.next_look < time.monotonic())
            full.setattr(worker._transport, "poll", noted)
            until(lambda: len(waits) > 10)
            assert min(waits) > 0


def test_an_errand_that_fails_keeps_no_delivery_waiting(
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    make_worker: MakeWorker,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.CRITICAL)
    subscribe(receiver.url())
    publish()
    tried = []

    def fail(_session: Session) -> None:
        tried.append("again")
        raise RuntimeError

    with running(make_worker(errands=[fail])):
        receiver.wait_for(1)
        until(lambda: len(tried) > 1)


def test_stopping_before_a_request_is_started_gives_it_back_unsent(
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    worker: Worker,
    database: Database,
    clock: ManualClock,
) -> None:
    subscribe(receiver.url())
    publish()
    stop = threading.Event()
    with database.session() as session, writing(session):
        jobs = leases.claim(
            session,
            now=clock.now(),
            owner="me",
            lease=timedelta(minutes=1),
            room=Room(5, 5, 5, {}),
        ).jobs
    stop.set()
    worker._launch(jobs, stop)
    assert receiver.requests == []
    assert worker.run_once() == 1


def test_secrets_show_up_in_no_log_line(
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    worker: Worker,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    receiver.then(Answer(500))
    secret = subscribe(receiver.url()).signing_secret.reveal()
    publish()
    worker.run_once()
    assert secret not in caplog.text


def test_an_observer_is_told_of_what_is_written_and_cannot_disturb(
    database: Database,
    make_worker: MakeWorker,
    subscribe: Subscribe,
    publish: Publish,
    receiver: Receiver,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    told: list[Sequence[Result]] = []

    def observer(results: Sequence[Result]) -> None:
        assert len(attempts(database)) == sum(map(len, told)) + len(results)
        told.append(results)
        raise ValueError("cannot count")

    worker = make_worker(observer=observer)
    subscribe(receiver.url())
    published = publish(1)
    clock.advance(3)
    receiver.then(Answer(503))
    worker.run_once()
    clock.advance(timedelta(hours=1).total_seconds())
    worker.run_once()
    worker.run_once()

    [first], [second] = told
    assert (first.outcome.status, second.outcome.status) == (503, 200)
    assert first.job.created_at == published.created_at
    assert caplog.text.count("The observer failed (ValueError).") == 2
