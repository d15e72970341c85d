"""The door of the API: two spellings of one pair open it, everything else gets one answer."""

import base64
import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from connector import auth
from keystore import credentials, scopes, trail
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.db import Database
from keystore.keys import Issued, Keys
from keystore.models import Organization, Outcome
from keystore.trail import Filter


def basic(text: str | bytes) -> str:
    raw = text.encode() if isinstance(text, str) else text
    return "Basic " + base64.b64encode(raw).decode()


def ask(client: FlaskClient, header: str | None) -> TestResponse:
    """Call with this header, in exactly these bytes; HTTP's own bytes are latin-1 to WSGI."""
    environ = {} if header is None else {"HTTP_AUTHORIZATION": header}
    return client.get("/v1/me/", environ_overrides=environ)


def pair(issued: Issued) -> str:
    return f"{issued.key.client_key}:{issued.client_secret.reveal()}"


@pytest.mark.parametrize(
    "spell",
    [
        lambda text: f"Bearer {text}",
        lambda text: f"bearer  {text}",
        basic,
        lambda text: basic(text).replace("Basic", "BASIC"),
    ],
)
def test_both_schemes_open_the_door(
    client: FlaskClient, issued: Issued, spell: Callable[[str], str]
) -> None:
    answer = ask(client, spell(pair(issued)))

    assert answer.status_code == 200
    assert answer.json is not None
    assert answer.json["organization_name"] == "Northwind"
    assert answer.json["key"] == {
        "id": str(issued.key.id),
        "name": "Zapier",
        "client_key": issued.key.client_key,
        "scopes": sorted(scopes.DEFAULT),
        "data_scope": "org_full",
    }


def test_a4_a7_every_other_header_gets_one_and_the_same_401(
    client: FlaskClient, issued: Issued, database: Database, keys: Keys, clock: ManualClock
) -> None:
    key, secret = issued.key.client_key, issued.client_secret.reveal()
    unknown_key = credentials.generate_client_key(random.Random(1))
    unknown_secret = credentials.generate_client_secret(unknown_key, random.Random(2)).reveal()
    where: dict[str, Any] = {"organization_id": issued.key.organization_id, "actor": SYSTEM}
    dead = []
    for name in ("deleted", "disabled", "expired"):
        with database.session() as session:
            dead.append(made := keys.create(session, name=name, **where))
        with database.session() as session:
            if name == "deleted":
                keys.delete(session, made.key.id, **where)
            elif name == "disabled":
                keys.disable(session, made.key.id, **where)
            else:
                soon = clock.now() + timedelta(seconds=1)
                keys.set_expiry(session, made.key.id, expires_at=soon, **where)
    clock.advance(1)
    with database.session() as session:
        renewed = keys.regenerate(
            session,
            issued.key.id,
            organization_id=issued.key.organization_id,
            generation=1,
            actor=SYSTEM,
        )
    right = pair(renewed)
    assert ask(client, f"Bearer {right}").status_code == 200

    refused = [
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {pair(issued)}",  # retired
        *(f"Bearer {pair(one)}" for one in dead),
        f"Bearer {unknown_key}:{unknown_secret}",
        f"Bearer {key}",
        f"Bearer {key}:",
        f"Bearer :{secret}",
        f"Bearer {key}{secret}",
        f"Bearer {right}:",
        f"Bearer {right} ",
        f"Bearer {right}\n",
        f"Bearer {right}\x00",
        f"Bearer {right[:-1]}",
        f"Bearer {right.upper()}",
        f"Bearer {right[0].upper()}{right[1:]}",
        f"Bearer {right.replace(':', '%3A')}",
        f"Bearer {right.replace('k', 'K', 1)}",
        f"Bearer\t{right}",
        f"Token {right}",
        right,
        f"Basic {right}",
        basic(right + ":"),
        basic(right + "\n"),
        basic(right.upper()),
        basic(b"\xff\xfe"),
        basic(right)[:-1],
        basic(right) + "=",
        basic(right).replace("Basic ", "Basic \xa0"),
        "Basic ====",
        "Bearer " + "ÿ" * 40,
        "Bearer " + "a" * 100_000,
        f"Bearer {right}, Bearer {right}",
        f"Bearer {right} {right}",
        f"Bearer {right.replace('k', 'к')}".encode().decode("latin-1"),  # Cyrillic
        f"Bearer {right[:-1]}\xa0",
        f"Bearer {right}\u200b".encode().decode("latin-1"),
    ]
    answers = {
        (answer.status_code, answer.data, str(answer.headers))
        for answer in (ask(client, header) for header in refused)
    }

    assert len(answers) == 1
    answer = ask(client, None)
    assert answer.status_code == 401
    assert answer.content_type == "application/problem+json"
    assert (
        answer.headers["WWW-Authenticate"]
        == 'Bearer realm="keyhook", Basic realm="keyhook", charset="UTF-8"'
    )
    assert answer.json is not None
    assert answer.json["status"] == 401
    assert "Client Secret" in answer.json["detail"]


@given(st.one_of(st.text(), st.binary().map(lambda raw: raw.decode("latin-1"))))
def test_a4_no_header_makes_the_parser_raise(text: str) -> None:
    for header in (text, "Bearer " + text, "Basic " + text, basic(text.encode("utf-8", "replace"))):
        parsed = auth.parse(header)
        assert parsed is None or all(half.isascii() and half.isalnum() for half in parsed)


def test_a_missing_scope_is_named(
    client: FlaskClient, database: Database, keys: Keys, organization: Organization
) -> None:
    with database.session() as session:
        reader = keys.create(
            session,
            organization_id=organization.id,
            name="reader",
            actor=SYSTEM,
            granted=frozenset({"meetings:read"}),
        )

    answer = client.get("/v1/webhooks/", headers={"Authorization": f"Bearer {pair(reader)}"})

    assert answer.status_code == 403
    assert answer.json is not None
    assert "webhooks:manage" in answer.json["detail"]
    assert (
        'error="insufficient_scope", scope="webhooks:manage"' in answer.headers["WWW-Authenticate"]
    )


def test_a_change_without_the_scope_is_on_record_and_a_mere_look_is_not(
    client: FlaskClient, database: Database, keys: Keys, organization: Organization
) -> None:
    with database.session() as session:
        reader = keys.create(
            session,
            organization_id=organization.id,
            name="reader",
            actor=SYSTEM,
            granted=frozenset({"meetings:read"}),
        )
    headers = {"Authorization": f"Bearer {pair(reader)}", "User-Agent": "Make/1"}

    assert client.get("/v1/webhooks/", headers=headers).status_code == 403
    assert client.post("/v1/webhooks/", headers=headers).status_code == 403

    with database.session() as session:
        [row] = trail.page(session, organization.id, Filter(outcome=Outcome.REFUSED)).events
    assert (row.action, row.subject_id) == ("api.called", str(reader.key.id))
    assert (row.actor_label, row.agent, row.address) == ("reader", "Make/1", "127.0.0.1")
    assert row.detail == {
        "method": "POST",
        "path": "/v1/webhooks/",
        "scope": "webhooks:manage",
        "reason": "InsufficientScope",
    }


def test_a_key_without_scopes_may_only_ask_who_it_is(
    client: FlaskClient, database: Database, keys: Keys, organization: Organization
) -> None:
    with database.session() as session:
        nothing = keys.create(
            session,
            organization_id=organization.id,
            name="nothing",
            actor=SYSTEM,
            granted=frozenset(),
        )
    headers = {"Authorization": f"Bearer {pair(nothing)}"}

    assert client.get("/v1/me", headers=headers).status_code == 200
    for path in ("/v1/meetings/", "/v1/webhooks/", "/v1/notes/", "/v1/events/AINOTE/samples/"):
        assert client.get(path, headers=headers).status_code == 403, path


def test_what_the_api_does_not_have_is_a_problem_too(client: FlaskClient, issued: Issued) -> None:
    headers = {"Authorization": f"Bearer {pair(issued)}"}

    missing = client.get("/v1/nothing/", headers=headers)
    method = client.post("/v1/me/", headers=headers)

    assert (missing.status_code, missing.content_type) == (404, "application/problem+json")
    assert (method.status_code, method.content_type) == (405, "application/problem+json")
    assert "GET" in method.headers["Allow"]


def test_with_and_without_the_slash_there_is_no_redirect(
    client: FlaskClient, issued: Issued
) -> None:
    headers = {"Authorization": f"Bearer {pair(issued)}"}

    for path in ("/v1/me", "/v1/me/", "/v1/webhooks", "/v1/webhooks/"):
        assert client.get(path, headers=headers).status_code == 200, path
