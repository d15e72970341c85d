"""Northwind's people before the pages of this floor."""

from pathlib import Path

import pytest
from flask import Flask

from keystore.models import User
from tests.keystore.pages.browser import Browser
from tests.support.databases import sqlite_template


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """Pages have no SQL of their own; one kind of database is enough for them."""
    path = tmp_path / "keyhook.db"
    path.write_bytes(sqlite_template().read_bytes())
    return f"sqlite:///{path}"


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
