"""Getting in and out."""

import re

import pytest
from flask import Flask

from keystore.models import User
from keystore.services import Services
from tests.keystore.pages.browser import DEVELOPER, Browser, Form


def test_the_start_leads_a_stranger_to_sign_in(stranger: Browser) -> None:
    page = stranger.client.get("/", follow_redirects=True)

    assert page.request.path == "/sign-in/"
    assert "<h1>Sign in</h1>" in page.text


def test_an_admin_signs_in_and_gets_to_the_keys(stranger: Browser, admin: User) -> None:
    answer = stranger.sign_in(admin.email.upper())

    assert answer.status_code == 303
    page = stranger.get(answer.location)
    assert page.request.path == DEVELOPER
    assert "Northwind" in page.text
    assert "Ada" in page.text


def test_an_unknown_address_and_a_wrong_password_get_the_same_answer(
    app: Flask, admin: User
) -> None:
    answers = []
    for email in (admin.email, "nobody@northwind.example", "not an address", "\x00\ufffe@x"):
        answer = Browser(app).sign_in(email, "wrong password")
        assert "E-mail or password is wrong." in answer.text
        text = re.sub(r'(name="(csrf_token|email)"[^>]* value=)"[^"]*"', r"\1", answer.text)
        answers.append((answer.status_code, text))

    assert answers[0][0] == 422
    assert answers == [answers[0]] * 4


def test_the_password_is_never_sent_back(stranger: Browser, admin: User) -> None:
    assert "a secret of mine" not in stranger.sign_in(admin.email, "a secret of mine").text


@pytest.mark.parametrize(("email", "password"), [("", "x"), ("ada@northwind.example", "")])
def test_an_empty_field_is_asked_for(stranger: Browser, email: str, password: str) -> None:
    page = stranger.sign_in(email, password)

    assert page.status_code == 422
    assert "Enter your" in page.text


def test_a_page_asked_for_is_opened_after_signing_in(stranger: Browser, admin: User) -> None:
    wanted = f"{DEVELOPER}keys/new/?from=mail"

    answer = stranger.get(wanted)

    assert answer.status_code == 303
    assert stranger.sign_in(admin.email, path=answer.location).location == wanted


@pytest.mark.parametrize(
    "elsewhere",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "/%09/evil.example", "evil"],
)
def test_signing_in_leads_nowhere_else(stranger: Browser, admin: User, elsewhere: str) -> None:
    answer = stranger.sign_in(admin.email, path=f"/sign-in/?next={elsewhere}")

    assert answer.location == DEVELOPER


def test_who_is_signed_in_does_not_sign_in_again(ada: Browser) -> None:
    assert ada.get("/sign-in/").location == DEVELOPER


def test_signing_out_ends_it(ada: Browser) -> None:
    token = re.search(r'name="csrf_token" value="([^"]+)"', ada.get(DEVELOPER).text)
    assert token is not None

    ada.post(Form("/sign-out/", {"csrf_token": token[1]}))

    assert ada.get(DEVELOPER).status_code == 303


def test_a_link_cannot_sign_anybody_out(ada: Browser) -> None:
    assert ada.get("/sign-out/").status_code == 405
    assert ada.get(DEVELOPER).status_code == 200


def test_signing_in_makes_a_new_session(stranger: Browser, admin: User) -> None:
    form = stranger.form("/sign-in/", email=admin.email, password="wrong")
    stranger.sign_in(admin.email)

    # The token of before is worthless now, though it was good in the same browser.
    again = stranger.post(Form(f"{DEVELOPER}keys/new/", form.values | {"name": "Zapier"}))

    assert again.status_code == 400
    assert "out of date" in again.text


def test_the_cookie_is_for_this_site_and_not_for_scripts(
    stranger: Browser, admin: User, services: Services
) -> None:
    cookie = stranger.sign_in(admin.email).headers["Set-Cookie"]

    assert cookie.startswith("keyhook=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie
    assert services.settings.base_url.startswith("http:")
    assert admin.password_hash not in cookie


def test_static_files_are_there_for_everybody(stranger: Browser) -> None:
    page = stranger.get("/sign-in/").text
    assets = re.findall(r'(?:href|src)="(/[^"]+\.(?:css|js|svg))"', page)

    assert len(assets) == 5
    for asset in assets:
        answer = stranger.get(asset)
        assert answer.status_code == 200, asset
        assert "Set-Cookie" not in answer.headers
