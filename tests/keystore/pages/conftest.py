"""A site with one organization, and its people's browsers."""

from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask

from keystore import pages
from keystore.keys import Issued
from keystore.models import User
from keystore.services import Services
from tests.keystore.pages.browser import Browser
from tests.support.databases import sqlite_template


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """Pages have no SQL of their own; one kind of database is enough for them."""
    path = tmp_path / "keyhook.db"
    path.write_bytes(sqlite_template().read_bytes())
    return f"sqlite:///{path}"


@pytest.fixture
def app(services: Services) -> Flask:
    app = Flask("site", static_folder=None)
    app.extensions["keyhook"] = services
    pages.init_app(app)
    return app


@pytest.fixture
def stranger(app: Flask) -> Browser:
    """A browser in which nobody has signed in."""
    return Browser(app)


@pytest.fixture
def ada(app: Flask, admin: User) -> Browser:
    """The admin's browser, signed in."""
    browser = Browser(app)
    browser.sign_in(admin.email)
    return browser


@pytest.fixture
def mel(app: Flask, member: User) -> Browser:
    """The member's browser, signed in."""
    browser = Browser(app)
    browser.sign_in(member.email)
    return browser


@pytest.fixture
def works(services: Services) -> Callable[[str, str], bool]:
    """Tell whether a pair opens the door at this moment."""

    def check(client_key: str, client_secret: str) -> bool:
        return services.verification.by_secret(client_key, client_secret) is not None

    return check


@pytest.fixture
def key_page(issued: Issued) -> str:
    """The address of the page of the one key there is."""
    return f"/settings/organization/developer/keys/{issued.key.id}/"
