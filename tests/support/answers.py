"""What servers answer to tests is overheard: to Flask's test client, to requests, to Chromium."""

import json
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import requests
from flask.testing import FlaskClient

from tests.support.canaries import Canaries


def overhear_answers(canaries: Canaries) -> None:
    """Let canaries have every response that this process gets from now on."""

    def from_flask(answer: Any) -> None:
        asked = answer.request
        canaries.response(
            asked.method, asked.path, answer.status_code, answer.headers, answer.get_data(True)
        )

    def from_afar(answer: requests.Response) -> None:
        asked, status = answer.request, answer.status_code
        canaries.response(str(asked.method), str(asked.url), status, answer.headers, answer.text)

    FlaskClient.open = _overheard(FlaskClient.open, from_flask)  # type: ignore[method-assign]
    requests.Session.send = _overheard(requests.Session.send, from_afar)  # type: ignore[method-assign]


def read_archive(canaries: Canaries, path: Path) -> None:
    """Let canaries have the responses that a browser wrote down (HTTP Archive 1.2)."""
    for entry in json.loads(path.read_text())["log"]["entries"]:
        asked, answer = entry["request"], entry["response"]
        headers = {one["name"].title(): one["value"] for one in answer["headers"]}
        body = answer["content"].get("text", "")
        canaries.response(asked["method"], asked["url"], answer["status"], headers, body)


def _overheard(method: Callable[..., Any], note: Callable[[Any], None]) -> Callable[..., Any]:
    @wraps(method)
    def ask_and_tell(*arguments: Any, **more: Any) -> Any:
        answer = method(*arguments, **more)
        note(answer)
        return answer

    return ask_and_tell
