"""What a Zap makes of answers that our server does not give on demand.

The server has no rate limit yet and does not fail at will, so a loopback server that says just
this one thing stands at the address that the project was emitted for. What our server itself says
no to is in the other stories.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.platforms.node import JavaScriptError, Node
from tests.platforms.zapier.connector import TRIGGER, Connector, emit
from tests.support.receiver import Answer, Receiver

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


@pytest.mark.parametrize(("retry_after", "delay"), [("7", 7), ("soon", None), (None, None)])
def test_too_many_requests_wait_as_long_as_the_server_says(
    answered: Any, retry_after: str | None, delay: int | None
) -> None:
    headers = JSON if retry_after is None else {**JSON, "Retry-After": retry_after}
    error = answered(429, headers=headers)
    assert error.name == "ThrottledError"
    assert json.loads(error.message)["delay"] == delay


def test_too_many_requests_wait_when_a_zap_is_turned_off_too(answered: Any) -> None:
    error = answered(429, headers={"Retry-After": "7"}, method=f"{TRIGGER}.performUnsubscribe")
    assert (error.name, json.loads(error.message)["delay"]) == ("ThrottledError", 7)


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
