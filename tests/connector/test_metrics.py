"""What Prometheus is told is true, of all processes together, and opens no door."""

import re
from pathlib import Path

import pytest
import requests
from flask.testing import FlaskClient

from connector.app import Parts
from connector.metrics import Metrics
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.db import Database
from keystore.keys import Issued
from tests.connector.meetings.support import MEETING, sent
from tests.connector.test_scraping import PATH, Values, read
from tests.support.receiver import Answer, Receiver
from tests.support.server import serve_process


def scrape(client: FlaskClient, **headers: str) -> Values:
    answer = client.get(PATH, headers=headers)
    assert answer.status_code == 200
    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
    return read(answer.text)


def test_requests_and_uses_of_keys_are_counted(client: FlaskClient, api: FlaskClient) -> None:
    api.get("/v1/me/")
    api.get("/v1/me/")
    api.get(f"/v1/meetings/{MEETING}/")
    client.get("/v1/me/")
    client.get("/v1/me/", headers={"Authorization": "Bearer khkx:khsx"})
    client.get("/nowhere/khs-in-a-path/?token=1")
    client.open("/healthz", method="BREW")
    client.post("/oauth/token", data={"grant_type": "client_credentials"})

    seen = scrape(client)

    requests_, verified = "keyhook_http_requests_total", "keyhook_key_verifications_total"
    assert seen[f'{requests_}{{method="GET",route="/v1/me/",status="200"}}'] == 2
    assert seen[f'{requests_}{{method="GET",route="/v1/me/",status="401"}}'] == 2
    [of_a_meeting] = [name for name in seen if "/v1/meetings/<" in name]
    assert 'status="404"' in of_a_meeting
    assert seen[f'{requests_}{{method="GET",route="none",status="404"}}'] == 1
    assert seen[f'{requests_}{{method="other",route="none",status="405"}}'] == 1
    assert seen[f'{verified}{{result="accepted"}}'] == 3
    assert seen[f'{verified}{{result="refused"}}'] == 3


def test_a_right_secret_at_the_wrong_place_or_too_often_is_told_apart(
    client: FlaskClient, api: FlaskClient, parts: Parts, issued: Issued
) -> None:
    key = {"organization_id": issued.key.organization_id, "actor": SYSTEM}
    services = parts.services
    with services.db.session() as session:
        services.rates.set_limit(session, issued.key.id, limit=1, **key)  # type: ignore[arg-type]
    api.get("/v1/me/")
    api.get("/v1/me/")
    with services.db.session() as session:
        services.grants.set_networks(session, issued.key.id, allowed=["192.0.2.1"], **key)  # type: ignore[arg-type]
    api.get("/v1/me/")

    seen = scrape(client)

    verified = "keyhook_key_verifications_total"
    for result in ("accepted", "over limit", "wrong network"):
        assert seen[f'{verified}{{result="{result}"}}'] == 1


def test_deliveries_are_counted_by_what_came_of_them_and_timed(
    client: FlaskClient, api: FlaskClient, parts: Parts, clock: ManualClock
) -> None:
    with Receiver() as receiver:
        body = {"event_type": "meeting.ended", "target_url": receiver.url("/hook?token=sesame")}
        made = api.post("/v1/webhooks/", json=body).get_json()
        api.put(f"/v1/meetings/{MEETING}/", json=sent(subject="Sesame"))
        clock.advance(10)
        waiting = scrape(client)
        worker = parts.worker()
        receiver.then(Answer(503))
        worker.run_once()
        clock.advance(600)
        worker.run_once()
        worker.close()

    text = client.get(PATH).text
    seen = read(text)
    assert waiting["keyhook_deliveries_pending"] == waiting["keyhook_deliveries_due"] == 1
    assert waiting["keyhook_oldest_due_seconds"] == 10
    assert seen["keyhook_deliveries_pending"] == seen["keyhook_oldest_due_seconds"] == 0
    assert seen['keyhook_subscriptions{state="active"}'] == 1
    attempts = "keyhook_delivery_attempts_total"
    assert seen[f'{attempts}{{outcome="answered",status="5xx"}}'] == 1
    assert seen[f'{attempts}{{outcome="answered",status="2xx"}}'] == 1
    assert seen["keyhook_delivery_retries_total"] == 1
    latency = "keyhook_delivery_latency_seconds"
    assert seen[f"{latency}_count"] == 1
    assert seen[f'{latency}_bucket{{le="300.0"}}'] == 0
    assert seen[f'{latency}_bucket{{le="1800.0"}}'] == 1
    lowered = text.lower()
    for word in ("sesame", "127.0.0.1", made["id"], made["signing_secret"], "northwind", "khk"):
        assert word.lower() not in lowered


def test_without_a_database_the_rest_is_told(
    clock: ManualClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(f"sqlite:///{tmp_path / 'empty.db'}")  # without a table
    seen = read(Metrics().text(database, clock).decode())
    database.dispose()

    assert seen["keyhook_database_up"] == 0
    assert "keyhook_deliveries_pending" not in seen
    assert seen["keyhook_delivery_retries_total"] == 0
    assert "The database gave no figures" in caplog.text


def test_any_of_several_server_processes_answers_for_all(sqlite_url: str, tmp_path: Path) -> None:
    with serve_process(tmp_path, sqlite_url, "--workers", "2") as (base_url, _):
        before = total(requests.get(base_url + PATH, timeout=10).text)
        for _ in range(30):  # each on a connection of its own, so that both have some
            requests.get(base_url + "/v1/me/", timeout=10)
        found = [total(requests.get(base_url + PATH, timeout=10).text) for _ in range(10)]

    assert before == 0
    assert found == [30] * 10


def total(text: str) -> float:
    named = re.findall(r'^keyhook_http_requests_total\{.*"/v1/me/".*\} (\S+)$', text, re.MULTILINE)
    return sum(map(float, named))
