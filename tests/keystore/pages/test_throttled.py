"""What a person notices when somebody guesses their password."""

import re

import pytest
from flask import Flask

from keystore.clock import ManualClock
from keystore.models import User
from tests.conftest import PASSWORD
from tests.keystore.pages.browser import DEVELOPER, NEW_KEY, Browser, Form, forms


def guess(app: Flask, email: str, times: int, address: str = "203.0.113.5") -> Browser:
    stranger = Browser(app)
    stranger.client.environ_base["REMOTE_ADDR"] = address
    for _ in range(times):
        stranger.sign_in(email, "wrong password")
    return stranger


def test_who_was_wrong_too_often_is_told_to_wait_and_then_gets_in(
    app: Flask, admin: User, clock: ManualClock
) -> None:
    browser = guess(app, admin.email, 5)

    answer = browser.sign_in(admin.email)
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "1"
    assert "Too many tries have failed. Try again in 1 second." in answer.text
    assert PASSWORD not in answer.text
    assert f'value="{admin.email}"' in answer.text

    clock.advance(1)
    assert browser.sign_in(admin.email).status_code == 303


@pytest.mark.parametrize("times", [1, 5, 6])
def test_an_unknown_address_gets_the_same_answers(app: Flask, admin: User, times: int) -> None:
    answers = []
    for number, email in enumerate((admin.email, "nobody@northwind.example")):
        browser = guess(app, email, times, address=f"203.0.113.{number}")
        answer = browser.sign_in(email, "wrong password")
        text = re.sub(r'(name="(csrf_token|email)"[^>]* value=)"[^"]*"', r"\1", answer.text)
        answers.append((answer.status_code, answer.headers.get("Retry-After"), text))

    assert answers[0] == answers[1]


def test_a_browser_that_was_in_before_gets_in_whatever_strangers_do(
    app: Flask, ada: Browser, admin: User
) -> None:
    token = re.search(r'name="csrf_token" value="([^"]+)"', ada.get(DEVELOPER).text)
    assert token is not None
    ada.post(Form("/sign-out/", {"csrf_token": token[1]}))
    guess(app, admin.email, 30)
    guess(app, "nobody@northwind.example", 30, address="127.0.0.1")

    assert Browser(app).sign_in(admin.email).status_code == 429
    assert ada.sign_in(admin.email).status_code == 303


def test_a_browser_is_known_for_its_own_person_alone(app: Flask, mel: Browser, admin: User) -> None:
    with mel.client.session_transaction() as session:
        del session["token"]
    guess(app, admin.email, 6)

    assert mel.sign_in(admin.email).status_code == 429


def test_a_cookie_that_nobody_signed_makes_no_known_browser(
    app: Flask, admin: User, ada: Browser
) -> None:
    payload, _, signature = ada.cookie().rpartition(".")
    forger = guess(app, admin.email, 6)
    forger.client.set_cookie("keyhook", f"{payload}.{signature[::-1]}")

    assert forger.sign_in(admin.email).status_code == 429


def test_confirming_is_slowed_down_too_and_keeps_the_form(ada: Browser, clock: ManualClock) -> None:
    form = ada.form(NEW_KEY, name="Zapier")
    clock.advance(600)
    [again] = forms(ada.post(form))
    again.values["confirm-password"] = "wrong password"
    for _ in range(5):
        assert ada.post(again).status_code == 403

    again.values["confirm-password"] = PASSWORD
    answer = ada.post(again)
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "1"

    clock.advance(1)
    [again] = forms(answer)
    again.values["confirm-password"] = PASSWORD
    assert ada.post(again).status_code == 201
