"""The page on how to receive webhooks: open to anybody, and true."""

import json
import re
from html import unescape

from flask import Flask
from flask.testing import FlaskClient

from connector.app import Parts
from connector.docs import ALL
from keystore.models import User
from tests.keystore.pages.browser import DEVELOPER, Browser

PAGE = "/docs/receive-webhooks/"


def test_anybody_may_read_it(client: FlaskClient) -> None:
    page = client.get(PAGE)

    assert page.status_code == 200
    assert "Your account" not in page.text, "a stranger has none"
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    assert " style=" not in page.text


def test_each_snippet_is_shown_as_the_file_that_is_tested_and_can_be_copied(
    client: FlaskClient,
) -> None:
    text = client.get(PAGE).text

    shown = re.findall(r'<pre class="body" id="(snippet-\d)"[^>]*>(.*?)</pre>', text, re.DOTALL)
    assert [unescape(code) for _, code in shown] == [snippet.text for snippet in ALL]
    for number, _ in shown:
        assert f'data-copy="{number}"' in text
    for snippet in ALL:
        assert f"<summary>{snippet.language}</summary>" in text


def test_it_lists_the_event_types_and_the_waits_as_they_are(
    client: FlaskClient, parts: Parts
) -> None:
    text = unescape(client.get(PAGE).text)

    for event_type in parts.hooks.catalog:
        assert f"<code>{event_type.name}</code>" in text
        assert event_type.summary in text
        assert json.dumps(event_type.sample, indent=2, ensure_ascii=False) in text
    assert re.search(r"after\s+5 minutes, 30 minutes, 2 hours, 12 hours, 24 hours,", text)


def test_the_developer_settings_lead_there(app: Flask, admin: User, member: User) -> None:
    browser = Browser(app)
    browser.sign_in(admin.email)
    assert f'href="{PAGE}"' in browser.get(DEVELOPER).text
    page = browser.get(PAGE).text
    assert f'<a href="{PAGE}" aria-current="page">Receive webhooks</a>' in page
