"""The client against the real API over a real socket, and against servers that misbehave."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.serving import make_server

from connector.client import ApiError, Client, ClientError, Unreachable, Webhook
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.db import Database
from keystore.keys import Issued, Keys
from keystore.rates import Rates
from tests.connector.meetings.support import MEETING, sent
from tests.support.receiver import Answer, CloseEarly, Receiver
from tests.support.server import free_port
from webhooks.signing import Signer

MakeClient = Callable[..., Client]

PAIR = ("khk" + "a" * 20, "khs" + "a" * 59)


@pytest.fixture
def base_url(app: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def keyhook(base_url: str, issued: Issued) -> Client:
    return Client(base_url + "/", issued.key.client_key, issued.client_secret)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def pauses() -> list[float]:
    """How long the client of `towards` has slept."""
    return []


@pytest.fixture
def towards(receiver: Receiver, pauses: list[float]) -> Client:
    """A client of a server that does as it is told; waiting takes it no time."""
    return Client(receiver.url(""), *PAIR, patience=10, sleep=pauses.append)


def test_a_client_knows_who_it_is(keyhook: Client, issued: Issued) -> None:
    assert keyhook.me()["key"]["client_key"] == issued.key.client_key


def test_meetings_are_read_from_all_pages(keyhook: Client, api: FlaskClient) -> None:
    ids = [str(uuid4()) for _ in range(7)]
    for one in ids:
        assert api.put(f"/v1/meetings/{one}/", json=sent()).status_code == 201
    found = keyhook.meetings(from_date="2026-01-01", to_date="2026-01-31", page_size=3, o=None)
    assert sorted(one["uuid"] for one in found) == sorted(ids)
    assert keyhook.meeting(ids[0])["uuid"] == ids[0]


def test_a_subscription_is_made_and_ended_and_its_secret_verifies(keyhook: Client) -> None:
    made = keyhook.subscribe("meeting.ended", "http://127.0.0.1:9/hook")
    [listed] = keyhook.pages("/v1/webhooks/")
    assert listed["id"] == made["id"]
    clock = ManualClock()
    secret = made["signing_secret"]
    webhook = Webhook(secret, clock=clock)
    signer = Signer(webhook._secrets[0])
    signed = signer.headers("evt_1", int(clock.now().timestamp()), b"[]")
    assert webhook.verify(b"[]", signed) == []
    assert keyhook.unsubscribe(made["id"])["is_active"] is False
    assert list(keyhook.pages("/v1/webhooks/")) == []


def test_a_refusal_says_what_to_do_and_which_field_is_wrong(keyhook: Client) -> None:
    with pytest.raises(ApiError, match="target_url") as caught:
        keyhook.call("POST", "/v1/webhooks/", json={"event_type": "AINOTE"})
    assert caught.value.status == 400
    assert caught.value.fields == {"target_url": ["Give a text."]}
    with pytest.raises(ApiError) as caught:
        keyhook.meeting(MEETING)
    assert (caught.value.status, caught.value.fields) == (404, {})


def test_a_text_that_cannot_be_an_id_is_sent_nowhere(towards: Client, receiver: Receiver) -> None:
    for text in ("..", "../../v1/me", "", "x"):
        with pytest.raises(ValueError, match="UUID"):
            towards.meeting(text)
        with pytest.raises(ValueError, match="UUID"):
            towards.unsubscribe(text)
    assert receiver.requests == []


def test_a_wrong_secret_is_refused_and_not_shown(base_url: str, issued: Issued) -> None:
    with pytest.raises(ApiError) as caught:
        Client(base_url, issued.key.client_key, "khs" + "a" * 59).me()
    assert caught.value.status == 401
    assert "a" * 20 not in str(caught.value)


def test_a_limit_is_waited_out_as_long_as_the_server_says(
    base_url: str, database: Database, keys: Keys, rates: Rates, issued: Issued, clock: ManualClock
) -> None:
    with database.session() as session:
        rates.set_limit(
            session,
            issued.key.id,
            organization_id=issued.key.organization_id,
            limit=2,
            actor=SYSTEM,
        )
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.advance(seconds)

    keyhook = Client(
        base_url, issued.key.client_key, issued.client_secret, patience=60, sleep=sleep
    )
    for _ in range(3):
        assert keyhook.me()
    assert slept
    assert sum(slept) <= 60
    impatient = Client(base_url, issued.key.client_key, issued.client_secret, patience=0)
    impatient.me()
    with pytest.raises(ApiError, match="2 requests a minute") as caught:
        impatient.me()
    assert caught.value.status == 429
    assert caught.value.retry_after


def test_waiting_ends_with_the_patience(
    towards: Client, receiver: Receiver, pauses: list[float]
) -> None:
    receiver.default = Answer(429, {"Retry-After": "4"}, b'{"detail": "Later."}')
    with pytest.raises(ApiError, match="Later") as caught:
        towards.call("POST", "/v1/webhooks/", json={})
    assert pauses == [4, 4]
    assert len(receiver.requests) == 3
    assert caught.value.retry_after == 4


@pytest.mark.parametrize("value", ["", "0x1", "-1", "soon", "Wed, 21 Oct 2026 07:28:00 GMT", "٣"])
def test_a_wait_that_cannot_be_read_is_none(
    value: str, towards: Client, receiver: Receiver, pauses: list[float]
) -> None:
    receiver.default = Answer(429, {"Retry-After": value.encode().decode("latin-1")}, b"")
    with pytest.raises(ApiError) as caught:
        towards.me()
    assert (caught.value.retry_after, pauses) == (None, [])


def test_no_wait_is_no_reason_to_ask_in_a_tight_circle(
    towards: Client, receiver: Receiver, pauses: list[float]
) -> None:
    receiver.default = Answer(429, {"Retry-After": "0"}, b"")
    with pytest.raises(ApiError):
        towards.me()
    assert pauses == [1] * 10


def test_a_busy_server_is_asked_again_when_nothing_can_happen_twice(
    towards: Client, receiver: Receiver, pauses: list[float]
) -> None:
    receiver.then(Answer(503, {"Retry-After": "5"}), Answer(200, {}, b"[1]"))
    assert towards.get("/v1/things/") == [1]
    assert pauses == [5]
    receiver.default = Answer(503, {"Retry-After": "5"})
    with pytest.raises(ApiError):
        towards.call("POST", "/v1/things/", json={})
    assert len(receiver.requests) == 3


def test_the_next_page_is_asked_for_where_the_first_one_was(
    towards: Client, receiver: Receiver
) -> None:
    elsewhere = "https://elsewhere.example/v1/things/?page=2&q=%C3%A4"
    first = f'{{"count": 3, "next": "{elsewhere}", "results": [1, 2]}}'
    receiver.then(Answer(200, {}, first.encode()), Answer(200, {}, b'{"results": [3]}'))
    assert list(towards.pages("/v1/things/", q="ä", tag=["a", "b"])) == [1, 2, 3]
    assert [one.path for one in receiver.requests] == [
        "/v1/things/?q=%C3%A4&tag=a&tag=b",
        "/v1/things/?page=2&q=%C3%A4",
    ]


def test_a_bare_list_is_one_page(towards: Client, receiver: Receiver) -> None:
    receiver.then(Answer(200, {}, b"[1, 2]"))
    assert list(towards.pages("/v1/things/")) == [1, 2]


def test_the_secret_follows_no_redirect(towards: Client, receiver: Receiver) -> None:
    with Receiver() as other:
        receiver.then(Answer(307, {"Location": other.url()}))
        with pytest.raises(ApiError) as caught:
            towards.me()
        assert caught.value.status == 307
        assert other.requests == []


def test_no_netrc_replaces_the_key(
    towards: Client, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    receiver.default = Answer(200, {}, b"{}")
    towards.me()
    assert receiver.requests[0].headers["authorization"] == f"Bearer {PAIR[0]}:{PAIR[1]}"


def test_a_server_that_is_not_there_or_hangs_up_is_unreachable(
    towards: Client, receiver: Receiver
) -> None:
    with pytest.raises(Unreachable):
        Client(f"http://127.0.0.1:{free_port()}", *PAIR).me()
    receiver.default = CloseEarly()
    with pytest.raises(Unreachable) as caught:
        towards.me()
    assert PAIR[1] not in str(caught.value)


def test_something_that_is_no_api_is_told_as_such(towards: Client, receiver: Receiver) -> None:
    receiver.default = Answer(200, {}, b"<h1>Welcome</h1>")
    with pytest.raises(ClientError, match="is this the API"):
        towards.me()
    receiver.default = Answer(502, {}, b"<h1>Bad gateway</h1>")
    with pytest.raises(ApiError, match="502"):
        towards.me()


def test_an_answer_without_a_body_is_none(towards: Client, receiver: Receiver) -> None:
    receiver.then(Answer(204, {}, b""))
    assert towards.call("DELETE", "/v1/things/1/") is None
