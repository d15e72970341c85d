"""What an admin sees of webhooks."""

import json
import re
from html import unescape

import pytest
from flask import Flask

from keystore.clock import ManualClock
from keystore.db import Database, writing
from keystore.keys import Issued
from keystore.models import Organization
from tests.keystore.pages.browser import DEVELOPER, Browser
from tests.support.receiver import Answer, Hang, Receiver
from tests.webhooks.conftest import NOTE_READY, Publish, Subscribe
from webhooks import outbox
from webhooks.pages.deliveries import SHOWN_BODY
from webhooks.worker import Worker

DELIVERIES = f"{DEVELOPER}deliveries/"
SUBSCRIPTIONS = f"{DEVELOPER}subscriptions/"


def rows(page: str) -> list[str]:
    """Return the text of each row of a page's table."""
    body = page.split("<tbody>")[1].split("</tbody>", maxsplit=1)[0]
    return [
        " ".join(unescape(re.sub(r"<[^>]+>", " ", row)).split()) for row in body.split("<tr>")[1:]
    ]


def test_only_admins_get_there(app: Flask, mel: Browser) -> None:
    for path in (DELIVERIES, SUBSCRIPTIONS, f"{DELIVERIES}1/"):
        assert mel.get(path).status_code == 403
        assert Browser(app).get(path).status_code == 303


def test_empty_pages_say_what_will_be_there(ada: Browser) -> None:
    assert "Nothing sent yet" in ada.get(DELIVERIES).text
    assert "No subscriptions yet" in ada.get(SUBSCRIPTIONS).text


def test_the_log_says_how_long_it_is_kept(ada: Browser) -> None:
    assert "All of it is kept for 90 days." in ada.get(DELIVERIES).text


def test_lists_deliveries_newest_first_and_by_state(
    ada: Browser, receiver: Receiver, subscribe: Subscribe, publish: Publish, worker: Worker
) -> None:
    subscribe(receiver.url("/a/long/path?with=secrets"))
    publish(1)
    worker.run_once()
    publish(2)
    listed = rows(ada.get(DELIVERIES).text)
    assert [row.split()[1] for row in listed] == ["note-2", "note-1"]
    assert f"127.0.0.1:{receiver.port} Pending due now" in listed[0]
    assert "Delivered" in listed[1]
    delivered = rows(ada.get(f"{DELIVERIES}?state=delivered").text)
    assert [row.split()[1] for row in delivered] == ["note-1"]
    assert "Nothing here" in ada.get(f"{DELIVERIES}?state=failed").text


def test_pages_through_a_long_list(
    ada: Browser, receiver: Receiver, subscribe: Subscribe, publish: Publish
) -> None:
    subscribe(receiver.url())
    for number in range(60):
        publish(number)
    first = ada.get(DELIVERIES).text
    assert len(rows(first)) == 50
    [older] = re.findall(r'rel="next"\s+href="([^"]+)"', first)
    second = ada.get(unescape(older)).text
    assert [row.split()[1] for row in rows(second)] == [f"note-{n}" for n in range(9, -1, -1)]
    assert 'rel="next"' not in second


def test_a_delivery_s_page_tells_its_story(
    ada: Browser,
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    worker: Worker,
    clock: ManualClock,
) -> None:
    secret = subscribe(receiver.url("/northwind")).signing_secret.reveal()
    event = publish(7)
    receiver.then(Answer(503, body=b"<b>busy</b>"), Hang())
    worker.run_once()
    clock.advance(3600)
    worker.run_once()
    page = ada.get(f"{DELIVERIES}1/").text
    assert "Not there yet: next try" in page
    for piece in ("HTTP 503", "&lt;b&gt;busy&lt;/b&gt;", "Timed out", "No whole answer came"):
        assert piece in page
    assert page.index("HTTP 503") < page.index("Timed out")
    assert f"evt_{event.id.hex}" in page
    assert receiver.requests[0].headers["webhook-signature"] in page
    assert "&#34;note&#34;: 7" in page
    assert receiver.url("/northwind") in page
    assert secret not in page


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'{"a":[1,"\xc3\xa9"]}', '{\n  "a": [\n    1,\n    "é"\n  ]\n}'),
        (b"no JSON \xff", "no JSON �"),
        (b'"\\ud800"', '"?"'),
        (b"[" * 200_000, "[" * SHOWN_BODY + "\n…"),
        (b"1" * 5_000, "1" * 5_000),
    ],
)
def test_shows_a_body_whatever_it_is(
    ada: Browser,
    receiver: Receiver,
    subscribe: Subscribe,
    database: Database,
    organization: Organization,
    clock: ManualClock,
    body: bytes,
    shown: str,
) -> None:
    subscribe(receiver.url())
    with database.session() as session, writing(session):
        outbox.publish(
            session,
            organization_id=organization.id,
            event_type=NOTE_READY,
            audience=None,
            body=body,
            subject="",
            now=clock.now(),
        )
    page = ada.get(f"{DELIVERIES}1/")
    assert page.status_code == 200
    assert unescape(page.text).count(shown) == 1


def test_lists_subscriptions_with_their_key_and_how_they_ended(
    ada: Browser,
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    worker: Worker,
    issued: Issued,
    clock: ManualClock,
) -> None:
    receiver.then(Answer(410))
    subscribe(receiver.url())
    publish()
    worker.run_once()
    clock.advance(60)
    subscribe(receiver.url())
    active, ended = rows(ada.get(SUBSCRIPTIONS).text)
    assert f"{issued.key.name} Active" in active
    assert f"{issued.key.name} Ended target gone" in ended
    assert "Its subscription ended first" in ada.get(f"{DELIVERIES}1/").text


@pytest.mark.parametrize(
    "path",
    [
        f"{DELIVERIES}1/",
        f"{DELIVERIES}9223372036854775808/",
        f"{DELIVERIES}?state=lost",
    ],
)
def test_what_is_not_there_is_not_found(ada: Browser, path: str) -> None:
    assert ada.get(path).status_code == 404


@pytest.mark.parametrize("before", [f"{10**20}", f"-{10**20}", "9" * 5000, "-1", "0", "x", ""])
def test_an_odd_page_number_is_no_error(ada: Browser, before: str) -> None:
    assert ada.get(f"{DELIVERIES}?before={before}").status_code == 200


@pytest.mark.parametrize("query", ["event=%00", "host=%00"])
def test_an_odd_filter_picks_nothing(
    ada: Browser, subscribe: Subscribe, publish: Publish, query: str
) -> None:
    subscribe("https://hooks.example/")
    publish()
    assert "Nothing here" in ada.get(f"{DELIVERIES}?{query}").text


def test_the_first_and_the_last_of_all_days_are_days(
    ada: Browser, subscribe: Subscribe, publish: Publish
) -> None:
    subscribe("https://hooks.example/")
    publish()
    assert len(rows(ada.get(f"{DELIVERIES}?from=0001-01-01&to=9999-12-31").text)) == 1


def test_the_pages_bring_their_own_style_sheet_and_nothing_inline(
    ada: Browser, receiver: Receiver, subscribe: Subscribe, publish: Publish
) -> None:
    subscribe(receiver.url())
    publish()
    for path in (DELIVERIES, SUBSCRIPTIONS, f"{DELIVERIES}1/"):
        page = ada.get(path).text
        assert not re.search(r"<style|style=|<script(?! src)|javascript:|\son\w+=", page)
        [sheet] = re.findall(r'href="([^"]+webhooks\.css)"', page)
        assert ada.get(sheet).status_code == 200


def test_bodies_are_shown_as_text(
    ada: Browser,
    receiver: Receiver,
    subscribe: Subscribe,
    database: Database,
    organization: Organization,
    clock: ManualClock,
) -> None:
    subscribe(receiver.url())
    attack = "</pre><script>alert(1)</script>"
    with database.session() as session, writing(session):
        outbox.publish(
            session,
            organization_id=organization.id,
            event_type=NOTE_READY,
            audience=None,
            body=json.dumps({"a": attack}).encode(),
            subject=attack[:60],
            now=clock.now(),
        )
    for path in (DELIVERIES, f"{DELIVERIES}1/"):
        assert "<script>alert" not in ada.get(path).text
