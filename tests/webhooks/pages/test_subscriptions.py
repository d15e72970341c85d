"""What an admin does with one subscription, and with deliveries of the past."""

import re
from collections.abc import Callable
from uuid import uuid4

import pytest
from flask import Flask

from connector.app import Parts
from keystore.clock import ManualClock
from tests.keystore.pages.browser import DEVELOPER, Browser, Form, forms
from tests.support.receiver import Answer, Receiver
from tests.webhooks.conftest import Publish, Subscribe
from webhooks import recovery
from webhooks.models import Subscription
from webhooks.worker import Worker

DELIVERIES = f"{DEVELOPER}deliveries/"


@pytest.fixture
def subscribed(subscribe: Subscribe, receiver: Receiver) -> Subscription:
    return subscribe(receiver.url("/hook")).subscription


@pytest.fixture
def page(subscribed: Subscription) -> str:
    return f"{DEVELOPER}subscriptions/{subscribed.id}/"


@pytest.fixture
def press(ada: Browser) -> Callable[..., str]:
    """Press the button of one of a page's forms, and return the page that follows."""

    def press(path: str, action: str, **typed: str) -> str:
        [form] = [one for one in forms(ada.get(path)) if one.action.endswith(action)]
        form.values |= typed
        answer = ada.post(form)
        assert answer.status_code == 303
        return ada.get(answer.headers["Location"]).text

    return press


def test_a_subscription_is_switched_off_on_and_given_what_it_missed(
    ada: Browser,
    page: str,
    press: Callable[..., str],
    publish: Publish,
    receiver: Receiver,
    worker: Worker,
    parts: Parts,
    clock: ManualClock,
) -> None:
    assert "All is well." in ada.get(page).text
    assert "Nothing is sent" in press(page, "/off/")
    assert "Switched off since" in ada.get(page).text
    publish(1)
    assert "can be sent now" in press(page, "/on/")
    clock.advance(60)
    shown = press(page, "/recover/", hours="24")
    assert "0 deliveries, running" in shown
    assert '<progress max="100" value="0"' in shown
    assert "is being sent already" in press(page, "/recover/", hours="1")
    clock.advance(recovery.LAG)
    with parts.services.db.session() as session:
        parts.hooks.recoveries.step(session)
    worker.run_once()
    shown = ada.get(page).text
    assert "1 delivery, done" in shown
    assert '<progress max="100" value="100"' in shown
    assert len(receiver.requests) == 1


def test_a_recovery_can_be_cancelled(page: str, press: Callable[..., str]) -> None:
    press(page, "/recover/", hours="1")
    assert "0 deliveries, cancelled" in press(page, "/cancel/")


def test_a_failing_one_says_so(
    ada: Browser, page: str, publish: Publish, receiver: Receiver, worker: Worker
) -> None:
    receiver.default = Answer(500)
    publish(1)
    worker.run_once()
    assert "Failing" in ada.get(f"{DEVELOPER}subscriptions/").text
    assert "has failed." in ada.get(page).text


def test_a_delivery_is_sent_again(
    ada: Browser,
    subscribed: Subscription,
    press: Callable[..., str],
    publish: Publish,
    receiver: Receiver,
    worker: Worker,
) -> None:
    assert subscribed.is_active
    publish(1)
    assert "Send again" not in ada.get(f"{DELIVERIES}1/").text, "it has yet to be sent"
    worker.run_once()
    assert "It is sent again." in press(f"{DELIVERIES}1/", "/again/")
    worker.run_once()
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
    assert len(receiver.requests) == 2


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("event=note.ready", 2),
        ("event=note.gone", 0),
        ("host=127.0.0.1", 0),
        ("from=2026-01-01&to=2026-01-01", 2),
        ("to=2025-12-31", 0),
        ("from=nonsense", 2),
        ("state=delivered&event=note.ready", 0),
    ],
)
def test_the_log_is_filtered(
    ada: Browser, subscribed: Subscription, publish: Publish, query: str, count: int
) -> None:
    assert subscribed.is_active
    publish(1)
    publish(2)
    text = ada.get(f"{DELIVERIES}?{query}").text
    assert len(re.findall(r'class="name log-event"', text)) == count


def test_the_log_is_filtered_by_host_and_by_subscription(
    ada: Browser, subscribed: Subscription, publish: Publish
) -> None:
    publish(1)
    host = subscribed.target_url.split("/")[2]
    for query in (f"host={host}", f"subscription={subscribed.id}"):
        assert len(re.findall("log-event", ada.get(f"{DELIVERIES}?{query}").text)) == 1
    assert "No delivery fits" in ada.get(f"{DELIVERIES}?subscription={uuid4()}").text
    assert ada.get(f"{DELIVERIES}?subscription=x").status_code == 404


def test_the_last_day_is_drawn(
    ada: Browser, subscribed: Subscription, publish: Publish, worker: Worker
) -> None:
    assert subscribed.is_active
    assert "<svg viewBox" not in ada.get(DELIVERIES).text
    publish(1)
    worker.run_once()
    publish(2)
    assert "1 delivered, 1 not (yet)" in ada.get(DELIVERIES).text


def test_members_and_strangers_get_nowhere(
    app: Flask, mel: Browser, page: str, ada: Browser
) -> None:
    assert mel.get(page).status_code == 403
    assert Browser(app).get(page).status_code == 303
    assert ada.get(f"{DEVELOPER}subscriptions/{uuid4()}/").status_code == 404
    [form, *_] = [one for one in forms(ada.get(page)) if one.action.endswith("/off/")]
    assert mel.post(Form(form.action, dict(form.values))).status_code in {400, 403}
    assert "All is well." in ada.get(page).text
