"""Every route declares who may call it; and what it declares is what happens."""

import re

from flask import Flask

from keystore import scopes
from keystore.access import Access


def routes(app: Flask) -> list[tuple[str, str, str]]:
    """Return (endpoint, method, a path that matches) of everything this app answers."""
    found = []
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<uuid:[^>]+>", "00000000-0000-4000-8000-000000000000", rule.rule)
        path = re.sub(r"<int[^>]*>", "1", path)
        path = re.sub(r"<[^>]+>", "x", path)
        found += [
            (rule.endpoint, method, path)
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
        ]
    return found


def declared(app: Flask, endpoint: str) -> str | None:
    access = getattr(app.view_functions[endpoint], "access", None)
    return access.who if isinstance(access, Access) else None


def test_every_route_declares_who_may_call_it(app: Flask) -> None:
    undeclared = {endpoint for endpoint, _, _ in routes(app) if declared(app, endpoint) is None}

    assert undeclared == set()


def test_only_known_kinds_of_caller_are_declared(app: Flask) -> None:
    known = {
        "public",
        "signed-in",
        "keyholder",
        "admin",
        "any-key",
        "client",
        "signed-link",
        "signed-report",
        "own-network",
    } | {f"scope:{name}" for name in scopes.OPERATIONS}

    assert {declared(app, endpoint) for endpoint, _, _ in routes(app)} <= known


def test_the_api_is_for_keys_and_the_pages_are_for_people(app: Flask) -> None:
    for endpoint, _, path in routes(app):
        for_keys = (declared(app, endpoint) or "").startswith(
            ("scope:", "any-key", "signed-link", "signed-report")
        )
        assert for_keys == path.startswith("/v1/"), path


def test_a_stranger_gets_no_further_than_the_door(app: Flask) -> None:
    client = app.test_client()
    for endpoint, method, path in routes(app):
        who = declared(app, endpoint)
        if who == "public":
            continue
        answer = client.open(path, method=method, environ_overrides={"REMOTE_ADDR": "203.0.113.9"})
        if who == "own-network":
            assert answer.status_code == 404, path
        elif who in {"signed-link", "signed-report"}:
            assert answer.status_code == 403, path
        elif who == "client":
            assert answer.status_code == 401, path
            assert answer.json is not None
            assert answer.json["error"] == "invalid_client", path
        elif path.startswith("/v1/"):
            assert answer.status_code == 401, path
        elif method == "GET":
            assert answer.status_code == 303, path
            assert answer.headers["Location"].startswith("/sign-in/"), path
        else:
            assert answer.status_code in {303, 400}, path
