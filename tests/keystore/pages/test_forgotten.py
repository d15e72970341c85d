"""Somebody has forgotten their password; or says so, to find out who has an account."""

import re
from dataclasses import replace

import pytest
from flask import Flask

from keystore import one_time_codes
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.models import User
from keystore.services import Services
from keystore.settings import Settings
from keystore.smtp import Security, SmtpServer
from tests.conftest import PASSWORD
from tests.keystore.pages.browser import DEVELOPER, Browser
from tests.support.mailbox import letters
from tests.support.statements import statements

FORGOTTEN = "/sign-in/forgotten/"
NOBODY = "nobody@northwind.example"
NEW = "staple and another horse"


@pytest.fixture
def app_settings(app_settings: Settings) -> Settings:
    smtp = SmtpServer(Security.NONE, "127.0.0.1", 25)
    return replace(app_settings, smtp=smtp, mail_from="keyhook@northwind.example")


def link(services: Services) -> str:
    """What the thread beside the server does; then look into the mailbox."""
    with services.db.session() as session:
        services.knocks.answer(session)
    return letters(services.db, services.vault)[-1].link


def test_a_new_password_is_chosen_and_everybody_else_is_signed_out(
    stranger: Browser, ada: Browser, app: Flask, admin: User, services: Services
) -> None:
    assert FORGOTTEN in stranger.get("/sign-in/").text
    assert "Look into your mailbox" in stranger.submit(FORGOTTEN, email=admin.email).text
    path = link(services)
    for _ in range(2):
        assert admin.email in stranger.get(path).text

    done = stranger.submit(path, new=NEW)

    assert "Your password is changed" in done.text
    assert stranger.get(DEVELOPER).status_code == 303, "a link in a mail signs nobody in"
    assert ada.get(DEVELOPER).status_code == 303
    assert Browser(app).sign_in(admin.email, PASSWORD).status_code == 422
    assert Browser(app).sign_in(admin.email, NEW).status_code == 303
    again = stranger.get(path)
    assert (again.status_code, "This link is over" in again.text) == (410, True)


def test_the_second_factor_is_asked_for_as_ever(
    stranger: Browser, services: Services, clock: ManualClock, member: User
) -> None:
    with services.db.session() as session:
        secret = one_time_codes.as_bytes(services.second_factor.prepare(session, member))
        code = one_time_codes.code(secret, one_time_codes.step(clock.now()))
        services.second_factor.turn_on(session, member, code, SYSTEM)
    stranger.submit(FORGOTTEN, email=member.email)
    stranger.submit(link(services), new=NEW)

    assert stranger.sign_in(member.email, NEW).location.startswith("/sign-in/code/")
    assert stranger.get("/settings/account/").status_code == 303


@pytest.mark.parametrize("times", [1, 5, 6])
def test_the_answer_and_the_work_are_the_same_for_anybody(
    app: Flask, services: Services, admin: User, times: int
) -> None:
    seen = []
    for number, email in enumerate((admin.email, NOBODY)):
        browser = Browser(app)
        browser.client.environ_base["REMOTE_ADDR"] = f"203.0.113.{number}"
        form = browser.form(FORGOTTEN, email=email)
        with statements(services.db) as asked:
            answers = [browser.post(form) for _ in range(times)]
        text = answers[-1].text.replace(email, "somebody")
        text = re.sub(r'(name="csrf_token"[^>]* value=)"[^"]*"', r"\1", text)
        seen.append((answers[-1].status_code, text, list(asked)))

    assert seen[0] == seen[1]
    assert seen[0][0] == (200 if times <= 5 else 429)


def test_a_wrong_password_costs_the_same_for_anybody_and_is_on_record(
    app: Flask, services: Services, admin: User
) -> None:
    seen = []
    for number, email in enumerate((admin.email, NOBODY)):
        browser = Browser(app)
        browser.client.environ_base["REMOTE_ADDR"] = f"203.0.113.{number}"
        form = browser.form("/sign-in/", email=email, password="wrong")
        with statements(services.db) as asked:
            assert browser.post(form).status_code == 422
        seen.append(list(asked))
    assert seen[0] == seen[1]

    ada = Browser(app)
    ada.sign_in(admin.email)
    with services.db.session() as session:
        assert services.knocks.answer(session) == 2
    log = ada.get("/settings/organization/developer/audit-log/?outcome=refused").text
    assert "wrong password" in log
    assert "203.0.113.0" in log
    assert "203.0.113.1" not in log


def test_a_wrong_code_is_on_record(
    stranger: Browser, services: Services, clock: ManualClock, admin: User, app: Flask
) -> None:
    with services.db.session() as session:
        secret = one_time_codes.as_bytes(services.second_factor.prepare(session, admin))
        step = one_time_codes.step(clock.now())
        code = one_time_codes.code(secret, step)
        services.second_factor.turn_on(session, admin, code, SYSTEM)
    stranger.sign_in(admin.email)
    assert stranger.submit("/sign-in/code/", code=code).status_code == 422

    clock.advance(30)
    stranger.submit("/sign-in/code/", code=one_time_codes.code(secret, step + 1))
    log = stranger.get("/settings/organization/developer/audit-log/?outcome=refused").text
    assert "wrong code" in log


def test_a_wrong_present_password_is_on_record_as_what_was_refused(
    ada: Browser, services: Services, admin: User
) -> None:
    ada.submit("/settings/account/password/", present="wrong", new=NEW)
    with services.db.session() as session:
        services.knocks.answer(session)

    log = ada.get("/settings/organization/developer/audit-log/?outcome=refused").text
    assert "User password changed" in log


@pytest.mark.parametrize(("new", "said"), [("short", "12 to 1024"), ("", "Choose a new password")])
def test_a_bad_password_uses_nothing_up(
    stranger: Browser, services: Services, admin: User, new: str, said: str
) -> None:
    stranger.submit(FORGOTTEN, email=admin.email)
    path = link(services)

    answer = stranger.submit(path, new=new)

    assert (answer.status_code, said in answer.text) == (422, True)
    assert "Your password is changed" in stranger.submit(path, new=NEW).text


@pytest.mark.parametrize("token", ["x", "khl" + "0" * 40, "%00", "%ED%B2%80", "ä"])
def test_what_is_no_link_is_over(stranger: Browser, token: str) -> None:
    for path in ("/sign-in/new-password/", "/invitation/"):
        assert stranger.get(f"{path}{token}/").status_code == 410


def test_nothing_typed_is_a_matter_of_the_form(stranger: Browser) -> None:
    assert stranger.submit(FORGOTTEN, email="").status_code == 422
    assert stranger.submit(FORGOTTEN, email="x" * 300).status_code == 422


class TestWithoutMail:
    @pytest.fixture
    def app_settings(self, app_settings: Settings) -> Settings:
        return replace(app_settings, smtp=None)

    def test_nothing_pretends_that_a_mail_goes_out(self, stranger: Browser) -> None:
        page = stranger.get(FORGOTTEN)

        assert "This server sends no mail" in page.text
        assert "KEYHOOK_SMTP_URL" in page.text
        assert "<form" not in page.text
