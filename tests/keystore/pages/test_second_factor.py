"""Turning the second factor on, and signing in with it."""

import re

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from keystore import one_time_codes
from keystore.clock import ManualClock
from keystore.credentials import SecretValue
from keystore.models import User
from tests.conftest import PASSWORD
from tests.keystore.pages.browser import DEVELOPER, NEW_KEY, Browser, forms

FACTOR = "/settings/account/second-factor/"


class Phone:
    """An app that has read the secret from the page."""

    def __init__(self, page: TestResponse, clock: ManualClock) -> None:
        found = re.search(r'id="factor-secret"[^>]*>([A-Z2-7]{32})<', page.text)
        assert found is not None
        self.secret, self.clock = one_time_codes.as_bytes(SecretValue(found[1])), clock

    def code(self) -> str:
        """Wait for the next code and return it."""
        self.clock.advance(one_time_codes.PERIOD)
        return one_time_codes.code(self.secret, one_time_codes.step(self.clock.now()))


@pytest.fixture
def phone(ada: Browser, clock: ManualClock) -> Phone:
    return Phone(ada.get(FACTOR), clock)


@pytest.fixture
def paper(ada: Browser, phone: Phone) -> list[str]:
    page = ada.submit(FACTOR, code=phone.code())
    return re.findall(r"(?<=[>\n])\w{4}-\w{4}-\w{4}", page.text)


def test_the_page_draws_the_secret_without_any_style(ada: Browser) -> None:
    page = ada.get(FACTOR)

    assert page.text.count('class="qr-code"') == 1
    assert "style=" not in page.text
    assert page.headers["Cache-Control"] == "no-store"
    assert Phone(page, ManualClock()).secret == Phone(ada.get(FACTOR), ManualClock()).secret


def test_a_wrong_code_turns_nothing_on(ada: Browser, phone: Phone) -> None:
    page = ada.submit(FACTOR, code="000000")

    assert page.status_code == 422
    assert "That code is not right" in page.text
    assert Phone(page, phone.clock).secret == phone.secret


def test_recovery_codes_are_shown_this_once(ada: Browser, phone: Phone, paper: list[str]) -> None:
    assert len(set(paper)) == 10
    again = ada.get(FACTOR).text
    assert "The second factor is on" in again
    assert "10 of them are left" in again
    assert not any(code in again for code in paper)
    assert one_time_codes.as_text(phone.secret).reveal() not in again


def test_signing_in_takes_the_code_and_leads_where_one_wanted(
    app: Flask, admin: User, phone: Phone, paper: list[str]
) -> None:
    browser = Browser(app)
    asked = browser.sign_in(admin.email, path=f"/sign-in/?next={NEW_KEY}")
    assert asked.location == f"/sign-in/code/?next={NEW_KEY}"
    assert browser.get(DEVELOPER).status_code == 303

    wrong = browser.submit(asked.location, code="123")
    assert wrong.status_code == 422
    assert "is not right, or was used before" in wrong.text
    code = phone.code()
    right = browser.submit(asked.location, code=code)
    assert (right.status_code, right.location) == (303, NEW_KEY)
    assert browser.get(DEVELOPER).status_code == 200

    thief = Browser(app)
    thief.sign_in(admin.email)
    assert thief.submit("/sign-in/code/", code=code).status_code == 422


def test_a_recovery_code_lets_in_once(app: Flask, admin: User, paper: list[str]) -> None:
    answers = []
    for _ in range(2):
        browser = Browser(app)
        browser.sign_in(admin.email)
        answers.append(browser.submit("/sign-in/code/", code=paper[0]).status_code)

    assert answers == [303, 422]


def test_the_code_page_is_for_those_whose_password_was_right_just_now(
    app: Flask, admin: User, phone: Phone, paper: list[str]
) -> None:
    assert Browser(app).get("/sign-in/code/").location == "/sign-in/"
    browser = Browser(app)
    browser.sign_in(admin.email)
    form = browser.form("/sign-in/code/", code=phone.code())

    phone.clock.advance(300)

    assert browser.post(form).location == "/sign-in/"
    assert browser.get(DEVELOPER).status_code == 303


@pytest.mark.parametrize("half", [7, {}, {"user": "x", "fingerprint": "x", "at": 1}])
def test_a_half_of_another_shape_is_nobody(stranger: Browser, half: object) -> None:
    with stranger.client.session_transaction() as session:
        session["half"] = half

    assert stranger.get("/sign-in/code/").location == "/sign-in/"


def test_guessing_codes_is_slowed_down(app: Flask, admin: User, paper: list[str]) -> None:
    browser = Browser(app)
    browser.sign_in(admin.email)

    statuses = [browser.submit("/sign-in/code/", code=f"{n:06}").status_code for n in range(7)]

    assert statuses == [422] * 5 + [429] * 2


def test_turning_it_off_asks_who_it_is_and_then_does(
    ada: Browser, app: Flask, admin: User, clock: ManualClock, paper: list[str]
) -> None:
    _, off = forms(ada.get(FACTOR))
    clock.advance(600)
    [asked] = forms(ada.post(off))
    asked.values["confirm-password"] = PASSWORD

    answer = ada.post(asked)

    assert "second factor is off" in ada.get(answer.location).text
    assert Browser(app).sign_in(admin.email).location == DEVELOPER


def test_new_recovery_codes_replace_the_old(
    ada: Browser, app: Flask, admin: User, paper: list[str]
) -> None:
    renew, off = forms(ada.get(FACTOR))
    page = ada.post(renew)
    renewed = re.findall(r"(?<=[>\n])\w{4}-\w{4}-\w{4}", page.text)

    assert len(set(renewed) | set(paper)) == 20
    browser = Browser(app)
    browser.sign_in(admin.email)
    assert browser.submit("/sign-in/code/", code=paper[0]).status_code == 422
    assert browser.submit("/sign-in/code/", code=renewed[0]).status_code == 303
    ada.post(off)
    assert "is off" in ada.get(ada.post(renew).location).text
