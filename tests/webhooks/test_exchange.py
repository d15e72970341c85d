import threading
from uuid import UUID

import pytest

from tests.support.receiver import Answer, CloseEarly, Flood, Hang, Raw, Receiver
from tests.webhooks.conftest import LOOPBACK
from webhooks.errors import Busy
from webhooks.exchange import AT_ONCE, Exchange
from webhooks.exchange import Answer as Answered
from webhooks.outcome import Ending

NORTHWIND = UUID(int=1)


def test_a_request_is_made_and_all_of_its_answer_seen(receiver: Receiver) -> None:
    exchange = Exchange(allow_networks=LOOPBACK)
    receiver.then(Answer(418, {"X-Tea": "green"}, b"short and stout"), Answer(204, body=b""))
    answer = exchange.send(NORTHWIND, receiver.url("/pot"), ["x-sugar: two"], b"{}")
    assert (answer.outcome.status, answer.outcome.excerpt) == (418, "short and stout")
    assert answer.headers["x-tea"] == "green"
    assert not answer.is_cut
    options = exchange.send(NORTHWIND, receiver.url("/pot"), [], method="OPTIONS")
    assert options.outcome.status == 204
    assert [one.method for one in receiver.requests] == ["POST", "OPTIONS"]
    assert receiver.requests[0].headers["x-sugar"] == "two"
    assert receiver.requests[0].body == b"{}"


def test_whatever_a_target_does_the_request_ends(receiver: Receiver) -> None:
    exchange = Exchange(allow_networks=LOOPBACK, timeout=0.3)
    receiver.then(Hang(), CloseEarly(), Raw(b"not HTTP\r\n\r\n"), Flood())
    found = [exchange.send(NORTHWIND, receiver.url(), []) for _ in range(4)]
    endings = [one.outcome.ending for one in found]
    assert endings == [Ending.TIMED_OUT, Ending.BROKEN, Ending.BROKEN, Ending.ANSWERED]
    assert found[-1].is_cut
    assert len(found[-1].outcome.excerpt) == 2048


def test_an_interim_answer_is_not_taken_for_the_last() -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nx-a: early\r\n\r\n"
    last = b"HTTP/1.1 200 OK\r\nx-b: late\r\ncontent-length: 0\r\n\r\n"
    with Receiver() as receiver:
        receiver.then(Raw(interim + last))
        answer = Exchange(allow_networks=LOOPBACK).send(NORTHWIND, receiver.url(), [])
    assert answer.headers == {"x-b": "late", "content-length": "0"}


def test_the_address_is_judged_as_in_deliveries(receiver: Receiver) -> None:
    answer = Exchange().send(NORTHWIND, receiver.url(), [])
    assert answer.outcome.ending is Ending.REFUSED
    assert receiver.connections == 0


def test_few_wait_at_once_and_of_each_organization_one(receiver: Receiver) -> None:
    exchange = Exchange(allow_networks=LOOPBACK)
    receiver.default = Answer(delay=1.0)
    organizations = [UUID(int=number) for number in range(AT_ONCE + 1)]

    def send(organization: UUID) -> Answered:
        return exchange.send(organization, receiver.url(), [])

    waiting = [threading.Thread(target=send, args=(one,)) for one in organizations[:AT_ONCE]]
    waiting[0].start()
    receiver.wait_for(1)
    with pytest.raises(Busy):
        send(organizations[0])
    for thread in waiting[1:]:
        thread.start()
    receiver.wait_for(AT_ONCE)
    with pytest.raises(Busy):
        send(organizations[-1])
    for thread in waiting:
        thread.join()
    receiver.default = Answer()
    assert all(send(one).outcome.delivered for one in organizations)
