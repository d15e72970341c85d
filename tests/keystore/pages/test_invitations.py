"""Inviting somebody on the page of people, and coming in by the link."""

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
from tests.keystore.pages.browser import DEVELOPER, Browser, Form, forms
from tests.support.mailbox import letters

PEOPLE = "/settings/organization/people/"
BOB = "bob@northwind.example"
NEW = "staple and another horse"


@pytest.fixture
def app_settings(app_settings: Settings) -> Settings:
    smtp = SmtpServer(Security.NONE, "127.0.0.1", 25)
    return replace(app_settings, smtp=smtp, mail_from="keyhook@northwind.example")


def form(browser: Browser, end: str) -> Form:
    [found] = [one for one in forms(browser.get(PEOPLE)) if one.action.endswith(end)]
    return found


def invite(browser: Browser, email: str = BOB, role: str = "member") -> str:
    """Send the form; return the page that follows."""
    filled = form(browser, "/invitations/")
    filled.values |= {"email": email, "role": role}
    answer = browser.post(filled)
    return browser.get(answer.location).text if answer.status_code == 303 else answer.text


def link(services: Services) -> str:
    return letters(services.db, services.vault)[-1].link


def test_somebody_is_invited_and_comes_in(ada: Browser, app: Flask, services: Services) -> None:
    page = invite(ada, role="admin")
    assert f"An invitation is on its way to {BOB}." in page
    assert "Invited" in page
    bob = Browser(app)
    offer = bob.get(link(services))
    assert offer.status_code == 200
    assert "Join Northwind" in offer.text
    assert "as an admin" in offer.text

    came = bob.submit(link(services), name="Bob", new=NEW)

    assert came.status_code == 303
    assert bob.get(DEVELOPER).status_code == 200
    assert BOB in bob.get("/settings/account/").text
    assert "Invited" not in ada.get(PEOPLE).text
    assert Browser(app).sign_in(BOB, NEW).status_code == 303
    again = Browser(app).get(link(services))
    assert (again.status_code, "This invitation is over" in again.text) == (410, True)


def test_opening_the_link_uses_nothing_up(ada: Browser, app: Flask, services: Services) -> None:
    invite(ada)
    for _ in range(3):
        assert Browser(app).get(link(services)).status_code == 200

    assert Browser(app).submit(link(services), name="Bob", new=NEW).status_code == 303


@pytest.mark.parametrize(
    ("name", "new", "said"),
    [
        ("", NEW, "Say what you are called."),
        ("\u200b", NEW, "1 to 80 visible characters"),
        ("Bob", "short", "12 to 1024 characters"),
        ("Bob", "", "Choose a password."),
    ],
)
def test_what_would_not_do_is_said_at_its_field(
    ada: Browser, app: Flask, services: Services, name: str, new: str, said: str
) -> None:
    invite(ada)
    bob = Browser(app)

    answer = bob.submit(link(services), name=name, new=new)

    assert answer.status_code == 422
    assert said in answer.text
    assert "short" not in answer.text
    assert bob.submit(link(services), name="Bob", new=NEW).status_code == 303


def test_an_invitation_is_sent_again_and_withdrawn(
    ada: Browser, app: Flask, services: Services, clock: ManualClock
) -> None:
    invite(ada)
    first = link(services)
    clock.advance(1)
    ada.post(form(ada, "/send-again/"))
    second = link(services)
    assert Browser(app).get(first).status_code == 410
    assert Browser(app).get(second).status_code == 200

    withdraw = form(ada, "/withdraw/")
    answer = ada.post(withdraw)

    assert "is withdrawn" in ada.get(answer.location).text
    assert Browser(app).get(second).status_code == 410
    assert ada.post(withdraw).status_code == 409


@pytest.mark.parametrize(
    ("email", "said"),
    [
        ("nobody", "is not an e-mail address"),
        ("a,b@northwind.example", "Mail cannot be sent to"),
        ("ada@northwind.example", "in your organization already"),
        ("", "Enter the e-mail address"),
    ],
)
def test_what_cannot_be_invited_is_said_at_the_field(
    ada: Browser, services: Services, email: str, said: str
) -> None:
    assert said in invite(ada, email)
    assert letters(services.db, services.vault) == []


def test_no_other_role_is_known(ada: Browser, services: Services) -> None:
    invite(ada, role="owner")

    assert letters(services.db, services.vault) == []


def test_a_member_invites_nobody(ada: Browser, mel: Browser, services: Services) -> None:
    filled = form(ada, "/invitations/")
    own = mel.get("/settings/account/").text.split('name="csrf_token" value="')[1]
    filled.values |= {"email": BOB, "role": "admin", "csrf_token": own.split('"')[0]}

    assert mel.post(filled).status_code == 403
    assert letters(services.db, services.vault) == []


def test_it_asks_who_it_is_after_a_while(
    ada: Browser, clock: ManualClock, services: Services
) -> None:
    filled = form(ada, "/invitations/")
    filled.values |= {"email": BOB, "role": "admin"}
    clock.advance(600)

    answer = ada.post(filled)
    assert "Confirm it's you" in answer.text
    assert letters(services.db, services.vault) == []
    [confirm] = forms(answer)
    confirm.values["confirm-password"] = "correct horse battery"
    assert ada.post(confirm).status_code == 303
    assert letters(services.db, services.vault)[0].to == BOB


def test_who_is_signed_in_as_somebody_else_becomes_who_was_invited(
    ada: Browser, mel: Browser, services: Services
) -> None:
    invite(ada)

    mel.submit(link(services), name="Bob", new=NEW)

    assert BOB in mel.get("/settings/account/").text


def test_an_expired_invitation_is_shown_as_such(
    ada: Browser,
    app: Flask,
    admin: User,
    services: Services,
    clock: ManualClock,
) -> None:
    invite(ada)
    path = link(services)
    clock.advance(7 * 86400)
    ada.sign_in(admin.email)

    assert "expired" in ada.get(PEOPLE).text
    assert Browser(app).get(path).status_code == 410


def test_the_second_factor_of_who_has_lost_it_is_turned_off(
    ada: Browser, services: Services, clock: ManualClock, member: User
) -> None:
    assert "Reset second factor" not in ada.get(PEOPLE).text
    turn_on(services, clock, member)
    end = f"{member.id}/reset-second-factor/"

    answer = ada.post(form(ada, end))

    assert "The second factor is off." in ada.get(answer.location).text
    with services.db.session() as session:
        assert not services.second_factor.is_on(session, member.id)


def test_ones_own_is_for_another_admin(
    ada: Browser, services: Services, clock: ManualClock, admin: User
) -> None:
    turn_on(services, clock, admin)
    own = form(ada, f"{admin.id}/member/")
    own.action = own.action.replace("member", "reset-second-factor")

    answer = ada.post(own)

    assert answer.status_code == 409
    assert "Ask another admin" in answer.text
    with services.db.session() as session:
        assert services.second_factor.is_on(session, admin.id)


def turn_on(services: Services, clock: ManualClock, user: User) -> None:
    with services.db.session() as session:
        secret = one_time_codes.as_bytes(services.second_factor.prepare(session, user))
        code = one_time_codes.code(secret, one_time_codes.step(clock.now()))
        services.second_factor.turn_on(session, user, code, SYSTEM)


class TestWithoutMail:
    @pytest.fixture
    def app_settings(self, app_settings: Settings) -> Settings:
        return replace(app_settings, smtp=None)

    def test_nothing_pretends_that_a_mail_goes_out(self, ada: Browser, services: Services) -> None:
        page = ada.get(PEOPLE)
        assert "Mail is not set up" in page.text
        assert "KEYHOOK_SMTP_URL" in page.text
        token = forms(page)[0].values["csrf_token"]
        filled = Form(f"{PEOPLE}invitations/", {"csrf_token": token, "email": BOB})

        answer = ada.post(filled)

        assert (answer.status_code, "Nobody was invited" in answer.text) == (409, True)
        assert letters(services.db, services.vault) == []
