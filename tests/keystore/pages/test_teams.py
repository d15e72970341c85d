"""An admin makes teams on the page of people."""

from keystore.models import User
from tests.keystore.pages.browser import Browser, Form, forms

PEOPLE = "/settings/organization/people/"
TEAMS = f"{PEOPLE}teams/"


def form(browser: Browser, ending: str, **typed: list[str]) -> Form:
    [found] = [
        one
        for one in forms(browser.get(PEOPLE))
        if one.action.startswith(TEAMS) and one.action.endswith(ending)
    ]
    found.values |= typed
    return found


def create(browser: Browser, name: str) -> str:
    [adding] = [one for one in forms(browser.get(PEOPLE)) if one.action == TEAMS]
    adding.values["name"] = name
    answer = browser.post(adding)
    return browser.get(answer.location).text if answer.location else answer.text


def test_a_team_is_made_filled_and_deleted(ada: Browser, member: User) -> None:
    assert "The team Sales is there" in create(ada, "Sales")
    assert form(ada, "/members/").values["member"] == []

    answer = ada.post(form(ada, "/members/", member=[str(member.id)]))
    assert "Saved who is in Sales." in ada.get(answer.location).text
    assert form(ada, "/members/").values["member"] == [str(member.id)]
    ada.post(form(ada, "/members/", member=[]))
    assert form(ada, "/members/").values["member"] == []

    answer = ada.post(form(ada, "/delete/"))
    assert "The team Sales is deleted." in ada.get(answer.location).text
    assert "Delete: Sales" not in ada.get(PEOPLE).text


def test_what_does_not_work_is_told_calmly(ada: Browser) -> None:
    create(ada, "Sales")
    assert "There is a team of this name already." in create(ada, "Sales")
    old_delete, old_members = form(ada, "/delete/"), form(ada, "/members/")
    assert ada.post(form(ada, "/members/", member=["no id"])).status_code == 404
    ada.post(old_delete)
    assert ada.post(old_delete).status_code == 404
    assert "There is no such team" in ada.post(old_members).text


def test_teams_are_for_admins(ada: Browser, mel: Browser) -> None:
    create(ada, "Sales")
    assert mel.get(PEOPLE).status_code == 403
