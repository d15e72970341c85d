"""The life of a key, by mouse and keyboard, with each credential tried at the API's door."""

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.conftest import Open
from tests.e2e.people import (
    DEVELOPER,
    Pair,
    add_key,
    copy,
    copy_pair,
    sign_in,
    sign_in_as_admin,
    works,
)
from tests.support.server import Server

SECRET = re.compile(r"khs[0-9a-z]{59}")


@pytest.fixture
def page(open_browser: Open, server: Server) -> Page:
    """The admin's browser, at the list of keys."""
    page = open_browser()
    sign_in_as_admin(page, server)
    return page


def names(page: Page) -> list[str]:
    # The list is there once its heading is and the page has loaded; this does not wait by itself.
    expect(page.get_by_role("heading", name="Client keys")).to_be_visible()
    page.wait_for_load_state()
    return page.locator("[data-rename-name]").all_text_contents()


def test_an_admin_adds_copies_renames_regenerates_and_deletes_a_key(
    page: Page, server: Server
) -> None:
    add_key(page, "Story")
    first = copy_pair(page)
    assert copy(page, "Both in one") == str(first)
    assert works(server, first)

    page.get_by_role("link", name="Done").click()
    assert copy(page, "the Client Key of Story") == first.client_key

    page.get_by_role("button", name="Rename Story").click()
    page.get_by_label("New name of Story").fill("Story, retold")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("link", name="Story, retold", exact=True)).to_be_visible()
    page.reload()
    assert "Story, retold" in names(page)
    assert server.call("GET", "/v1/me/", pair=str(first)).json()["key_name"] == "Story, retold"

    page.get_by_role("link", name="Regenerate the secret of Story, retold").click()
    expect(page.get_by_text("goes on working for a while")).to_be_visible()
    assert works(server, first)
    page.get_by_label("Compromised").check()
    page.get_by_role("button", name="Regenerate secret").click()
    second = copy_pair(page)
    assert second.client_key == first.client_key
    assert works(server, second)
    assert not works(server, first)

    page.get_by_role("link", name="Done").click()
    page.get_by_role("link", name="Delete Story, retold").click()
    page.get_by_label("Name of the key").fill("Story")
    page.get_by_role("button", name="Delete key").click()
    expect(page.get_by_text("is not the name of this key")).to_be_visible()
    assert works(server, second)
    page.get_by_label("Name of the key").fill("Story, retold")
    page.get_by_role("button", name="Delete key").click()
    expect(page.get_by_role("status").filter(has_text="Deleted “Story, retold”")).to_be_visible()
    assert "Story, retold" not in names(page)
    assert not works(server, second)


def test_the_whole_life_of_a_key_by_keyboard_alone(page: Page, server: Server) -> None:
    def press(*keys: str) -> None:
        for key in keys:
            page.keyboard.press(key)

    def tab_to(name: str) -> None:
        for _ in range(100):
            press("Tab")
            label = page.evaluate(
                "(document.activeElement.getAttribute('aria-label')"
                " || document.activeElement.textContent).trim()"
            )
            if label == name:
                outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
                assert outline == "solid", f"one cannot see that {name} has the focus"
                return
        pytest.fail(f"the Tab key does not get to {name}")

    tab_to("Add a key")
    press("Enter")
    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.type("Keyboard")
    press("Enter")
    expect(page.get_by_role("heading", name="Copy the secret of Keyboard")).to_be_visible()
    tab_to("Copy Both in one")
    press("Enter")
    expect(page.locator(".copy.is-done")).to_have_count(1)
    pair = Pair(*page.evaluate("navigator.clipboard.readText()").split(":"))
    assert works(server, pair)
    tab_to("Done")
    press("Enter")
    expect(page.get_by_role("heading", name="Client keys")).to_be_visible()

    tab_to("Rename Keyboard")
    press("Space")
    expect(page.get_by_label("New name of Keyboard")).to_be_focused()
    page.keyboard.type("Never mind")
    press("Escape")
    expect(page.get_by_role("button", name="Rename Keyboard")).to_be_focused()
    press("Enter")
    page.keyboard.type("Keys")  # the old name was selected, so typing replaces it
    press("Enter")
    expect(page.get_by_role("button", name="Rename Keys")).to_be_focused()
    assert "Keys" in names(page)
    assert works(server, pair)

    tab_to("Delete Keys")
    press("Enter")
    expect(page.get_by_label("Name of the key")).to_be_focused()
    page.keyboard.type("Keys")
    press("Enter")
    expect(page.get_by_text("Deleted “Keys”")).to_be_visible()
    assert not works(server, pair)


def test_a_name_that_is_taken_is_refused_in_place(page: Page) -> None:
    for name in ("Taken", "Other"):
        add_key(page, name)
        page.get_by_role("link", name="Done").click()

    page.get_by_role("button", name="Rename Other").click()
    page.get_by_label("New name of Other").fill("Taken")
    page.get_by_label("New name of Other").press("Enter")

    expect(page.get_by_role("alert").filter(has_text="has this name already")).to_be_visible()
    expect(page.get_by_label("New name of Other")).to_be_focused()
    page.get_by_role("button", name="Cancel").click()
    assert {"Taken", "Other"} <= set(names(page))


def test_a_reload_neither_shows_the_secret_nor_makes_a_key(page: Page, server: Server) -> None:
    add_key(page, "Reloaded")
    pair = copy_pair(page)

    page.reload()

    expect(page.get_by_text("This key is in place")).to_be_visible()
    assert not SECRET.search(page.content())
    assert works(server, pair)
    page.goto(DEVELOPER)
    assert names(page).count("Reloaded") == 1


def test_a_reload_after_regenerating_does_not_regenerate_again(page: Page, server: Server) -> None:
    add_key(page, "Regenerated")
    page.get_by_role("link", name="Done").click()
    page.get_by_role("link", name="Regenerate the secret of Regenerated").click()
    page.get_by_role("button", name="Regenerate secret").click()
    pair = copy_pair(page)

    page.reload()

    assert not SECRET.search(page.content())
    assert works(server, pair)


def test_the_back_button_does_not_show_the_secret(page: Page) -> None:
    add_key(page, "Gone back")
    page.get_by_role("link", name="Done").click()
    expect(page.get_by_role("heading", name="Client keys")).to_be_visible()

    page.go_back()

    expect(page.get_by_text("This key is in place")).to_be_visible()
    assert not SECRET.search(page.content())


def test_signed_out_the_back_button_shows_nothing(page: Page) -> None:
    add_key(page, "Signed out")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()

    page.go_back()

    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert not SECRET.search(page.content())


def test_an_impatient_person_sends_the_form_once_and_gets_the_secret(
    page: Page, server: Server
) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.get_by_role("link", name="Add a key").click()
    page.get_by_label("Name").fill("Twice")
    page.route("**/keys/new/", hold)  # a slow network: nothing arrives for now

    for _ in range(3):
        page.keyboard.press("Enter")
        page.wait_for_timeout(200)

    assert len(held) == 1
    held[0].continue_()
    assert works(server, copy_pair(page))
    page.get_by_role("link", name="Done").click()
    assert names(page).count("Twice") == 1


def test_copying_works_where_the_browser_keeps_its_clipboard_away(
    page: Page, server: Server
) -> None:
    # As on plain http anywhere but on one's own machine.
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    add_key(page, "Insecure")
    button = page.get_by_role("button", name="Copy Both in one")
    button.click()
    expect(button).to_have_class(re.compile("is-done"))
    shown = Pair(
        page.locator("#client-key").inner_text(), page.locator("#client-secret").inner_text()
    )

    page.get_by_role("link", name="Done").click()
    page.get_by_role("link", name="Add a key").click()
    page.get_by_label("Name").press("ControlOrMeta+V")

    assert works(server, shown)
    pasted = page.get_by_label("Name").input_value()
    assert pasted == str(shown)[: len(pasted)]
    assert len(pasted) == 80  # as long as a name may be


def test_two_admins_regenerate_at_once_and_the_second_is_told(
    page: Page, open_browser: Open, server: Server
) -> None:
    add_key(page, "Contended")
    page.get_by_role("link", name="Done").click()
    other = open_browser()
    sign_in_as_admin(other, server)
    for browser in (page, other):
        browser.get_by_role("link", name="Regenerate the secret of Contended").click()

    page.get_by_role("button", name="Regenerate secret").click()
    pair = copy_pair(page)
    other.get_by_role("button", name="Regenerate secret").click()

    expect(other.get_by_role("heading", name="Already regenerated")).to_be_visible()
    assert works(server, pair)


def test_a_member_is_told_whom_to_ask(open_browser: Open, server: Server) -> None:
    page = open_browser()
    sign_in(page, server.member_email, server.member_password)
    page.goto(DEVELOPER + "deliveries/")

    expect(page.get_by_role("heading", name="This page is for admins")).to_be_visible()
    expect(page.get_by_role("link", name=server.admin_email)).to_be_visible()
    assert server.client_key not in page.content()
    for path in ("deliveries/", "subscriptions/"):
        answer = page.goto(DEVELOPER + path)
        assert answer is not None
        assert answer.status == 403


def test_all_of_it_works_without_scripts(open_browser: Open, server: Server) -> None:
    page = open_browser(scripts=False)
    sign_in_as_admin(page, server)
    add_key(page, "Scriptless")
    pair = Pair(
        page.locator("#client-key").inner_text(), page.locator("#client-secret").inner_text()
    )
    assert works(server, pair)
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)

    page.reload()  # sends the form again

    expect(page.get_by_text("This key is in place")).to_be_visible()
    assert not SECRET.search(page.content())
    page.get_by_role("link", name="Back to the keys").click()
    assert names(page).count("Scriptless") == 1

    page.get_by_role("link", name="Rename Scriptless").click()
    page.get_by_label("Name").fill("Plain")
    page.get_by_role("button", name="Save").click()
    assert "Plain" in names(page)
    page.get_by_role("link", name="Regenerate the secret of Plain").click()
    page.get_by_label("Compromised").check()
    page.get_by_role("button", name="Regenerate secret").click()
    secret = page.locator("#client-secret").inner_text()
    page.reload()
    expect(page.get_by_role("heading", name="Already regenerated")).to_be_visible()
    assert works(server, Pair(pair.client_key, secret))
    assert not works(server, pair)

    page.goto(DEVELOPER)
    page.get_by_role("link", name="Delete Plain").click()
    page.get_by_label("Name of the key").fill("Plain")
    page.get_by_role("button", name="Delete key").click()
    assert "Plain" not in names(page)
    assert not works(server, Pair(pair.client_key, secret))
