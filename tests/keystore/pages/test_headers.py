"""What every page tells the browser, and what is refused before a view is asked."""

import re
from dataclasses import replace

import pytest
from flask import Flask

from keystore import pages
from keystore.models import User
from keystore.services import Services
from tests.keystore.pages.browser import DEVELOPER, NEW_KEY, Browser, Form


@pytest.mark.parametrize("path", [DEVELOPER, NEW_KEY, "/sign-in/", "/nowhere/", "/assets/app.css"])
def test_every_answer_has_the_security_headers(ada: Browser, path: str) -> None:
    headers = ada.get(path).headers

    policy = dict(
        part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["style-src"] == "'self'"
    assert policy["form-action"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["base-uri"] == "'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("path", [DEVELOPER, NEW_KEY, "/sign-in/", "/nowhere/"])
def test_no_page_is_stored(ada: Browser, path: str) -> None:
    assert ada.get(path).headers["Cache-Control"] == "no-store"


def test_no_page_breaks_the_policy(ada: Browser, key_page: str) -> None:
    for path in (DEVELOPER, NEW_KEY, key_page, f"{key_page}delete/", "/nowhere/"):
        text = ada.get(path).text
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script>|javascript:", text), path
        assert not re.search(r'(href|src|action)="(https?:)?//', text), path


def test_a_form_without_its_token_changes_nothing(ada: Browser) -> None:
    form = ada.form(NEW_KEY, name="Zapier")
    del form.values["csrf_token"]

    page = ada.post(form)

    assert page.status_code == 400
    assert "Nothing was changed" in page.text
    assert "No keys yet" in ada.get(DEVELOPER).text


def test_a_token_of_somebody_else_changes_nothing(ada: Browser, stranger: Browser) -> None:
    theirs = stranger.form("/sign-in/").values["csrf_token"]

    assert ada.submit(NEW_KEY, name="Zapier", csrf_token=theirs).status_code == 400


def test_a_form_sent_after_the_sign_in_has_ended_leads_to_the_sign_in(
    ada: Browser, stranger: Browser
) -> None:
    answer = stranger.post(ada.form(NEW_KEY, name="Zapier"))

    assert answer.status_code == 303
    assert answer.location == "/sign-in/"


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_cannot_post_even_with_the_token(ada: Browser, site: str) -> None:
    form = ada.form(NEW_KEY, name="Zapier")

    page = ada.post(form, Sec_Fetch_Site=site)

    assert page.status_code == 403
    assert "came from another web site" in page.text
    assert "No keys yet" in ada.get(DEVELOPER).text


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_the_site_itself_can_post(ada: Browser, site: str) -> None:
    assert ada.post(ada.form(NEW_KEY, name="Zapier"), Sec_Fetch_Site=site).status_code == 201


def test_another_site_may_link_to_us(ada: Browser) -> None:
    assert ada.client.get(DEVELOPER, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_the_api_is_left_alone(services: Services) -> None:
    app = Flask("site", static_folder=None)
    app.extensions["keyhook"] = services
    pages.init_app(app)
    app.add_url_rule("/v1/echo/", view_func=pages.csrf.exempt(lambda: "{}"), methods=["POST"])

    answer = Browser(app).post(Form("/v1/echo/"), Sec_Fetch_Site="cross-site")

    assert answer.text == "{}"
    assert "Content-Security-Policy" not in answer.headers
    assert "Cache-Control" not in answer.headers


def test_over_https_the_cookie_is_bound_to_it_and_forms_must_come_from_here(
    services: Services, admin: User
) -> None:
    app = Flask("site", static_folder=None)
    base = "https://keys.example"
    app.extensions["keyhook"] = replace(
        services, settings=replace(services.settings, base_url=base)
    )
    pages.init_app(app)
    client = app.test_client()
    page = client.get("/sign-in/", base_url=base)
    token = re.search(r'name="csrf_token"[^>]* value="([^"]+)"', page.text)
    assert token is not None
    data = {"csrf_token": token[1], "email": admin.email, "password": "correct horse battery"}

    def send(referrer: str) -> tuple[int, str]:
        answer = client.post("/sign-in/", data=data, base_url=base, headers={"Referer": referrer})
        return answer.status_code, answer.headers.get("Set-Cookie", "")

    assert send("https://evil.example/")[0] == 400
    status, cookie = send(f"{base}/sign-in/")
    assert status == 303
    assert cookie.startswith("__Host-keyhook=")
    assert "; Secure" in cookie
