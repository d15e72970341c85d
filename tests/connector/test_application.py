"""The app as a whole: a page's cookie opens pages only, and the API neither reads nor sets one."""

import pytest
from flask import Flask, session
from flask.testing import FlaskClient

from keystore.access import public


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
