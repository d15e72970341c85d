"""The demo's mails go through the table and a carrier like any other, and end on a page."""

from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import text

from connector import demo_mails
from connector.app import Parts, create_app
from keystore.db import writing
from keystore.models import Organization, User
from keystore.settings import Settings
from tests.keystore.pages.browser import DEVELOPER, Browser

LINK = "http://127.0.0.1:8400/reset/very-secret-token"
PAGE = "/demo/mails/"


@pytest.fixture
def app_settings(app_settings: Settings) -> Settings:
    return replace(app_settings, mail_from="Keyhook <keyhook@northwind.example>")


@pytest.fixture
def app(parts: Parts) -> Flask:
    app = create_app(parts)
    demo_mails.init_app(app, parts)
    return app


def post(parts: Parts, organization: Organization) -> None:
    with parts.services.db.session() as session, writing(session):
        parts.services.mail.post(
            session,
            to="ada@northwind.example",
            subject="Forgot <your> password?",
            text=f"Open this:\n\n{LINK}\n\n<script>alert(1)</script>\n",
            now=parts.services.clock.now(),
            organization_id=organization.id,
        )


def test_a_mail_is_on_the_page_once_it_was_carried(
    app: Flask, parts: Parts, organization: Organization
) -> None:
    stranger = Browser(app)
    assert "No mails yet" in stranger.get(PAGE).text
    post(parts, organization)
    assert "No mails yet" in stranger.get(PAGE).text

    assert parts.carrier(demo_mails.Sink(parts)).run_once() == 1

    page = stranger.get(PAGE)
    assert page.status_code == 200
    assert "Forgot &lt;your&gt; password?" in page.text
    assert "To ada@northwind.example, from Keyhook &lt;keyhook@northwind.example&gt;" in page.text
    assert f'href="{LINK}"' in page.text
    assert "<script>alert" not in page.text


def test_a_mail_that_comes_twice_is_shown_once(
    app: Flask, parts: Parts, organization: Organization
) -> None:
    post(parts, organization)
    carrier = parts.carrier(demo_mails.Sink(parts))
    with parts.services.db.session() as session:
        job = parts.services.mail.claim(session, parts.services.clock.now())
    assert job is not None
    carrier._send(job, demo_mails.Sink(parts))
    carrier._send(job, demo_mails.Sink(parts))

    assert Browser(app).get(PAGE).text.count("<article") == 1


def test_no_link_lies_open_in_the_database(
    app: Flask, parts: Parts, organization: Organization
) -> None:
    post(parts, organization)
    parts.carrier(demo_mails.Sink(parts)).run_once()

    with parts.services.db.engine.connect() as connection:
        rows = [
            row
            for table in ("mails", "demo_mails")
            for row in connection.execute(text(f"SELECT * FROM {table}"))
        ]
    assert len(rows) == 2
    assert "very-secret" not in str(rows)
    assert b"very-secret" not in b"".join(bytes(c) for r in rows for c in r if _is_bytes(c))


def _is_bytes(cell: object) -> bool:
    return isinstance(cell, bytes | memoryview)


def test_it_is_in_the_navigation_of_the_demo_alone(app: Flask, parts: Parts, admin: User) -> None:
    demo, earnest = Browser(app), Browser(create_app(parts))
    for browser in (demo, earnest):
        browser.sign_in(admin.email)

    assert f'href="{PAGE}"' in demo.get(DEVELOPER).text
    assert f'href="{PAGE}"' not in earnest.get(DEVELOPER).text
    assert earnest.get(PAGE).status_code == 404
    assert 'aria-current="page">Mails' in demo.get(PAGE).text
