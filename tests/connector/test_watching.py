"""What a worker logs: enough to look for what went wrong, and nothing that was sent."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from connector import logs
from connector.app import Parts
from keystore.clock import ManualClock
from tests.connector.meetings.support import MEETING, sent
from tests.support.receiver import Answer, Receiver


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """Log as a worker does."""
    root, stream = logging.getLogger(), io.StringIO()
    before, level = list(root.handlers), root.level
    logs.configure("info", stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)


def test_an_outage_is_one_line_a_batch(
    api: FlaskClient, parts: Parts, written: io.StringIO
) -> None:
    with Receiver() as receiver:
        receiver.default = Answer(503)
        body = {"event_type": "meeting.ended", "target_url": receiver.url()}
        api.post("/v1/webhooks/", json=body)
        for number in range(8):
            uuid = f"00000000-0000-4000-8000-00000000000{number}"
            assert api.put(f"/v1/meetings/{uuid}/", json=sent()).status_code == 201
        worker = parts.worker()
        assert worker.run_once() == 8
        worker.close()

    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    [told] = [line for line in lines if line["logger"] == "connector.watching"]
    assert (told["deliveries"], len(told["delivery_ids"])) == (8, 5)


def test_deliveries_are_logged_without_bodies_secrets_or_addresses(
    api: FlaskClient, parts: Parts, clock: ManualClock, written: io.StringIO
) -> None:
    answers = (Answer(500, {"X-Answer": "sesame"}, b"open sesame"), Answer(410))
    with Receiver() as receiver:
        url = receiver.url("/hook?token=sesame")
        made = api.post(
            "/v1/webhooks/", json={"event_type": "meeting.ended", "target_url": url}
        ).get_json()
        other = api.post(
            "/v1/webhooks/", json={"event_type": "meeting.ended", "target_url": receiver.url("/b")}
        ).get_json()
        receiver.on("/b", Answer(200, {}, b"open sesame"))
        api.put(f"/v1/meetings/{MEETING}/", json=sent(subject="sesame"))
        worker = parts.worker()
        receiver.then(*answers)
        worker.run_once()
        clock.advance(3600)
        worker.run_once()
        worker.close()

    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    told = [line for line in lines if line["logger"] == "connector.watching"]
    good, bad, last = told
    assert (good["event"], good["level"], good["deliveries"], good["subscriptions"]) == (
        "Delivered",
        "info",
        1,
        1,
    )
    assert (bad["event"], bad["status"], bad["attempt"], bad["outcome"]) == (
        "Not delivered",
        500,
        1,
        "answered",
    )
    assert bad["next"].startswith("retry in ")
    assert bad["subscription_id"] == made["id"]
    assert (bad["deliveries"], len(bad["delivery_ids"])) == (1, 1)
    assert bad["event_ids"][0].startswith("evt_")
    assert (last["status"], last["next"]) == (410, "subscription ended")
    for secret in (
        "sesame",
        made["signing_secret"],
        other["signing_secret"],
        "whsec_",
        "v1,",
        "127.0.0.1",
    ):
        assert secret not in written.getvalue(), secret
