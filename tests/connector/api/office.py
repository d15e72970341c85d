"""An organization whose keys are managed by keys, over HTTP."""

from typing import Any
from uuid import uuid4

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from connector.app import Parts
from keystore import trail
from keystore.audit import SYSTEM
from keystore.keys import Issued
from keystore.models import Organization
from keystore.scopes import PRESETS
from keystore.trail import Filter

MANAGE = PRESETS["manage"].operations
READ = frozenset({"meetings:read"})


class Office:
    """An organization whose keys are managed by keys."""

    def __init__(self, app: Flask, parts: Parts, organization: Organization) -> None:
        self.app, self.parts, self.organization = app, parts, organization

    def issue(self, granted: frozenset[str] = READ, **more: Any) -> Issued:
        """Make a key as an admin does."""
        more.setdefault("name", uuid4().hex)
        with self.parts.services.db.session() as session:
            return self.parts.services.keys.create(
                session,
                organization_id=more.pop("organization_id", self.organization.id),
                granted=granted,
                actor=SYSTEM,
                **more,
            )

    def client(self, client_key: str, client_secret: str) -> FlaskClient:
        client = self.app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {client_key}:{client_secret}"
        return client

    def holder(self, issued: Issued) -> FlaskClient:
        return self.client(issued.key.client_key, issued.client_secret.reveal())

    def manager(self, granted: frozenset[str] = MANAGE, **more: Any) -> FlaskClient:
        return self.holder(self.issue(granted, **more))

    def log(self, **wanted: Any) -> list[tuple[str, str, str | None]]:
        """Return (action, outcome, reason) of what keys did, oldest first."""
        with self.parts.services.db.session() as session:
            page = trail.page(session, self.organization.id, Filter(**wanted))
        return [
            (one.action, str(one.outcome), one.detail.get("reason"))
            for one in reversed(page.events)
            if one.actor_kind == "key"
        ]


def works(client: FlaskClient) -> bool:
    return client.get("/v1/me/").status_code == 200


def body(answer: TestResponse) -> dict[str, Any]:
    assert isinstance(answer.json, dict), answer.data
    return answer.json


def made(answer: TestResponse) -> dict[str, Any]:
    assert answer.status_code == 201, answer.data
    return body(answer)
