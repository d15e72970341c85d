"""What keys may do, chosen by keyboard alone, with each outcome tried at the API's door."""

import re
from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import Open
from tests.e2e.people import Pair, copy_pair, sign_in, sign_in_as_admin, works
from tests.support.server import Server

TABS = 400  # more than any page has places to stop at


def reach(page: Page, target: Locator) -> None:
    """Press Tab until the target has the focus."""
    expect(target).to_be_visible()
    for _ in range(TABS):
        if target.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab never reaches {target}")


def press(page: Page, target: Locator) -> None:
    reach(page, target)
    page.keyboard.press("Enter")


def choose(page: Page, name: str) -> None:
    """Choose one of some radio buttons: Tab leads to the chosen one, arrows lead on."""
    wanted = page.get_by_role("radio", name=name, exact=True)
    group = page.get_by_role("radio", name=name, exact=True).get_attribute("name")
    reach(page, page.locator(f'input[type=radio][name="{group}"]:checked'))
    for _ in range(10):
        if wanted.is_checked():
            return
        page.keyboard.press("ArrowDown")
    raise AssertionError(f"the arrows never reach {name}")


def pick(page: Page, field: Locator, starts: str) -> None:
    """Choose an entry of a list by typing how it begins."""
    reach(page, field)
    page.keyboard.type(starts)
    expect(field.locator("option:checked")).to_have_text(re.compile(f"^{starts}"))


def write(page: Page, label: str, text: str) -> None:
    reach(page, page.get_by_label(label, exact=True))
    page.keyboard.press("Control+a")
    page.keyboard.type(text)


def home(page: Page) -> None:
    """Back to the list of keys, from the top of the page."""
    press(page, page.get_by_role("link", name="Client keys"))
    expect(page.get_by_role("heading", name="Client keys")).to_be_visible()


def begin_key(page: Page, name: str) -> None:
    press(page, page.get_by_role("link", name=re.compile("Add (a|your first) key")))
    write(page, "Name", name)


def finish_key(page: Page, name: str) -> Pair:
    press(page, page.get_by_role("button", name="Create key"))
    expect(page.get_by_role("heading", name=f"Copy the secret of {name}")).to_be_visible()
    return copy_pair(page)


def let_members(page: Page, *, make_keys: bool) -> None:
    press(page, page.get_by_role("link", name="Change what members may do"))
    box = page.get_by_label("Members may make personal keys")
    reach(page, box)
    if box.is_checked() != make_keys:
        page.keyboard.press("Space")
    press(page, page.get_by_role("button", name="Save"))
    expect(page.get_by_role("heading", name="Client keys")).to_be_visible()


def me(server: Server, pair: Pair) -> dict[str, object]:
    answer = server.call("GET", "/v1/me/", pair=str(pair))
    assert answer.status_code == 200
    told: dict[str, object] = answer.json()["key"]
    return told


def test_a_personal_key_from_a_preset_and_new_scopes_for_it(
    open_browser: Open, server: Server
) -> None:
    page = open_browser()
    sign_in_as_admin(page, server)
    begin_key(page, "Mel's reports")
    expect(page.get_by_label("Whose meetings")).to_be_hidden()
    expect(page.get_by_role("group", name=re.compile("What it may do"))).to_be_hidden()

    choose(page, "Read-only analytics")
    choose(page, "User - limited access")
    pick(page, page.get_by_label("Whose meetings"), "Mel")
    pair = finish_key(page, "Mel's reports")

    before = me(server, pair)
    assert before["scopes"] == ["meetings:read", "notes:read", "transcripts:read"]
    assert before["data_scope"] == "user_non_private"
    window = {"from_date": "2000-01-01T00:00:00Z", "to_date": "2100-01-01T00:00:00Z"}
    count = server.call("GET", "/v1/meetings/", pair=str(pair), params=window).json()["count"]

    home(page)
    press(page, page.get_by_role("link", name="Mel's reports", exact=True))
    press(page, page.get_by_role("link", name="Change the scopes"))
    press(page, page.get_by_role("button", name="Try what it would see"))
    told = page.get_by_role("status").filter(has_text="would see")
    expect(told).to_be_visible()
    seen = re.search(r"would see\s+([\d,]+) meeting", told.inner_text())
    assert seen is not None
    assert int(seen[1].replace(",", "")) == count

    choose(page, "Own choice")
    expect(page.get_by_role("group", name=re.compile("What it may do"))).to_be_visible()
    for name in ("Read what was said", "Read notes and action items"):
        reach(page, page.get_by_label(name))
        page.keyboard.press("Space")
    press(page, page.get_by_role("button", name="Save scopes"))

    expect(page.get_by_text("The scopes were changed.")).to_be_visible()
    assert me(server, pair)["scopes"] == ["meetings:read"], "with the same credential"


def test_networks_shut_out_and_let_in(open_browser: Open, server: Server) -> None:
    page = open_browser()
    sign_in_as_admin(page, server)
    begin_key(page, "Office")
    pair = finish_key(page, "Office")
    assert works(server, pair)

    def set_networks(text: str) -> None:
        home(page)
        press(page, page.get_by_role("link", name="Office", exact=True))
        press(page, page.get_by_role("link", name="Change the networks"))
        write(page, "Networks it may be used from", text)
        press(page, page.get_by_role("button", name="Save networks"))
        expect(page.get_by_role("heading", name="Office")).to_be_visible()

    set_networks("203.0.113.0/24")
    assert server.call("GET", "/v1/me/", pair=str(pair)).status_code == 403
    set_networks("127.0.0.0/8")
    assert works(server, pair)


def test_a_members_own_key_until_they_leave(open_browser: Open, server: Server) -> None:
    ada, mel = open_browser(), open_browser()
    sign_in_as_admin(ada, server)
    let_members(ada, make_keys=True)

    sign_in(mel, server.member_email, server.member_password)
    expect(mel.get_by_role("heading", name="Client keys", exact=True)).to_be_visible()
    expect(mel.get_by_role("link", name="Audit log")).to_have_count(0)
    begin_key(mel, "My own")
    expect(mel.get_by_role("radio", name=re.compile("^Organization"))).to_have_count(0)
    choose(mel, "User - full access")
    pair = finish_key(mel, "My own")
    assert me(server, pair)["data_scope"] == "user_full"

    leave(ada, server, lambda: expect(ada.get_by_text("My own")).to_be_visible())
    assert not works(server, pair)
    mel.goto("/")
    expect(mel.get_by_role("heading", name="Sign in")).to_be_visible()

    press(ada, ada.get_by_role("button", name=re.compile("^Let in again: Mel")))
    assert not works(server, pair), "coming back revives nothing"
    home(ada)
    press(ada, ada.get_by_role("link", name="My own", exact=True))
    press(ada, ada.get_by_role("button", name="Enable"))
    expect(ada.get_by_text("The key works again.")).to_be_visible()
    assert works(server, pair)
    home(ada)
    let_members(ada, make_keys=False)


def leave(page: Page, server: Server, look: Callable[[], None]) -> None:
    """Deactivate the member, after a look at what the page says about their keys."""
    press(page, page.get_by_role("link", name="People"))
    press(page, page.get_by_role("link", name=re.compile("^Deactivate: Mel")))
    expect(page.get_by_text("they stop at once")).to_be_visible()
    look()
    press(page, page.get_by_role("button", name="Deactivate"))
    expect(page.get_by_text("can't sign in any more.")).to_be_visible()
