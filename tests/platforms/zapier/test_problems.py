"""What a Zap makes of answers that our server does not give on demand.

Our server does not fail at will, and what it says of limits can be read; so a loopback server that
says just this one thing stands at the address that the project was emitted for. What our server
itself says no to is in the other stories, and its limit at the end of this one.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from connector.app import assemble
from keystore.audit import SYSTEM
from keystore.settings import Settings
from tests.platforms.node import JavaScriptError, Node
from tests.platforms.zapier.connector import TRIGGER, Connector, emit
from tests.support.receiver import Answer, Receiver
from tests.support.server import installation_environment, running_serve

JSON = {"Content-Type": "application/problem+json"}


@pytest.fixture
def answered(zapier: Node, node_modules: Path, tmp_path: Path) -> Any:
    """Return what a run comes to when the server answers so."""

    def run(
        status: int,
        body: bytes = b"{}",
        headers: Mapping[str, str] = JSON,
        method: str = "authentication.test",
    ) -> JavaScriptError:
        with Receiver() as server:
            server.default = Answer(status, headers, body)
            project = emit(server.url(""), tmp_path / "project", node_modules)
            connector = Connector(zapier, project, "khk" + "a" * 20, "khs" + "b" * 48)
            with pytest.raises(JavaScriptError) as raised:
                connector.run(method, subscribeData={"id": "7"})
        return raised.value

    return run


@pytest.mark.parametrize("retry_after", ["soon", None])
def test_too_many_requests_without_a_time_to_wait_are_left_to_zapier(
    answered: Any, retry_after: str | None
) -> None:
    headers = JSON if retry_after is None else {**JSON, "Retry-After": retry_after}
    error = answered(429, headers=headers)
    assert error.name == "ThrottledError"
    assert json.loads(error.message)["delay"] is None


def test_a_revoked_key_asks_to_reconnect_when_a_zap_is_turned_off_too(answered: Any) -> None:
    body = b'{"detail": "The key is not valid."}'
    error = answered(401, body, method=f"{TRIGGER}.performUnsubscribe")
    assert (error.name, error.message) == ("ExpiredAuthError", "The key is not valid.")


def test_a_missing_scope_stops_with_the_reason(answered: Any) -> None:
    error = answered(403, b'{"detail": "The key lacks the scope webhooks."}')
    assert (error.name, error.message) == ("HaltedError", "The key lacks the scope webhooks.")


@pytest.mark.parametrize("body", [b"<h1>Not here</h1>", b"", b"null", b"[]"])
def test_a_refusal_without_a_reason_stops_with_its_status(answered: Any, body: bytes) -> None:
    error = answered(404, body, headers={"Content-Type": "text/html"})
    assert (error.name, error.message) == ("HaltedError", "Keyhook answered with status 404.")


@pytest.mark.parametrize("method", ["authentication.test", f"{TRIGGER}.performUnsubscribe"])
def test_a_server_that_fails_is_an_error_that_zapier_tries_again(
    answered: Any, method: str
) -> None:
    error = answered(503, method=method)
    assert error.name == "ResponseError"
    assert json.loads(error.message)["status"] == 503


def test_too_many_requests_wait_as_long_as_our_server_says(
    zapier: Node, node_modules: Path, tmp_path: Path
) -> None:
    database_url = f"sqlite:///{tmp_path / 'keyhook.db'}"
    services = assemble(
        Settings.from_env(installation_environment(tmp_path, database_url))
    ).services
    services.db.upgrade()
    with services.db.session() as session:
        organization = services.accounts.create_organization(session, name="N", actor=SYSTEM)
    with services.db.session() as session:
        issued = services.keys.create(
            session, organization_id=organization.id, name="Zap", rate_limit=1, actor=SYSTEM
        )
    services.db.dispose()
    with running_serve(tmp_path, database_url) as base_url:
        project = emit(base_url, tmp_path / "project", node_modules)
        secret = issued.client_secret.reveal()
        connector = Connector(zapier, project, issued.key.client_key, secret)
        connector.run("authentication.test")
        for method in ("authentication.test", f"{TRIGGER}.performUnsubscribe"):
            with pytest.raises(JavaScriptError) as raised:
                connector.run(method, subscribeData={"id": "7"})
            assert raised.value.name == "ThrottledError"
            assert 30 < json.loads(raised.value.message)["delay"] <= 60
