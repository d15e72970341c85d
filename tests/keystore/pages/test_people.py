"""Who may sign in, and as what."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.models import Role, User
from keystore.scopes import DataScope
from keystore.services import Services
from tests.keystore.pages.browser import DEVELOPER, Browser, Form, forms

PEOPLE = "/settings/organization/people/"


def button(browser: Browser, user: User, change: str) -> Form:
    """Return the form behind a button; before somebody is deactivated there is a page to read."""
    page = f"{PEOPLE}{user.id}/deactivate/" if change == "deactivate" else PEOPLE
    [form] = [
        form for form in forms(browser.get(page)) if form.action == f"{PEOPLE}{user.id}/{change}/"
    ]
    return form


def test_somebody_is_made_an_admin_and_back(ada: Browser, mel: Browser, member: User) -> None:
    answer = ada.post(button(ada, member, "admin"))
    assert "Mel is an admin." in ada.get(answer.location).text
    assert mel.get(DEVELOPER).status_code == 200

    answer = ada.post(button(ada, member, "member"))
    assert "Mel is a member." in ada.get(answer.location).text
    assert mel.get(DEVELOPER).status_code == 403


def test_who_leaves_is_out_at_once(ada: Browser, mel: Browser, app: Flask, member: User) -> None:
    answer = ada.post(button(ada, member, "deactivate"))

    page = ada.get(answer.location).text
    assert "Mel can&#39;t sign in any more." in page
    assert mel.get("/settings/account/").status_code == 303
    assert Browser(app).sign_in(member.email).status_code == 422

    ada.post(button(ada, member, "activate"))
    assert Browser(app).sign_in(member.email).status_code == 303


def test_before_somebody_leaves_the_page_names_the_keys_that_stop_and_stay(
    ada: Browser, services: Services, member: User
) -> None:
    leaving = f"{PEOPLE}{member.id}/deactivate/"
    assert f'href="{leaving}"' in ada.get(PEOPLE).text
    assert "No key stops: none is tied to Mel." in ada.get(leaving).text
    where = {"organization_id": member.organization_id, "actor": SYSTEM}
    personal = {"data": DataScope.USER_FULL, "owner_id": member.id}
    with services.db.session() as session:
        services.keys.create(session, name="Mine", **where, **personal)  # type: ignore[arg-type]
        services.keys.create(session, name="Ours", created_by=member.id, **where)  # type: ignore[arg-type]

    stop, stay = (
        ada.get(leaving).text.split("they stop at once")[1].split("These keys were made by")
    )

    assert ("Mine" in stop, "Ours" in stop) == (True, False)
    assert ("Mine" in stay, "Ours" in stay) == (False, True)
    ada.post(button(ada, member, "deactivate"))
    assert "Disabled" in ada.get(DEVELOPER).text
    assert "who has left" in ada.get(DEVELOPER).text


def test_nobody_of_elsewhere_leaves(ada: Browser) -> None:
    nobody = f"{PEOPLE}00000000-0000-4000-8000-000000000000/deactivate/"

    assert ada.get(nobody).status_code == 404


def test_the_last_admin_stays(ada: Browser, admin: User) -> None:
    for change in ("member", "deactivate"):
        page = ada.post(button(ada, admin, change))
        assert page.status_code == 409
        assert "Make somebody else an admin first." in page.text
    assert ada.get(PEOPLE).status_code == 200


def test_a_member_sees_and_changes_nothing(ada: Browser, mel: Browser, member: User) -> None:
    assert mel.get(PEOPLE).status_code == 403
    form = button(ada, member, "admin")
    own = mel.get("/settings/account/").text.split('name="csrf_token" value="')[1]
    form.values["csrf_token"] = own.split('"')[0]

    assert mel.post(form).status_code == 403
    assert mel.get(DEVELOPER).status_code == 403


def test_an_admin_who_is_demoted_while_their_click_is_under_way_is_told(
    ada: Browser,
    services: Services,
    admin: User,
    member: User,
    add_user: Callable[[str, Role], User],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add_user("Bob", Role.ADMIN)
    click, change_role = button(ada, member, "admin"), services.people.change_role

    def after_bobs(session: Session, *given: Any, **more: Any) -> User:
        of = admin.organization_id
        with services.db.session() as bobs:
            change_role(bobs, admin.id, Role.MEMBER, organization_id=of, actor=SYSTEM)
        return change_role(session, *given, **more)

    monkeypatch.setattr(services.people, "change_role", after_bobs)
    answer = ada.post(click)

    assert (answer.status_code, "This takes an admin" in answer.text) == (403, True)
    with services.db.session() as session:
        admins = services.accounts.admins(session, admin.organization_id)
    assert [one.name for one in admins] == ["Bob"]


def test_it_asks_who_it_is_after_a_while(ada: Browser, clock: ManualClock, member: User) -> None:
    form = button(ada, member, "deactivate")
    clock.advance(600)

    assert "Confirm it's you" in ada.post(form).text


def test_no_other_change_is_known(ada: Browser, member: User) -> None:
    form = button(ada, member, "admin")
    form.action = form.action.replace("/admin/", "/owner/")

    assert ada.post(form).status_code == 404


def test_nobody_of_elsewhere_is_found(ada: Browser, admin: User) -> None:
    form = button(ada, admin, "member")
    form.action = form.action.replace(str(admin.id), "00000000-0000-4000-8000-000000000000")

    assert ada.post(form).status_code == 404
