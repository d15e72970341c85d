"""A developer's receiver: what it finds genuine, what it answers, what it passes on."""

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from connector.listening import Arrival, Listener, challenge
from connector.verifier import Webhook
from keystore.credentials import SecretValue
from tests.support.receiver import Answer, Receiver
from tests.support.server import free_port
from webhooks.signing import Signer

SECRET = SecretValue("whsec_" + "bm9ydGh3aW5k" * 3)
OTHER = SecretValue("whsec_" + "c291dGh3aW5k" * 3)
BODY = b'{"event_type": "note.ready", "note": "\xc3\xa4"}'

Listen = Callable[..., Listener]
Said = tuple[int, bytes, dict[str, str]]


@pytest.fixture
def arrivals() -> list[Arrival]:
    return []


@pytest.fixture
def listen(arrivals: list[Arrival]) -> Iterator[Listen]:
    with ExitStack() as ends:

        def start(host: str = "127.0.0.1", **options: object) -> Listener:
            webhook = Webhook(SECRET)
            listener = Listener((host, 0), webhook, arrivals.append, **options)  # type: ignore[arg-type]
            thread = threading.Thread(target=listener.serve_forever, args=(0.01,))
            thread.start()
            ends.callback(listener.server_close)
            ends.callback(thread.join)
            ends.callback(listener.shutdown)
            return listener

        yield start


@pytest.fixture
def app() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def signed(body: bytes = BODY, secret: SecretValue = SECRET) -> dict[str, str]:
    return Signer(secret).headers("evt_1", int(time.time()), body)


def post(listener: Listener, headers: dict[str, str], body: bytes = BODY) -> Said:
    connection = http.client.HTTPConnection(listener.server_name, listener.server_port)
    connection.request("POST", "/hook?a=1", body, headers)
    answer = connection.getresponse()
    said = answer.status, answer.read(), dict(answer.headers)
    connection.close()
    return said


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_what_is_genuine_is_answered_and_shown(
    host: str, listen: Listen, arrivals: list[Arrival]
) -> None:
    listener = listen(host)

    assert post(listener, signed())[0] == 200
    assert post(listener, signed())[0] == 200

    first, second = arrivals
    assert (first.event, first.objection, first.body) == (
        {"event_type": "note.ready", "note": "ä"},
        None,
        BODY,
    )
    assert (first.message_id, first.time, second.time) == ("evt_1", 1, 2)
    assert first.age is not None
    assert (listener.genuine, listener.refused) == (2, 0)


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        (dict, "webhook-id"),
        (lambda: signed() | {"webhook-timestamp": "soon"}, "malformed"),
        (lambda: signed() | {"webhook-timestamp": "1"}, "seconds from now"),
        (lambda: signed() | {"webhook-signature": "v1"}, "No signature"),
        (lambda: signed(secret=OTHER), "No signature"),
        (lambda: signed(body=b"{}"), "No signature"),
        (lambda: {f"webhook-id{number}": "" for number in range(50)}, "webhook-id"),
    ],
)
def test_what_is_not_genuine_is_answered_with_401_and_why_and_goes_no_further(
    headers: Callable[[], dict[str, str]],
    why: str,
    listen: Listen,
    arrivals: list[Arrival],
    app: Receiver,
) -> None:
    listener = listen(forward=app.url(), answer=204)

    status, text, _ = post(listener, headers())  # signed now, not when the tests were collected

    assert (status, why in text.decode()) == (401, True)
    [arrival] = arrivals
    assert (arrival.event, arrival.forwarded, arrival.body) == (None, False, BODY)
    assert arrival.objection is not None
    assert why in arrival.objection
    assert app.requests == []
    assert listener.refused == 1


def test_any_status_can_be_tried_out(listen: Listen) -> None:
    for status in (204, 302, 410, 429, 503):
        assert post(listen(answer=status), signed())[:2] == (status, b"")


def test_an_answer_can_take_its_time(listen: Listen) -> None:
    begun = time.monotonic()
    assert post(listen(delay=0.2), signed())[0] == 200
    assert time.monotonic() - begun >= 0.2


def test_what_is_genuine_is_passed_on_as_it_came(
    listen: Listen, arrivals: list[Arrival], app: Receiver
) -> None:
    listener = listen(forward=app.url("/my/hook?x=%20y"))
    app.then(
        Answer(503, {"Retry-After": "7", "Content-Type": "text/plain", "X-Own": "1"}, b"later")
    )
    headers = signed() | {"X-Of-Mine": "b\xe4", "content-type": "application/json"}

    status, text, answered = post(listener, headers)

    assert (status, text, answered["Retry-After"]) == (503, b"later", "7")
    assert "X-Own" not in answered
    [request] = app.requests
    assert (request.method, request.path, request.body) == ("POST", "/my/hook?x=%20y", BODY)
    assert request.headers["host"] == f"127.0.0.1:{app.port}"
    expected = {name.lower(): value for name, value in headers.items()}
    got = {name: value for name, value in request.headers.items() if name in expected}
    assert got == expected
    assert Webhook(SECRET).verify(request.body, request.headers)
    assert arrivals[0].forwarded


def test_nobody_there_to_pass_it_on_to_is_a_bad_gateway(listen: Listen) -> None:
    status, text, _ = post(listen(forward=f"http://127.0.0.1:{free_port()}/"), signed())

    assert status == 502
    assert b"ConnectionRefusedError" in text


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (b'{"type": "webhook.challenge", "challenge": "a\\"b"}', b'{"challenge": "a\\"b"}'),
        (b'{"type": "webhook.challenge", "challenge": 7}', None),
        (b'{"type": "webhook.challenge"}', None),
        (b'{"type": "note.ready", "challenge": "a"}', None),
        (b'["webhook.challenge"]', None),
        (b'"webhook.challenge"', None),
        (b"[" * 100_000, None),
        (b"\xff", None),
        (b"", None),
    ],
)
def test_a_challenge_is_known_when_it_is_one(body: bytes, answer: bytes | None) -> None:
    assert challenge(body) == answer


def test_an_origin_is_only_agreed_to_when_it_can_be_one(
    listen: Listen, arrivals: list[Arrival]
) -> None:
    listener = listen()
    for origin, agreed in (("keyhook.example.com", True), ("a b", False), (None, False)):
        connection = http.client.HTTPConnection("127.0.0.1", listener.server_port)
        headers = {} if origin is None else {"WebHook-Request-Origin": origin}
        connection.request("OPTIONS", "/", headers=headers)
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.headers["WebHook-Allowed-Origin"] == (origin if agreed else None)
        connection.close()
    assert [one.is_question for one in arrivals] == [True]


def test_what_is_no_whole_post_is_refused_unseen(listen: Listen, arrivals: list[Arrival]) -> None:
    listener = listen()
    for head, status in (
        ("Content-Length: 99999999999", 413),
        (f"Content-Length: {'9' * 5000}", 413),
        ("Transfer-Encoding: chunked", 411),
        ("Content-Length: 3\r\nTransfer-Encoding: chunked", 411),
        ("Content-Length: -1", 411),
        ("X-Nothing: 1", 411),
    ):
        connection = http.client.HTTPConnection("127.0.0.1", listener.server_port)
        connection.connect()
        assert connection.sock is not None
        connection.sock.sendall(f"POST / HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n".encode())
        answer = http.client.HTTPResponse(connection.sock)
        answer.begin()
        assert answer.status == status, head
        answer.close()
        connection.close()
    connection = http.client.HTTPConnection("127.0.0.1", listener.server_port)
    connection.request("GET", "/")
    assert connection.getresponse().status == 501
    connection.close()
    assert arrivals == []
