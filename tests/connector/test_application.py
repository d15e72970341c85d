"""The installation as a whole: whose cookie opens what, and what is done beside the server."""

from datetime import timedelta

import pytest
from flask import Flask, session
from flask.testing import FlaskClient
from sqlalchemy import func, select

from connector.app import Parts
from keystore.access import public
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.keys import Issued
from keystore.models import AccessToken, Secret


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    @app.get("/v1/seen/")
    @public
    def seen_by_the_api() -> dict[str, list[str]]:
        return {"session": list(session)}

    @app.get("/seen/")
    @public
    def seen_by_a_page() -> dict[str, list[str]]:
        return {"session": list(session)}

    return app.test_client()


def test_no_cookie_reaches_the_api(client: FlaskClient) -> None:
    with client.session_transaction() as stored:
        stored["token"] = "somebody's"

    assert client.get("/seen/").json == {"session": ["token"]}
    answer = client.get("/v1/seen/")
    assert answer.json == {"session": []}
    assert "Set-Cookie" not in answer.headers


def test_a_form_that_is_sent_to_a_page_needs_its_token(client: FlaskClient) -> None:
    assert client.post("/sign-in/", data={"email": "a@b.example"}).status_code == 400


def test_the_api_asks_for_no_form_token(client: FlaskClient) -> None:
    assert client.post("/v1/webhooks/", json={}).status_code == 401


def test_what_the_clock_has_ended_is_written_down_beside_the_server(
    parts: Parts, issued: Issued, clock: ManualClock
) -> None:
    services, hour = parts.services, timedelta(hours=1)
    shown = services.verification.by_secret(issued.key.client_key, issued.client_secret.reveal())
    assert shown is not None
    with services.db.session() as stored:
        services.tokens.issue(stored, shown, shown.scopes)
    with services.db.session() as stored:
        services.keys.regenerate(
            stored,
            issued.key.id,
            organization_id=issued.key.organization_id,
            generation=1,
            actor=SYSTEM,
            overlap=hour,
        )
    clock.advance(hour)
    parts.carrier().run_once()
    with services.db.session() as stored, stored.begin():
        states = stored.scalars(select(Secret.state).order_by(Secret.generation)).all()
        tokens = stored.scalar(select(func.count()).select_from(AccessToken))
    assert ([state.value for state in states], tokens) == (["dead", "current"], 0)
