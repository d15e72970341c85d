"""What people do on the pages, in their own words."""

import re
from dataclasses import dataclass

from playwright.sync_api import Page, expect

from tests.support.server import Server

DEVELOPER = "/settings/organization/developer/"


@dataclass(frozen=True)
class Pair:
    """A credential as somebody copied it."""

    client_key: str
    client_secret: str

    def __str__(self) -> str:
        return f"{self.client_key}:{self.client_secret}"


def sign_in(page: Page, email: str, password: str) -> None:
    page.goto(DEVELOPER)
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def sign_in_as_admin(page: Page, server: Server) -> None:
    sign_in(page, server.admin_email, server.admin_password)
    expect(page.get_by_role("heading", name="Client keys")).to_be_visible()


def add_key(page: Page, name: str) -> None:
    """From the list to the page that shows the secret."""
    page.get_by_role("link", name=re.compile("Add (a|your first) key")).click()
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Create key").click()
    expect(page.get_by_role("heading", name=f"Copy the secret of {name}")).to_be_visible()


def copy(page: Page, what: str) -> str:
    """Press a copy button and paste."""
    button = page.get_by_role("button", name=f"Copy {what}", exact=True)
    button.click()
    expect(button).to_have_class(re.compile("is-done"))
    return str(page.evaluate("navigator.clipboard.readText()"))


def copy_pair(page: Page) -> Pair:
    return Pair(copy(page, "Client Key"), copy(page, "Client Secret"))


def works(server: Server, pair: Pair) -> bool:
    """Knock at the API: this key's name, or the door stays shut."""
    status = server.call("GET", "/v1/me/", pair=str(pair)).status_code
    assert status in {200, 401}
    return status == 200
