"""What became of events, and sending them again, over the API."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from connector.app import Parts
from connector.meetings import moments
from keystore.clock import ManualClock
from keystore.scopes import DataScope
from tests.connector.api.conftest import AddCaller
from tests.connector.meetings.support import sent
from tests.support.receiver import Answer, Receiver
from webhooks import recovery

MEETING = "/v1/meetings/0190c1b0-0000-7000-8000-000000000001/"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def hook(api: FlaskClient, receiver: Receiver) -> str:
    """The address of a subscription to what becomes of meetings."""
    body = {"event_type": "meeting.ended", "target_url": receiver.url()}
    return f"/v1/webhooks/{api.post('/v1/webhooks/', json=body).get_json()['id']}/"


@pytest.fixture
def deliver(parts: Parts) -> Iterator[Callable[[], None]]:
    worker = parts.worker()

    def deliver() -> None:
        while worker.run_once():
            pass

    yield deliver
    worker.close()


def end_meeting(api: FlaskClient, **changes: object) -> None:
    assert api.put(MEETING, json=sent(state="completed", **changes)).status_code < 300


def test_a_delivery_is_listed_shown_and_sent_again(
    api: FlaskClient, hook: str, receiver: Receiver, deliver: Callable[[], None]
) -> None:
    receiver.then(Answer(400, body=b"what?"))
    end_meeting(api)
    deliver()
    [one] = api.get(f"{hook}deliveries/").get_json()["results"]
    assert (one["event_type"], one["state"], one["attempts_made"]) == (
        "meeting.ended",
        "pending",
        1,
    )
    path = f"{hook}deliveries/{one['id']}/"
    assert api.post(f"{path}redeliver/").get_json() == {"count": 0}, "it waits anyway"
    story = api.get(path).get_json()
    assert '"event_type":"meeting.ended"' in story["body"]
    [attempt] = story["attempts"]
    assert (attempt["status"], attempt["response_excerpt"]) == (400, "what?")


def test_one_that_arrived_is_sent_again_under_the_same_id(
    api: FlaskClient, hook: str, receiver: Receiver, deliver: Callable[[], None]
) -> None:
    end_meeting(api)
    deliver()
    [one] = api.get(f"{hook}deliveries/?state=delivered").get_json()["results"]
    answer = api.post(f"{hook}deliveries/{one['id']}/redeliver/")
    assert (answer.status_code, answer.get_json()) == (200, {"count": 1})
    deliver()
    first, second = receiver.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == one["webhook_id"]
    assert first.body == second.body


def test_one_is_sent_again_without_what_is_not_wanted_any_more(
    api: FlaskClient, hook: str, receiver: Receiver, deliver: Callable[[], None]
) -> None:
    end_meeting(api)
    deliver()
    api.patch(hook, json={"without": ["attendees"]})
    [one] = api.get(f"{hook}deliveries/").get_json()["results"]
    path = f"{hook}deliveries/{one['id']}/"
    api.post(f"{path}redeliver/")
    deliver()
    assert ['"attendees":' in got.body.decode() for got in receiver.requests] == [True, False]
    assert api.get(path).get_json()["body"] == receiver.requests[1].body.decode()


def test_some_are_sent_again_by_state_time_or_id(
    api: FlaskClient, hook: str, receiver: Receiver, deliver: Callable[[], None]
) -> None:
    end_meeting(api)
    deliver()
    assert api.post(f"{hook}redeliver/", json={"state": "failed"}).get_json() == {"count": 0}
    wish = {"state": "delivered", "from_date": "2020-01-01", "to_date": "2100-01-01"}
    assert api.post(f"{hook}redeliver/", json=wish).get_json() == {"count": 1}
    deliver()
    [one] = api.get(f"{hook}deliveries/").get_json()["results"]
    assert api.post(f"{hook}redeliver/", json={"ids": [one["id"]]}).get_json() == {"count": 1}
    assert api.post(f"{hook}redeliver/", json={"ids": [one["id"], 999]}).status_code == 404


@pytest.mark.parametrize(
    "wish", [{}, [], {"ids": []}, {"ids": ["1"]}, {"ids": [True]}, {"state": "pending"}, {"x": 1}]
)
def test_a_wish_that_cannot_be_read_is_refused(api: FlaskClient, hook: str, wish: object) -> None:
    answer = api.post(f"{hook}redeliver/", json=wish)
    assert answer.status_code == 400
    assert answer.get_json()["detail"]


@pytest.mark.parametrize(
    "query",
    ["state=x", "from_date=x", "page_size=0", "before=0", "before=x", "event_type=%00"],
)
def test_a_list_that_cannot_be_read_is_refused(api: FlaskClient, hook: str, query: str) -> None:
    assert api.get(f"{hook}deliveries/?{query}").status_code == 400


def test_pages_follow_each_other(
    api: FlaskClient, hook: str, deliver: Callable[[], None], clock: ManualClock
) -> None:
    for state in ("completed", "scheduled", "completed", "scheduled", "completed"):
        assert api.put(MEETING, json=sent(state=state)).status_code < 300
        clock.advance(1)
    deliver()
    page = api.get(f"{hook}deliveries/?page_size=2&state=delivered").get_json()
    ids = [one["id"] for one in page["results"]]
    rest = api.get(page["next"].removeprefix("http://127.0.0.1:8400")).get_json()
    ids += [one["id"] for one in rest["results"]]
    assert ids == sorted(ids, reverse=True)
    assert (len(ids), rest["next"]) == (3, None)


def test_a_body_is_shown_to_a_key_that_may_see_it_alone(
    api: FlaskClient,
    hook: str,
    receiver: Receiver,
    deliver: Callable[[], None],
    add_caller: AddCaller,
) -> None:
    echo = '{"received":{"subject":"Merger with Southwind"}}'  # as many receivers answer
    receiver.then(Answer(body=echo.encode()))
    end_meeting(api, is_private=True, subject="Merger with Southwind")
    deliver()
    [one] = api.get(f"{hook}deliveries/").get_json()["results"]
    path = f"{hook}deliveries/{one['id']}/"
    shown = api.get(path).get_json()
    assert '"subject":"Merger with Southwind"' in shown["body"]
    assert shown["attempts"][0]["response_excerpt"] == echo
    for caller in (
        add_caller("webhooks:manage"),
        add_caller("webhooks:manage", "meetings:read", data=DataScope.ORG_NON_PRIVATE),
    ):
        answer = caller.get(path)
        assert (answer.status_code, answer.get_json()["body"]) == (200, None)
        [attempt] = answer.get_json()["attempts"]
        assert (attempt["status"], attempt["response_excerpt"]) == (200, None)


def test_what_a_stranger_asks_for_is_not_there(
    stranger: FlaskClient, api: FlaskClient, hook: str, deliver: Callable[[], None]
) -> None:
    end_meeting(api)
    deliver()
    [one] = api.get(f"{hook}deliveries/").get_json()["results"]
    path = f"{hook}deliveries/{one['id']}/"
    asked = [
        stranger.get(f"{hook}deliveries/"),
        stranger.get(path),
        stranger.post(f"{path}redeliver/"),
        stranger.post(f"{hook}redeliver/", json={"ids": [one["id"]]}),
        stranger.post(f"{hook}recover/", json={"since": "2026-01-01"}),
        api.get(f"{hook}deliveries/x/"),
    ]
    assert [answer.status_code for answer in asked] == [404] * len(asked)


@pytest.mark.parametrize(
    "number",
    ["0", "٣", str(2**63), "9" * 5000, "0" * 19 + "9" * 30, "0" * 19 + "9" * 5000],
    ids=["zero", "Arabic", "too great", "very long", "after zeros", "very long after zeros"],
)
def test_a_number_that_no_delivery_has_is_not_there(
    api: FlaskClient, hook: str, number: str
) -> None:
    assert api.get(f"{hook}deliveries/{number}/").status_code == 404
    assert api.post(f"{hook}deliveries/{number}/redeliver/").status_code == 404


def test_what_was_missed_is_recovered_with_progress(
    api: FlaskClient,
    hook: str,
    receiver: Receiver,
    deliver: Callable[[], None],
    parts: Parts,
    clock: ManualClock,
) -> None:
    api.post(f"{hook}disable/")
    end_meeting(api)
    since = {"since": clock.now().isoformat()}
    refused = api.post(f"{hook}recover/", json=since)
    assert (refused.status_code, refused.get_json()["detail"]) == (
        409,
        "The subscription is switched off; switch it on first.",
    )
    api.post(f"{hook}enable/")
    clock.advance(60)
    begun = api.post(f"{hook}recover/", json=since)
    assert begun.status_code == 202
    assert api.post(f"{hook}recover/", json=since).status_code == 409
    path = begun.headers["Location"].removeprefix("http://127.0.0.1:8400")
    assert api.get(path).get_json()["state"] == "running"
    clock.advance(recovery.LAG)
    with parts.services.db.session() as session:
        parts.hooks.recoveries.step(session)
    deliver()
    done = api.get(path).get_json()
    assert (done["state"], done["progress"], done["deliveries_made"]) == ("done", 1.0, 1)
    assert len(receiver.requests) == 1
    assert api.delete(path).get_json()["state"] == "done", "there is nothing to cancel"


def test_a_recovery_tells_that_it_begins_with_what_is_kept(
    api: FlaskClient, hook: str, clock: ManualClock
) -> None:
    begin = clock.now().isoformat()
    clock.advance(timedelta(days=200))
    begun = api.post(f"{hook}recover/", json={"since": begin}).get_json()
    assert begun["since"] == moments.formatted(clock.now() - timedelta(days=90))


@pytest.mark.parametrize(
    "body", [{}, {"since": "x"}, {"since": 1}, {"since": "2026-01-01", "x": 1}]
)
def test_a_recovery_wants_a_moment(api: FlaskClient, hook: str, body: object) -> None:
    assert api.post(f"{hook}recover/", json=body).status_code == 400
