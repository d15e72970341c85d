"""An admin looks up who did what, and finds the attempt that was refused."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import ViewportSize, expect

from tests.e2e.camera import Camera
from tests.e2e.conftest import DESKTOP, PHONE, Open
from tests.e2e.people import DEVELOPER, add_key, copy_pair, sign_in_as_admin
from tests.support.server import Server


@pytest.mark.parametrize(
    ("kind", "viewport", "dark"),
    [("desktop", DESKTOP, False), ("phone", PHONE, False), ("desktop-dark", DESKTOP, True)],
)
def test_an_admin_finds_a_refused_attempt_and_takes_the_log_along(
    open_browser: Open, server: Server, kind: str, viewport: ViewportSize, dark: bool
) -> None:
    page = open_browser(viewport=viewport, dark=dark)
    sign_in_as_admin(page, server)
    name = f"Audited ({kind})"
    add_key(page, name)
    pair = copy_pair(page)
    page.goto(DEVELOPER)
    page.get_by_role("link", name=name, exact=True).click()
    page.get_by_role("link", name="Delete").click()
    page.get_by_label("Name of the key").fill(pair.client_secret)
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("is not the name of this key")).to_be_visible()

    page.get_by_role("link", name="Audit log").click()
    expect(page.get_by_role("heading", name="Audit log")).to_be_visible()
    page.get_by_label("Key", exact=True).select_option(name)
    page.get_by_role("button", name="Filter").click()

    rows = page.locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("Refused: name mismatch")
    expect(rows.first).to_contain_text(server.admin_email)
    expect(rows.last).to_contain_text("Key created")
    assert pair.client_secret not in page.content()
    Camera(page, kind).take("audit-log")

    with page.expect_download() as download:
        page.get_by_role("link", name="Export JSON lines").click()
    taken = Path(download.value.path()).read_text(encoding="utf-8")
    assert [json.loads(line)["outcome"] for line in taken.splitlines()] == ["done", "refused"]
    assert pair.client_secret not in taken
