"""A key's limit as its caller meets it."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from json import loads
from pathlib import Path
from typing import Any, cast

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from connector.app import Parts, assemble
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.keys import Issued
from keystore.models import KeyDay, Organization
from keystore.settings import Settings
from tests.support.server import installation_environment, running_serve
from tests.support.typos import mistyped
from webhooks.models import Delivery, Event

Ask = Callable[..., TestResponse]


@pytest.fixture
def limited(parts: Parts, organization: Organization) -> Issued:
    """A key for three requests a minute."""
    with parts.services.db.session() as session:
        return parts.services.keys.create(
            session, organization_id=organization.id, name="Slow", rate_limit=3, actor=SYSTEM
        )


@pytest.fixture
def caller(app: Flask, limited: Issued) -> FlaskClient:
    client = app.test_client()
    pair = f"{limited.key.client_key}:{limited.client_secret.reveal()}"
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {pair}"
    return client


def told(answer: TestResponse) -> tuple[str | None, str | None]:
    return answer.headers.get("RateLimit-Policy"), answer.headers.get("RateLimit")


def test_each_answer_to_a_key_tells_what_is_left(caller: FlaskClient, clock: ManualClock) -> None:
    assert told(caller.get("/v1/me/")) == ('"key";q=3;w=60', '"key";r=2;t=60')
    clock.advance(timedelta(seconds=20.5))
    assert told(caller.get("/v1/me/")) == ('"key";q=3;w=60', '"key";r=1;t=40')


def test_errors_tell_it_too(caller: FlaskClient) -> None:
    assert caller.get("/v1/meetings/?page_size=0").status_code == 400
    missing = caller.get("/v1/meetings/9d1f5a5e-2f0b-4a0e-8b8e-0d8a5a5f5a5f/")
    assert missing.status_code == 404
    assert told(missing) == ('"key";q=3;w=60', '"key";r=1;t=60')


def test_who_shows_no_key_is_told_nothing_of_limits(client: FlaskClient) -> None:
    for path in ("/v1/me/", "/healthz", "/"):
        assert told(client.get(path)) == (None, None)


def test_one_too_many_is_refused_with_the_seconds_to_wait(
    caller: FlaskClient, clock: ManualClock
) -> None:
    for _ in range(3):
        assert caller.get("/v1/me/").status_code == 200
        clock.advance(timedelta(seconds=10.2))
    refused = caller.get("/v1/me/")
    assert (refused.status_code, refused.content_type) == (429, "application/problem+json")
    assert refused.json == {
        "type": "about:blank",
        "title": "Too Many Requests",
        "status": 429,
        "detail": "This key may make 3 requests a minute and has made them. "
        "Try again in 30 seconds.",
    }
    assert refused.headers["Retry-After"] == "30"
    assert told(refused) == ('"key";q=3;w=60', '"key";r=0;t=30')
    clock.advance(30)
    assert caller.get("/v1/me/").status_code == 200


def test_waiting_as_long_as_told_is_enough(caller: FlaskClient, clock: ManualClock) -> None:
    for _ in range(40):
        answer = caller.get("/v1/me/")
        if answer.status_code == 429:
            clock.advance(int(answer.headers["Retry-After"]))
            assert caller.get("/v1/me/").status_code == 200
        clock.advance(timedelta(seconds=0.73))


def test_u1_a_refused_request_is_no_use_of_the_key(
    caller: FlaskClient, parts: Parts, limited: Issued, clock: ManualClock
) -> None:
    for _ in range(3):
        caller.get("/v1/me/")
    noted = clock.now()
    clock.advance(2)
    assert caller.get("/v1/me/").status_code == 429
    services = parts.services
    services.uses.flush(services.db)
    with services.db.session() as session:
        assert session.get_one(KeyDay, (limited.key.id, noted.date())).requests == 3
    with services.db.session() as session:
        assert [use.at for use in services.uses.of_key(session, limited.key.id)] == [noted]


def test_a_wrong_secret_costs_its_key_nothing(
    client: FlaskClient, caller: FlaskClient, limited: Issued
) -> None:
    wrong = mistyped(limited.client_secret.reveal())
    for _ in range(9):
        answer = client.get(
            "/v1/me/", headers={"Authorization": f"Bearer {limited.key.client_key}:{wrong}"}
        )
        assert (answer.status_code, told(answer)) == (401, (None, None))
    assert told(caller.get("/v1/me/"))[1] == '"key";r=2;t=60'


def test_a_thief_outside_of_the_networks_costs_the_owner_nothing(
    caller: FlaskClient, parts: Parts, limited: Issued
) -> None:
    with parts.services.db.session() as session:
        parts.services.grants.set_networks(
            session,
            limited.key.id,
            organization_id=limited.key.organization_id,
            allowed=["198.51.100.0/24"],
            actor=SYSTEM,
        )
    for _ in range(9):
        assert caller.get("/v1/me/").status_code == 403
    at_home = {"REMOTE_ADDR": "198.51.100.7"}
    assert told(caller.get("/v1/me/", environ_overrides=at_home))[1] == '"key";r=2;t=60'


def test_r8_tokens_and_the_token_endpoint_use_the_same_budget(
    client: FlaskClient, caller: FlaskClient, limited: Issued
) -> None:
    def exchange() -> TestResponse:
        return client.post(
            "/oauth/token",
            data={"grant_type": "client_credentials"},
            auth=(limited.key.client_key, limited.client_secret.reveal()),
        )

    issued = exchange()
    assert told(issued) == ('"key";q=3;w=60', '"key";r=2;t=60')
    bearer = {"Authorization": f"Bearer {issued.get_json()['access_token']}"}
    assert client.get("/v1/me/", headers=bearer).status_code == 200
    assert caller.get("/v1/me/").status_code == 200
    refused = [client.get("/v1/me/", headers=bearer), caller.get("/v1/me/"), exchange()]
    assert [one.status_code for one in refused] == [429, 429, 429]
    assert re.search(r"again in \d+ seconds", cast("str", refused[2].get_json()["detail"]))


def test_l1_two_servers_with_several_processes_pass_exactly_the_limit(
    database_url: str, tmp_path: Path
) -> None:
    services = assemble(
        Settings.from_env(installation_environment(tmp_path, database_url))
    ).services
    with services.db.session() as session:
        organization = services.accounts.create_organization(session, name="N", actor=SYSTEM)
    with services.db.session() as session:
        issued = services.keys.create(
            session, organization_id=organization.id, name="N", rate_limit=60, actor=SYSTEM
        )
    services.db.dispose()
    pair = f"{issued.key.client_key}:{issued.client_secret.reveal()}"

    def call(base_url: str) -> int:
        headers = {"Authorization": f"Bearer {pair}"}
        return requests.get(f"{base_url}/v1/me/", headers=headers, timeout=60).status_code

    with (
        running_serve(tmp_path, database_url) as one,
        running_serve(tmp_path, database_url, "--workers", "2") as other,
        ThreadPoolExecutor(8) as callers,
    ):
        statuses = list(callers.map(call, [one, other] * 75))
    assert sorted(statuses) == [200] * 60 + [429] * 90


def test_a_subscriber_hears_of_a_key_that_has_nearly_used_up_its_limit(
    parts: Parts, caller: FlaskClient, limited: Issued, clock: ManualClock
) -> None:
    where: dict[str, Any] = {
        "organization_id": limited.key.organization_id,
        "actor": SYSTEM,
    }
    may = frozenset({"keys:manage", "webhooks:manage"})
    with parts.services.db.session() as session:
        watcher = parts.services.keys.create(session, name="Watcher", granted=may, **where)
    with parts.services.db.session() as session:
        parts.hooks.subscriptions.subscribe(
            session,
            key_id=watcher.key.id,
            event_type="quota.near",
            target_url="https://hooks.example.com/quota",
            operations=may,
            **where,
        )
    carrier = parts.carrier()

    def heard() -> list[tuple[str, int, int]]:
        carrier.run_once()
        with parts.services.db.session() as session, session.begin():
            bodies = session.scalars(
                select(Event.body).join(Delivery, Delivery.event_id == Event.id)
            ).all()
        return [(told["key"]["name"], told["used"], told["limit"]) for told in map(loads, bodies)]

    for _ in range(2):
        caller.get("/v1/me/")
    assert heard() == []
    for _ in range(3):
        caller.get("/v1/me/")
    assert heard() == [("Slow", 3, 3)]
    clock.advance(timedelta(minutes=2))
    for _ in range(3):
        caller.get("/v1/me/")
    assert heard() == [("Slow", 3, 3)]
