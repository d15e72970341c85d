"""What the API says when something else than the caller is wrong."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from connector.app import Parts, create_app
from keystore import db
from keystore.db import Database
from keystore.keys import Issued


@pytest.fixture
def impatient(
    parts: Parts, issued: Issued, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FlaskClient]:
    """A caller of an installation that does not wait long for SQLite's one lock."""
    monkeypatch.setattr(db, "BUSY_TIMEOUT_MS", 50)
    database = Database(parts.services.db.url)
    app = create_app(replace(parts, services=replace(parts.services, db=database)))
    client = app.test_client()
    pair = f"{issued.key.client_key}:{issued.client_secret.reveal()}"
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {pair}"
    yield client
    database.dispose()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_database_that_is_locked_for_too_long_is_a_503_that_says_when_to_come_back(
    impatient: FlaskClient, database_url: str
) -> None:
    body = {"event_type": "AINOTE", "target_url": "https://example.com/hook"}
    path = Path(database_url.removeprefix("sqlite:///"))
    with closing(sqlite3.connect(path, isolation_level=None)) as somebody_else:
        somebody_else.execute("BEGIN IMMEDIATE")

        refused = impatient.post("/v1/webhooks/", json=body)

    assert (refused.status_code, refused.content_type) == (503, "application/problem+json")
    assert refused.headers["Retry-After"] == "5"
    assert refused.json is not None
    assert "nothing was changed" in refused.json["detail"]
    assert impatient.get("/v1/webhooks/").json == {"count": 0, "results": []}
    assert impatient.post("/v1/webhooks/", json=body).status_code == 201
