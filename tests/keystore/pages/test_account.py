"""Where one is signed in, and ending it."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask

from keystore.models import User
from keystore.pages.words import browser
from keystore.services import Services
from tests.conftest import PASSWORD
from tests.keystore.pages.browser import DEVELOPER, Browser, Form, forms

ACCOUNT = "/settings/account/"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def elsewhere(app: Flask, admin: User) -> Browser:
    """The admin's other browser."""
    browser = Browser(app)
    browser.client.environ_base["HTTP_USER_AGENT"] = FIREFOX
    browser.sign_in(admin.email)
    return browser


def buttons(page: Browser, ending: str) -> list[Form]:
    return [form for form in forms(page.get(ACCOUNT)) if form.action.endswith(ending)]


def csrf_token(browser: Browser) -> str:
    return browser.get(ACCOUNT).text.split('name="csrf_token" value="')[1].split('"')[0]


def test_a_person_sees_where_they_are_signed_in(ada: Browser, elsewhere: Browser) -> None:
    page = ada.get(ACCOUNT).text

    assert "Firefox on Linux" in page
    assert "127.0.0.1" in page
    assert page.count("This browser") == 1


def test_a_sign_in_elsewhere_is_ended(ada: Browser, elsewhere: Browser) -> None:
    [button] = buttons(ada, "/end/")

    answer = ada.post(button)

    assert "That browser is signed out." in ada.get(answer.location).text
    assert elsewhere.get(DEVELOPER).status_code == 303
    assert ada.get(DEVELOPER).status_code == 200
    assert "over already" in ada.get(ada.post(button).location).text


def test_all_others_are_ended_at_once(ada: Browser, elsewhere: Browser, mel: Browser) -> None:
    [button] = buttons(ada, "/end-others/")

    ada.post(button)

    assert elsewhere.get(DEVELOPER).status_code == 303
    assert ada.get(DEVELOPER).status_code == 200
    assert mel.get(ACCOUNT).status_code == 200
    assert buttons(ada, "/end-others/") == []


def test_nobody_ends_the_sign_in_of_another_person(
    ada: Browser, elsewhere: Browser, mel: Browser
) -> None:
    [button] = buttons(ada, "/end/")
    button.values["csrf_token"] = csrf_token(mel)

    answer = mel.post(button)

    assert "over already" in mel.get(answer.location).text
    assert elsewhere.get(DEVELOPER).status_code == 200


def test_a_cookie_that_was_copied_is_of_no_use_after_signing_out(app: Flask, ada: Browser) -> None:
    copied, thief = ada.cookie(), Browser(app)
    thief.client.set_cookie("keyhook", copied)
    assert thief.get(DEVELOPER).status_code == 200

    ada.post(Form("/sign-out/", {"csrf_token": csrf_token(ada)}))

    assert thief.get(DEVELOPER).status_code == 303


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (FIREFOX, "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; like Mac OS X) Version/18 Safari/604.1", "Safari on iPhone"),
        ("curl/8.5", "curl"),
        ("", "Unknown browser"),
        ("<script>" * 20, ("<script>" * 20)[:40]),
    ],
)
def test_a_browser_is_told_in_words(agent: str, words: str) -> None:
    assert browser(agent) == words


NEW = "staple and another horse"


def test_a_password_is_changed_and_other_browsers_are_signed_out(
    app: Flask, ada: Browser, elsewhere: Browser, admin: User
) -> None:
    answer = ada.submit(f"{ACCOUNT}password/", present=PASSWORD, new=NEW)

    assert "Your password is changed" in ada.get(answer.location).text
    assert elsewhere.get(DEVELOPER).status_code == 303
    assert Browser(app).sign_in(admin.email).status_code == 422
    assert Browser(app).sign_in(admin.email, NEW).status_code == 303


@pytest.mark.parametrize(
    ("present", "new", "words"),
    [
        ("wrong password", NEW, "That is not your present password."),
        (PASSWORD, "short", "Choose a password of 12 to 1024 characters."),
        ("", NEW, "Enter your present password."),
        (PASSWORD, "", "Choose a new password."),
    ],
)
def test_a_change_that_will_not_do_changes_nothing(
    app: Flask, ada: Browser, admin: User, present: str, new: str, words: str
) -> None:
    page = ada.submit(f"{ACCOUNT}password/", present=present, new=new)

    assert page.status_code == 422
    assert words in page.text
    assert NEW not in page.text
    assert PASSWORD not in page.text
    assert Browser(app).sign_in(admin.email).status_code == 303


def test_a_password_that_was_the_present_one_a_moment_ago_replaces_no_newer_one(
    app: Flask,
    ada: Browser,
    elsewhere: Browser,
    services: Services,
    admin: User,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Somebody else knows the password, and changes it in the moment in which its owner does."""
    mine = ada.form(f"{ACCOUNT}password/", present=PASSWORD, new=NEW)
    theirs = elsewhere.form(
        f"{ACCOUNT}password/", present=PASSWORD, new="what the thief has chosen"
    )
    change = services.people.change_password

    def after_mine(*given: Any, **more: Any) -> None:
        monkeypatch.undo()
        with ThreadPoolExecutor(1) as aside:  # a request of its own, not one within theirs
            assert aside.submit(ada.post, mine).result().status_code == 303
        change(*given, **more)

    monkeypatch.setattr(services.people, "change_password", after_mine)
    refused = elsewhere.post(theirs)

    assert (refused.status_code, "in the meantime" in refused.text) == (409, True)
    assert ada.get(DEVELOPER).status_code == 200
    assert elsewhere.get(DEVELOPER).status_code == 303
    assert Browser(app).sign_in(admin.email, NEW).status_code == 303


def test_guessing_the_present_password_is_slowed_down(ada: Browser) -> None:
    answers = [
        ada.submit(f"{ACCOUNT}password/", present=f"guess number {n}", new=NEW) for n in range(6)
    ]

    assert [answer.status_code for answer in answers] == [422] * 5 + [429]
    assert answers[-1].headers["Retry-After"] == "1"
    assert "Too many tries" in answers[-1].text
