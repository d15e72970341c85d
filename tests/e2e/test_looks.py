"""Each page on a desk and on a phone, by day and by night: saved to see, measured for reading."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import ViewportSize, expect

from tests.e2e.camera import Camera
from tests.e2e.conftest import DESKTOP, PHONE, Open
from tests.e2e.people import DEVELOPER, add_key, copy, sign_in, sign_in_as_admin
from tests.support.server import Server, running_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of its own, as these tests delete its key to see the empty list."""
    with running_server(tmp_path_factory.mktemp("looks") / "demo") as server:
        yield server


@pytest.mark.parametrize(
    ("kind", "viewport", "dark"),
    [("desktop", DESKTOP, False), ("phone", PHONE, False), ("desktop-dark", DESKTOP, True)],
)
def test_every_page_can_be_read(
    open_browser: Open, server: Server, kind: str, viewport: ViewportSize, dark: bool
) -> None:
    page = open_browser(viewport=viewport, dark=dark)
    camera = Camera(page, kind)
    page.goto("/")
    camera.take("sign-in")
    sign_in(page, server.admin_email, "not the password")
    camera.take("sign-in-failed")

    sign_in_as_admin(page, server)
    for name in page.locator("[data-rename-name]").all_text_contents():
        page.get_by_role("link", name=f"Delete {name}").click()
        camera.take("key-delete")
        page.get_by_label("Name of the key").fill(name)
        page.get_by_role("button", name="Delete key").click()
    expect(page.get_by_role("heading", name="No keys yet")).to_be_visible()
    camera.take("keys-empty")

    page.get_by_role("link", name="Add your first key").click()
    camera.take("key-add")
    page.get_by_role("link", name="Cancel").click()
    add_key(page, "Zapier")
    copy(page, "Client Secret")
    camera.take("key-reveal")
    page.reload()
    camera.take("key")
    page.get_by_role("link", name="Back to the keys").click()
    add_key(
        page, "Quarterly figures for the board, from all regions, with transcripts and notes ok"
    )
    page.get_by_role("link", name="Done").click()
    camera.take("keys")
    page.get_by_role("button", name="Rename Zapier").click()
    page.get_by_label("New name of Zapier").fill("Quarterly figures")
    camera.take("key-rename-in-place")
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Regenerate the secret of Zapier").click()
    camera.take("key-regenerate")
    page.goto("/docs/receive-webhooks/")
    camera.take("receive-webhooks")
    page.goto("/nowhere/")
    camera.take("not-found")

    page.get_by_role("button", name="Sign out").click()
    sign_in(page, server.member_email, server.member_password)
    camera.take("member")


@pytest.mark.parametrize(("kind", "viewport"), [("desktop", DESKTOP), ("phone", PHONE)])
def test_a_name_without_a_gap_does_not_push_the_page(
    open_browser: Open, server: Server, kind: str, viewport: ViewportSize
) -> None:
    page = open_browser(viewport=viewport)
    sign_in_as_admin(page, server)
    page.goto(f"{DEVELOPER}keys/new/")
    page.get_by_label("Name").fill(kind[0].upper() * 80)
    page.get_by_role("button", name="Create key").click()
    camera = Camera(page, kind)
    camera.take("long-name-reveal")
    page.get_by_role("link", name="Done").click()
    camera.take("long-name-keys")
