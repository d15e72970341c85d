"""How the tests of OAuth ask, and what they ask with."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from keystore.audit import SYSTEM
from keystore.db import Database
from keystore.keys import Issued, Keys
from keystore.models import AccessToken

CHALLENGE = 'Basic realm="keyhook", charset="UTF-8"'
ENDPOINTS = ("/oauth/token", "/oauth/introspect", "/oauth/revoke")
GRANT = {"grant_type": "client_credentials"}

on_one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

AddKey = Callable[..., Issued]


def pair(issued: Issued) -> tuple[str, str]:
    return issued.key.client_key, issued.client_secret.reveal()


def body_of(issued: Issued) -> dict[str, str]:
    client_id, client_secret = pair(issued)
    return {"client_id": client_id, "client_secret": client_secret}


def basic(text: str | bytes) -> str:
    raw = text.encode() if isinstance(text, str) else text
    return "Basic " + base64.b64encode(raw).decode()


def ask(
    client: FlaskClient, header: str | None = None, path: str = "/oauth/token", **form: str
) -> TestResponse:
    """Post this form with this Authorization header, in exactly these bytes."""
    environ = {} if header is None else {"HTTP_AUTHORIZATION": header}
    return client.post(path, data=form, environ_overrides=environ)


def token_of(client: FlaskClient, issued: Issued, **form: str) -> str:
    answer = ask(client, basic(":".join(pair(issued))), **GRANT, **form)
    assert answer.status_code == 200, answer.data
    assert answer.json is not None
    return str(answer.json["access_token"])


def me(client: FlaskClient, token: str) -> TestResponse:
    return client.get("/v1/me/", headers={"Authorization": f"Bearer {token}"})


def introspected(client: FlaskClient, issued: Issued, token: str, **form: str) -> dict[str, Any]:
    answer = ask(client, basic(":".join(pair(issued))), "/oauth/introspect", token=token, **form)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert isinstance(answer.json, dict)
    return answer.json


def tokens_in(database: Database) -> int:
    with database.session() as session:
        return session.scalars(select(func.count()).select_from(AccessToken)).one()


def bodies(answers: list[TestResponse]) -> set[tuple[int, bytes, tuple[tuple[str, str], ...]]]:
    return {
        (answer.status_code, answer.data, tuple(sorted(answer.headers.items())))
        for answer in answers
    }


def delete(database: Database, keys: Keys, issued: Issued) -> None:
    with database.session() as session:
        keys.delete(
            session, issued.key.id, organization_id=issued.key.organization_id, actor=SYSTEM
        )
