"""A secret is found on GitHub, and one in a chat: what an admin sees and does, by keyboard too."""

from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import Page, ViewportSize, expect

from tests.e2e.camera import Camera
from tests.e2e.conftest import DESKTOP, PHONE, Open
from tests.e2e.people import DEVELOPER, Pair, add_key, copy_pair, sign_in_as_admin, works
from tests.support.scanner import Scanner
from tests.support.server import Server, running_server


@pytest.fixture(scope="module")
def scanner() -> Iterator[Scanner]:
    with Scanner() as scanner:
        yield scanner


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, scanner: Scanner) -> Iterator[Server]:
    """A server that believes this scanner."""
    data = tmp_path_factory.mktemp("leaks") / "demo"
    with running_server(data, KEYHOOK_LEAK_KEYS_URL=scanner.keys_url) as server:
        yield server


def choose_by_keyboard(page: Page, downs: int) -> None:
    """From the top of the policy's page: Tab to the choice, arrows, Enter."""
    page.get_by_role("link", name="Change").press("Enter")
    page.get_by_role("radio", name="Nothing").press("ArrowDown")
    for _ in range(downs - 1):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Saved.")).to_be_visible()


def report(server: Server, scanner: Scanner, pair: Pair) -> None:
    body = scanner.body({"token": pair.client_secret, "url": f"https://github.com/{'a' * 300}"})
    answer = requests.post(
        f"{server.base_url}/v1/leaks/github/", data=body, headers=scanner.sign(body), timeout=30
    )
    assert [one["label"] for one in answer.json()] == ["true_positive"]


@pytest.mark.parametrize(
    ("kind", "viewport", "dark"),
    [("desktop", DESKTOP, False), ("phone", PHONE, False), ("desktop-dark", DESKTOP, True)],
)
def test_a_found_secret_is_replaced_without_an_outage(
    open_browser: Open,
    server: Server,
    scanner: Scanner,
    kind: str,
    viewport: ViewportSize,
    dark: bool,
) -> None:
    page = open_browser(viewport=viewport, dark=dark)
    camera = Camera(page, f"leaks-{kind}")
    sign_in_as_admin(page, server)
    name = f"Leaky ({kind})"
    add_key(page, name)
    old = copy_pair(page)
    page.get_by_role("link", name="Found a key?").click()
    untouched = page.get_by_text("nothing is changed")
    expect(untouched.or_(page.get_by_text("the secret ends within a day"))).to_be_visible()
    if untouched.is_visible():
        choose_by_keyboard(page, downs=1)
    expect(page.get_by_text("the secret ends within a day")).to_be_visible()

    report(server, scanner, old)
    page.reload()
    expect(page.locator("li", has_text=name).get_by_text("Retired")).to_be_visible()
    camera.take("reported")
    page.goto(DEVELOPER)
    page.get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_text("Nobody holds this key's new secret yet")).to_be_visible()
    camera.take("key")
    assert works(server, old)
    page.get_by_role("link", name="Regenerate").click()
    camera.take("regenerate")
    page.get_by_role("button", name="Regenerate secret").click()
    new = copy_pair(page)
    assert works(server, new)
    assert works(server, old), "whatever uses it has until tomorrow"

    page.get_by_role("link", name="Found a key?").click()
    page.get_by_label("What you found").fill(f"here: {old.client_secret} is that ours?")
    page.get_by_label("What you found").press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="This is yours")).to_be_visible()
    assert old.client_secret not in page.content()
    camera.take("answer")
    page.get_by_role("button", name="End the old secret now").press("Enter")
    expect(page.get_by_text("The old secret has stopped working.")).to_be_visible()
    assert not works(server, old)
    assert works(server, new)


def test_a_found_secret_dies_at_once_where_that_is_wanted(
    open_browser: Open, server: Server, scanner: Scanner
) -> None:
    page = open_browser()
    sign_in_as_admin(page, server)
    add_key(page, "Killed")
    old = copy_pair(page)
    page.goto(f"{DEVELOPER}leaks/policy/")
    page.get_by_role("radio", name="It ends at once").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("and the secret ends at once")).to_be_visible()

    report(server, scanner, old)

    assert not works(server, old)
    page.get_by_label("What you found").fill(str(old))
    page.get_by_role("button", name="Check it").click()
    expect(page.get_by_text("It has stopped working. There is nothing to do.")).to_be_visible()
    page.get_by_label("What you found").fill("nothing of ours")
    page.get_by_role("button", name="Check it").click()
    expect(page.get_by_role("heading", name="Nothing in it is yours")).to_be_visible()
