"""A key's limit, by keyboard alone, and what its caller notices."""

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.camera import Camera
from tests.e2e.conftest import DESKTOP, PHONE, Open
from tests.e2e.people import add_key, copy_pair, sign_in_as_admin
from tests.support.server import Server


def tab_to(page: Page, role: str, name: str) -> None:
    """Go there as somebody does who has no mouse."""
    wanted = page.get_by_role(role, name=name, exact=True)  # type: ignore[arg-type]
    for _ in range(60):
        page.keyboard.press("Tab")
        if wanted.evaluate("element => element === document.activeElement"):
            return
    pytest.fail(f"Tab does not lead to {name}")


def fill_by_keyboard(page: Page, name: str, text: str) -> None:
    tab_to(page, "textbox" if name == "Reason" else "spinbutton", name)
    page.keyboard.type(text)


def test_l2_an_admin_lowers_a_limit_and_plans_a_spike_by_keyboard(
    open_browser: Open, server: Server
) -> None:
    page = open_browser()
    sign_in_as_admin(page, server)
    add_key(page, "Limited")
    pair = str(copy_pair(page))
    page.reload()  # to the key's own page

    tab_to(page, "link", "Use and change")
    page.keyboard.press("Enter")
    fill_by_keyboard(page, "Requests a minute", "2")
    page.keyboard.press("Enter")
    expect(page.get_by_text("2 requests a minute at the moment")).to_be_visible()
    statuses = [server.call("GET", "/v1/me/", pair=pair).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]

    tab_to(page, "link", "Plan a spike")
    page.keyboard.press("Enter")
    expect(page.get_by_label("From (UTC)")).not_to_have_value("")
    tab_to(page, "textbox", "To (UTC)")
    tomorrow = page.evaluate("new Date(Date.now() + 864e5).toISOString()")
    page.keyboard.type(tomorrow[5:7] + tomorrow[8:10] + tomorrow[:4])
    page.keyboard.press("Tab")
    page.keyboard.type("1200AM")
    fill_by_keyboard(page, "Requests a minute", "600")
    fill_by_keyboard(page, "Reason", "Import of last year")
    page.keyboard.press("Enter")
    expect(page.get_by_text("600 requests a minute at the moment, of which 2")).to_be_visible()
    assert server.call("GET", "/v1/me/", pair=pair).status_code == 200

    tab_to(page, "button", "Cancel this spike")
    page.keyboard.press("Enter")
    expect(page.get_by_text("None is planned.")).to_be_visible()
    assert server.call("GET", "/v1/me/", pair=pair).status_code == 429


@pytest.mark.parametrize(("kind", "viewport"), [("desktop", DESKTOP), ("phone", PHONE)])
def test_the_pages_of_limits_can_be_read(
    open_browser: Open, server: Server, kind: str, viewport: object
) -> None:
    page = open_browser(viewport=viewport)
    sign_in_as_admin(page, server)
    camera = Camera(page, kind)
    page.get_by_role("link", name="Rate limit of the keys").click()
    camera.take("limit-default")
    page.get_by_role("link", name="Cancel").click()
    page.locator("[data-rename-name]").first.click()
    page.get_by_role("link", name="Use and change").click()
    camera.take("limit")
    page.get_by_role("link", name="Plan a spike").click()
    page.get_by_label("Reason").fill("Import")
    page.get_by_role("button", name="Plan this spike").click()
    camera.take("spike")
