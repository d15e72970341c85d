"""The settings' navigation, with an entry from a floor above."""

import re

import pytest
from flask import Flask, render_template_string

from keystore import access, pages
from keystore.models import User
from keystore.pages import NavItem
from keystore.services import Services
from tests.keystore.pages.browser import DEVELOPER, Browser

PAGE = """{% extends "layout.html" %}{% block title %}Log{% endblock %}
{% block content %}<h1>The log</h1>{% endblock %}"""


@pytest.fixture
def ada(services: Services, admin: User) -> Browser:
    app = Flask("site", static_folder=None)
    app.extensions["keyhook"] = services
    app.extensions["keyhook_nav"] = [NavItem("Log", "log")]
    pages.init_app(app)

    @app.get(f"{DEVELOPER}log/", endpoint="log")
    @app.get(f"{DEVELOPER}log/<int:number>/", endpoint="entry")
    @access.admin_only
    def log(number: int = 0) -> str:
        return render_template_string(PAGE, number=number)

    browser = Browser(app)
    browser.sign_in(admin.email)
    return browser


@pytest.mark.parametrize(
    ("path", "current"),
    [("", "Client keys"), ("keys/new/", "Client keys"), ("log/", "Log"), ("log/7/", "Log")],
)
def test_a_page_from_above_is_found_and_marked_when_it_is_open(
    ada: Browser, path: str, current: str
) -> None:
    text = ada.get(DEVELOPER + path).text

    links = re.findall(
        rf'<li><a href="{DEVELOPER}([^"]*)"( aria-current="page")?>([^<]+)</a>', text
    )
    assert [(address, label) for address, _, label in links[:2]] == [
        ("", "Client keys"),
        ("log/", "Log"),
    ]
    assert [label for _, mark, label in links if mark] == [current]
    assert re.sub(r"<[^>]+>", " ", text).split("Settings")[1].split()[:2] == [
        "Organization",
        "Developer",
    ]
