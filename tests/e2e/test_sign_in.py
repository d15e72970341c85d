"""Getting in, staying in and getting out, in a real browser; with the keyboard alone where told."""

import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from keystore import one_time_codes
from keystore.clock import SystemClock
from keystore.credentials import SecretValue
from tests.e2e.camera import Camera
from tests.e2e.conftest import DESKTOP, PHONE, Open
from tests.e2e.people import DEVELOPER, sign_in, sign_in_as_admin
from tests.support.server import Server, running_server

ACCOUNT = "/settings/account/"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of its own, as these tests change how its people sign in."""
    with running_server(tmp_path_factory.mktemp("sign-in") / "demo") as server:
        yield server


def code_for(secret: str, *, after: str = "") -> str:
    """Return the code that an app shows; one that was used before is waited out."""
    while (code := _present_code(secret)) == after:
        time.sleep(0.2)
    return code


def _present_code(secret: str) -> str:
    step = one_time_codes.step(SystemClock().now())
    return one_time_codes.code(one_time_codes.as_bytes(SecretValue(secret)), step)


def tab_to(page: Page, name: str) -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        label = page.evaluate(
            "(document.activeElement.getAttribute('aria-label')"
            " || document.activeElement.textContent).replace(/\\s+/g, ' ').trim()"
        )
        if label == name:
            return
    pytest.fail(f"the Tab key does not get to {name}")


def test_another_browser_is_signed_out_at_once(open_browser: Open, server: Server) -> None:
    here, there = open_browser(), open_browser()
    sign_in_as_admin(here, server)
    sign_in_as_admin(there, server)

    here.goto(ACCOUNT)
    here.get_by_role("button", name="Sign out all others").click()
    expect(here.get_by_role("status").filter(has_text="are signed out")).to_be_visible()

    there.reload()
    expect(there.get_by_role("heading", name="Sign in")).to_be_visible()
    here.reload()
    expect(here.get_by_role("heading", name="Your account")).to_be_visible()


def test_a_guesser_waits_and_the_owner_does_not(open_browser: Open, server: Server) -> None:
    owner, guesser = open_browser(), open_browser()
    sign_in_as_admin(owner, server)
    owner.get_by_role("button", name="Sign out").click()
    said = ""
    for _ in range(15):  # on a slow machine the first waits are over before the next try
        sign_in(guesser, server.admin_email, "not the password")
        said = guesser.get_by_role("alert").inner_text()
        if "Too many" in said:
            break
    assert "Too many tries have failed" in said

    sign_in_as_admin(owner, server)


def test_the_second_factor_by_keyboard_alone_and_without_scripts(
    open_browser: Open, server: Server
) -> None:
    page = open_browser(scripts=False)
    sign_in(page, server.member_email, server.member_password)
    expect(page.get_by_role("heading", name="This page is for admins")).to_be_visible()
    tab_to(page, "Mel Osei")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    tab_to(page, "Turn on the second factor")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Code", exact=True)).to_be_focused()
    secret = page.locator("#factor-secret").inner_text()
    used = code_for(secret)
    page.keyboard.type(used)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Keep your recovery codes")).to_be_visible()
    [first, *_] = re.findall(r"\w{4}-\w{4}-\w{4}", page.locator("#recovery-codes").inner_text())

    page.goto(ACCOUNT)
    tab_to(page, "Sign out")
    page.keyboard.press("Enter")
    for code in (first, code_for(secret, after=used)):
        page.goto(ACCOUNT)
        page.get_by_label("E-mail").fill(server.member_email)
        page.get_by_label("Password").fill(server.member_password)
        page.keyboard.press("Enter")
        expect(page.get_by_label("Code", exact=True)).to_be_focused()
        page.keyboard.type(code)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Your account")).to_be_visible()
        if code == first:
            page.context.clear_cookies()

    page.goto(f"{ACCOUNT}second-factor/")
    tab_to(page, "Turn off")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The second factor is off")).to_be_visible()


@pytest.mark.parametrize(
    ("kind", "viewport", "dark"),
    [("desktop", DESKTOP, False), ("phone", PHONE, False), ("desktop-dark", DESKTOP, True)],
)
def test_every_page_of_the_account_can_be_read(
    open_browser: Open, server: Server, kind: str, viewport: ViewportSize, dark: bool
) -> None:
    other, page = open_browser(), open_browser(viewport=viewport, dark=dark)
    sign_in(other, server.admin_email, server.admin_password)
    sign_in(page, server.admin_email, server.admin_password)
    camera = Camera(page, kind)
    page.goto(ACCOUNT)
    camera.take("account")
    page.goto("/settings/organization/people/")
    camera.take("people")
    page.goto(f"{ACCOUNT}password/")
    camera.take("password")
    page.goto(f"{ACCOUNT}second-factor/")
    camera.take("second-factor")
    secret = page.locator("#factor-secret").inner_text()
    page.get_by_label("Code", exact=True).fill(code_for(secret))
    page.get_by_role("button", name="Turn on").click()
    expect(page.get_by_role("heading", name="Keep your recovery codes")).to_be_visible()
    camera.take("recovery-codes")
    page.get_by_role("link", name="I have kept them").click()
    page.get_by_role("link", name="Change the second factor").click()
    camera.take("second-factor-on")

    fresh = open_browser(viewport=viewport, dark=dark)
    sign_in(fresh, server.admin_email, server.admin_password)
    expect(fresh.get_by_role("heading", name="Enter a code")).to_be_visible()
    Camera(fresh, kind).take("code")
    page.get_by_role("button", name="Turn off").click()
    page.goto(DEVELOPER)
    camera.take("keys-with-account")
