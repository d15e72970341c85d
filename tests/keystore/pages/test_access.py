"""Who gets to a page, and for how long."""

import re

import pytest
from argon2 import PasswordHasher
from flask import Flask

from keystore import access
from keystore.access import Access
from keystore.clock import ManualClock
from keystore.models import Role, User
from keystore.services import Services
from tests.keystore.pages.browser import DEVELOPER, NEW_KEY, Browser


def change(services: Services, user: User, **values: object) -> None:
    """Change a person behind their browser's back."""
    with services.db.session() as session, session.begin():
        stored = session.get_one(User, user.id)
        for name, value in values.items():
            setattr(stored, name, value)


def test_every_view_says_who_may_call_it(app: Flask) -> None:
    declared = {
        rule.endpoint: getattr(app.view_functions[rule.endpoint], "access", None)
        for rule in app.url_map.iter_rules()
    }

    assert {endpoint for endpoint, who in declared.items() if who == Access("admin")} == {
        "people.index",
        "people.change",
        "people.leaving",
        *(f"invitations.{view}" for view in ("invite", "send_again", "withdraw")),
        *(f"leaks.{view}" for view in ("index", "check", "policy")),
        *(f"rates.{view}" for view in ("default", "limit", "plan", "cancel")),
        "audit_log.index",
        "audit_log.export",
        "grants.members",
        *(f"teams.{view}" for view in ("create", "members", "delete")),
    }
    assert {endpoint for endpoint, who in declared.items() if who == Access("keyholder")} == {
        *(f"developer.{view}" for view in ("index", "show", "rename", "regenerate", "delete")),
        *(f"developer.{view}" for view in ("finish", "disable", "enable", "expiry")),
        *(f"grants.{view}" for view in ("add", "rescope", "allow_list")),
    }
    assert {who.who for who in declared.values() if who is not None} == {
        "admin",
        "keyholder",
        "public",
        "signed-in",
    }
    assert None not in declared.values()


@pytest.mark.parametrize("path", [DEVELOPER, NEW_KEY, "{key}", "{key}regenerate/", "{key}delete/"])
def test_a_member_is_told_who_can(mel: Browser, admin: User, key_page: str, path: str) -> None:
    page = mel.get(path.format(key=key_page))

    assert page.status_code == 403
    assert admin.name in page.text
    assert f'href="mailto:{admin.email}"' in page.text
    assert "Sign out" in page.text
    assert "Subscriptions" not in page.text


def test_a_member_cannot_post_either(mel: Browser, ada: Browser) -> None:
    form = ada.form(NEW_KEY, name="Zapier")
    token = re.search(r'name="csrf_token" value="([^"]+)"', mel.get(DEVELOPER).text)
    assert token is not None
    form.values["csrf_token"] = token[1]

    assert mel.post(form).status_code == 403
    assert "No keys yet" in ada.get(DEVELOPER).text


def test_an_admin_without_colleagues_is_not_named_once_gone(
    mel: Browser, admin: User, services: Services
) -> None:
    change(services, admin, is_active=False)

    page = mel.get(DEVELOPER).text

    assert admin.email not in page
    assert "There is no admin at the moment" in page


def test_signed_in_is_enough_where_a_view_says_so(app: Flask, member: User) -> None:
    app.add_url_rule("/me/", view_func=access.signed_in(lambda: access.the_visitor().user.name))
    stranger, mel = Browser(app), Browser(app)
    mel.sign_in(member.email)

    assert stranger.get("/me/").location == "/sign-in/?next=/me/"
    assert mel.get("/me/").text == "Mel"


def test_a_sign_in_ends_after_twelve_hours_however_busy(ada: Browser, clock: ManualClock) -> None:
    for _ in range(2):
        clock.advance(6 * 3600 - 1)
        assert ada.get(DEVELOPER).status_code == 200
    clock.advance(2)

    assert ada.get(DEVELOPER).status_code == 303


def test_a_sign_in_ends_with_a_changed_password(
    ada: Browser, admin: User, services: Services
) -> None:
    change(services, admin, password_hash=PasswordHasher().hash("another password"))

    assert ada.get(DEVELOPER).status_code == 303


def test_a_sign_in_ends_with_a_closed_account(
    ada: Browser, admin: User, services: Services
) -> None:
    change(services, admin, is_active=False)

    assert ada.get(DEVELOPER).status_code == 303


def test_a_role_counts_from_the_moment_it_is_taken_away(
    ada: Browser, admin: User, services: Services
) -> None:
    change(services, admin, role=Role.MEMBER)

    assert ada.get(DEVELOPER).status_code == 403


@pytest.mark.parametrize(
    "forged",
    [{"token": "not a token"}, {"token": "\ud800"}, {"token": 7}, {"token": None}, {}],
)
def test_a_session_of_another_shape_is_nobody(ada: Browser, forged: dict[str, object]) -> None:
    with ada.client.session_transaction() as session:
        session.clear()
        session.update(forged)

    assert ada.get(DEVELOPER).status_code == 303


def test_a_cookie_signed_with_another_key_is_nobody(ada: Browser, stranger: Browser) -> None:
    payload, _, signature = ada.cookie().rpartition(".")
    stranger.client.set_cookie("keyhook", f"{payload}.{signature[::-1]}")

    assert stranger.get(DEVELOPER).status_code == 303


@pytest.mark.parametrize("path", ["/", "/a/b/?c=d%20e", "/settings/organization/developer/"])
def test_a_path_of_ours_is_a_safe_place_to_go(path: str) -> None:
    assert access.safe_next(path) == path


@pytest.mark.parametrize(
    "target",
    [
        None,
        "",
        "a",
        "https://evil.example",
        "javascript:alert(1)",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        " //evil.example",
        "/\x00/evil.example",
        "//[::1",
    ],
)
def test_any_other_target_is_not(target: str | None) -> None:
    assert access.safe_next(target) is None
