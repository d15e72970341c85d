"""Links in mails, from the form that asks for one to the page that it opens, in a real browser."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, ViewportSize, expect

from tests.e2e.camera import Camera
from tests.e2e.conftest import DESKTOP, PHONE, Open
from tests.e2e.people import sign_in, sign_in_as_admin
from tests.e2e.test_sign_in import tab_to
from tests.support.server import Server, eventually, running_server

PEOPLE = "/settings/organization/people/"
MAILS = "/demo/mails/"
NEW = "staple and another horse"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of its own, as these tests change who signs in, and how."""
    with running_server(tmp_path_factory.mktemp("mails") / "demo") as server:
        yield server


def wait_for_mail(page: Page, subject: str, to: str) -> None:
    """Look again until it is there; a thread beside the server brings it."""

    def is_there() -> bool:
        page.goto(MAILS)
        newest = page.locator("article").first
        return newest.is_visible() and to in newest.inner_text() and subject in newest.inner_text()

    eventually(is_there)


def open_link(page: Page) -> None:
    """Go to the newest mail's link with the keyboard."""
    tab_to(page, link(page).inner_text())
    page.keyboard.press("Enter")


def link(page: Page) -> Locator:
    return page.locator("article").first.get_by_role("link", name=re.compile("khl"))


def test_somebody_is_invited_and_comes_in_by_keyboard_alone(
    open_browser: Open, server: Server
) -> None:
    admin, guest = open_browser(), open_browser(scripts=False)
    sign_in_as_admin(admin, server)
    admin.goto(PEOPLE)
    admin.get_by_label("E-mail").focus()
    admin.keyboard.type("bob@northwind.example")
    admin.keyboard.press("Tab")
    admin.keyboard.press("Tab")
    admin.keyboard.press("Enter")
    expect(admin.get_by_role("status").filter(has_text="on its way")).to_be_visible()
    admin.get_by_role("link", name="Look at the mails").click()
    expect(admin.get_by_role("heading", name="Mails", exact=True)).to_be_visible()

    wait_for_mail(guest, "Ada Lindqvist invites you to Northwind", "bob@northwind.example")
    open_link_without_scripts(guest)
    expect(guest.get_by_label("Your name")).to_be_focused()
    guest.keyboard.type("Bob Marsh")
    guest.keyboard.press("Tab")
    guest.keyboard.type(NEW)
    guest.keyboard.press("Enter")

    expect(guest.get_by_role("heading", name="Your account")).to_be_visible()
    expect(guest.get_by_text("Bob Marsh, bob@northwind.example")).to_be_visible()
    admin.goto(PEOPLE)
    expect(admin.get_by_text("Bob Marsh")).to_be_visible()
    guest.goto(MAILS)
    open_link_without_scripts(guest)
    expect(guest.get_by_role("heading", name="This invitation is over")).to_be_visible()


def open_link_without_scripts(page: Page) -> None:
    link(page).focus()
    page.keyboard.press("Enter")


def test_a_forgotten_password_is_replaced_by_keyboard_alone(
    open_browser: Open, server: Server
) -> None:
    here, elsewhere = open_browser(), open_browser()
    sign_in(elsewhere, server.member_email, server.member_password)
    here.goto("/sign-in/")
    tab_to(here, "Forgotten your password?")
    here.keyboard.press("Enter")
    expect(here.get_by_label("E-mail")).to_be_focused()
    here.keyboard.type(server.member_email)
    here.keyboard.press("Enter")
    expect(here.get_by_role("heading", name="Look into your mailbox")).to_be_visible()
    wait_for_mail(here, "Choose a new password", server.member_email)
    open_link(here)
    expect(here.get_by_label("New password")).to_be_focused()
    here.keyboard.type(NEW)
    here.keyboard.press("Enter")
    expect(here.get_by_role("heading", name="Your password is changed")).to_be_visible()

    elsewhere.reload()
    expect(elsewhere.get_by_role("heading", name="Sign in")).to_be_visible()
    sign_in(here, server.member_email, NEW)
    expect(here.get_by_role("heading", name="This page is for admins")).to_be_visible()
    wait_for_mail(here, "Your password was changed", server.member_email)


def test_an_address_that_nobody_has_gets_no_mail_and_the_same_answer(
    open_browser: Open, server: Server
) -> None:
    page = open_browser()
    page.goto("/sign-in/forgotten/")
    page.get_by_label("E-mail").fill("nobody@northwind.example")
    page.get_by_role("button", name="Send the link").click()
    expect(page.get_by_role("heading", name="Look into your mailbox")).to_be_visible()

    # A mail to somebody else comes after it would have.
    page.goto("/sign-in/forgotten/")
    page.get_by_label("E-mail").fill(server.admin_email)
    page.get_by_role("button", name="Send the link").click()
    wait_for_mail(page, "Choose a new password", server.admin_email)
    expect(page.get_by_text("nobody@northwind.example")).to_have_count(0)


@pytest.mark.parametrize(
    ("kind", "viewport", "dark"),
    [("desktop", DESKTOP, False), ("phone", PHONE, False), ("desktop-dark", DESKTOP, True)],
)
def test_every_page_about_mails_can_be_read(
    open_browser: Open, server: Server, kind: str, viewport: ViewportSize, dark: bool
) -> None:
    page = open_browser(viewport=viewport, dark=dark)
    camera = Camera(page, kind)
    page.goto("/sign-in/forgotten/")
    camera.take("forgotten")
    sign_in_as_admin(page, server)
    page.goto(PEOPLE)
    guest = f"{kind}@northwind.example"
    page.get_by_label("E-mail").fill(guest)
    page.get_by_role("button", name="Send invitation").click()
    expect(page.get_by_role("status").filter(has_text=re.compile("on its way"))).to_be_visible()
    camera.take("people-invited")
    wait_for_mail(page, "invites you to Northwind", guest)
    camera.take("mails")
    open_link(page)
    expect(page.get_by_role("heading", name="Join Northwind")).to_be_visible()
    camera.take("invitation")
