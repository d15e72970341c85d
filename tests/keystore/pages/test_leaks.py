"""Somebody pastes what they found, and chooses what is done when others find something."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from keystore import credentials
from keystore.audit import SYSTEM, Actor
from keystore.clock import ManualClock
from keystore.keys import Issued
from keystore.leak_feed import LeakFeed
from keystore.leak_records import Record
from keystore.models import Organization
from keystore.pages.forms import MOST_IN_A_PASTE
from keystore.rotation import LeakPolicy
from keystore.services import Services
from keystore.throttle import FREE_FOR_ACCOUNT
from tests.conftest import PASSWORD
from tests.keystore.pages.browser import DEVELOPER, Browser, Form, forms

LEAKS = f"{DEVELOPER}leaks/"
POLICY = f"{LEAKS}policy/"
NOTHING = "Nothing in it is yours"
URL = "https://github.com/octocat/hello/blob/1/.env"

Works = Callable[[str, str], bool]


def paste(browser: Browser, text: str) -> TestResponse:
    return browser.submit(LEAKS, pasted=text)


def choose(services: Services, organization: Organization, policy: LeakPolicy) -> None:
    with services.db.session() as session:
        services.leaks.set_policy(
            session, organization_id=organization.id, policy=policy, actor=SYSTEM
        )


def report(services: Services, issued: Issued, url: str = URL) -> None:
    record = Record(issued.client_secret, "keyhook_secret", url, "content")
    with services.db.session() as session:
        services.leaks.report(session, record, reporter=Actor("system", "GitHub"))


def regenerate(services: Services, issued: Issued, overlap: timedelta) -> Issued:
    with services.db.session() as session:
        return services.keys.regenerate(
            session,
            issued.key.id,
            organization_id=issued.key.organization_id,
            generation=1,
            actor=SYSTEM,
            overlap=overlap,
        )


def plain(page: TestResponse) -> str:
    """Return a page without what differs from one rendering to the next."""
    return re.sub(r"<input[^>]*csrf_token[^>]*>", "", page.text)


def test_a_secret_that_works_can_be_ended_from_the_answer(
    ada: Browser, issued: Issued, works: Works
) -> None:
    secret = issued.client_secret.reveal()

    page = paste(ada, f"KEYHOOK={issued.key.client_key}:{secret}\n")

    assert page.status_code == 200
    assert "This is yours" in page.text
    assert "Zapier" in page.text
    assert "whoever has it can do what the key may do" in page.text
    assert works(issued.key.client_key, secret), "looking changes nothing"
    [link] = re.findall(r'href="([^"]+how=compromised)"', page.text)
    form = ada.form(link)
    ada.post(Form(form.action, form.values | {"how": "compromised", "hours": "24"}))
    assert not works(issued.key.client_key, secret)


def test_a_secret_is_found_among_many_others_or_nothing_is_said_of_it(
    ada: Browser, issued: Issued
) -> None:
    random, secret = Random(7), issued.client_secret.reveal()
    others = [credentials.generate_access_token(random).reveal() for _ in range(MOST_IN_A_PASTE)]

    page = paste(ada, " ".join([*others[1:], secret]))
    assert "This is yours" in page.text

    page = paste(ada, " ".join([*others, secret]))
    assert page.status_code == 422
    assert "none was looked up. Paste fewer lines at a time." in page.text
    assert NOTHING not in page.text
    assert secret not in page.text


def test_the_answer_says_compromised_when_that_was_chosen(ada: Browser, issued: Issued) -> None:
    path = f"{DEVELOPER}keys/{issued.key.id}/regenerate/"

    def chosen(page: TestResponse) -> list[str]:
        radios = re.findall(r"<input[^>]+type=\"radio\"[^>]*>", page.text)
        return [radio for radio in radios if "checked" in radio]

    [compromised] = chosen(ada.get(f"{path}?how=compromised"))
    [planned] = chosen(ada.get(f"{path}?how=nonsense"))
    assert 'value="compromised"' in compromised
    assert 'value="planned"' in planned


def test_an_old_secret_can_be_ended_and_a_dead_one_needs_nothing(
    ada: Browser, services: Services, issued: Issued, works: Works
) -> None:
    secret = issued.client_secret.reveal()
    regenerate(services, issued, timedelta(hours=4))

    page = paste(ada, secret)
    assert "It is the old secret, and works until" in page.text
    [finish] = [form for form in forms(page) if form.action.endswith("/finish/")]
    ada.post(finish)
    assert not works(issued.key.client_key, secret)
    page = paste(ada, secret)
    assert "It has stopped working. There is nothing to do." in page.text
    assert "compromised" not in page.text


def test_what_was_pasted_is_not_on_the_page_again(ada: Browser, issued: Issued) -> None:
    secret = issued.client_secret.reveal()
    too_long = secret + " " + "x" * 10_000

    for page in (paste(ada, secret), paste(ada, f"{secret}0"), paste(ada, too_long)):
        assert secret not in page.text
    assert paste(ada, too_long).status_code == 422
    assert paste(ada, "").status_code == 422


def test_another_organizations_secret_is_answered_like_any_text(
    ada: Browser, services: Services, works: Works
) -> None:
    with services.db.session() as session:
        other = services.accounts.create_organization(session, name="Southwind", actor=SYSTEM)
        theirs = services.keys.create(session, organization_id=other.id, name="BI", actor=SYSTEM)
    choose(services, other, LeakPolicy.KILL)
    secret = theirs.client_secret.reveal()

    foreign, random = paste(ada, secret), paste(ada, "some text")

    assert NOTHING in foreign.text
    assert plain(foreign) == plain(random)
    assert not works(theirs.key.client_key, secret), "their policy was followed"
    assert "key.leak" not in ada.get(f"{DEVELOPER}audit/").text


def test_whoever_pastes_at_random_has_to_wait(
    ada: Browser, issued: Issued, clock: ManualClock
) -> None:
    for _ in range(FREE_FOR_ACCOUNT):
        assert paste(ada, "khs guess").status_code == 200
    page = paste(ada, issued.client_secret.reveal())

    assert page.status_code == 429
    assert page.headers["Retry-After"] == "1"
    assert "This is yours" not in page.text
    clock.advance(1)
    assert "This is yours" in paste(ada, issued.client_secret.reveal()).text
    assert paste(ada, "khs guess").status_code == 200


def test_a_member_sees_none_of_it(mel: Browser, issued: Issued) -> None:
    for path in (LEAKS, POLICY):
        assert mel.get(path).status_code == 403
    token = mel.get("/settings/account/").text.split('name="csrf_token" value="')[1].split('"')[0]
    secret = issued.client_secret.reveal()

    assert mel.post(Form(LEAKS, {"csrf_token": token, "pasted": secret})).status_code == 403


def test_a_paste_from_elsewhere_is_refused(ada: Browser, issued: Issued) -> None:
    form = Form(LEAKS, {"pasted": issued.client_secret.reveal()})

    assert ada.post(form).status_code == 400


@pytest.mark.parametrize("policy", LeakPolicy, ids=str)
def test_the_policy_is_chosen_and_shown(
    ada: Browser, services: Services, organization: Organization, policy: LeakPolicy
) -> None:
    form = ada.form(POLICY, policy=policy)
    answer = ada.post(form)

    assert answer.status_code == 303
    page = ada.get(answer.location).text
    assert "Saved." in page
    says = {"notify": "nothing is changed", "retire": "ends within a day", "kill": "ends at once"}
    assert says[policy] in page
    with services.db.session() as session:
        assert services.leaks.policy(session, organization.id) is policy


def test_no_other_policy_is_known(ada: Browser) -> None:
    answer = ada.post(ada.form(POLICY, policy="ignore"))

    assert answer.status_code == 422


def test_the_policy_asks_who_it_is_after_a_while(
    ada: Browser, clock: ManualClock, services: Services, organization: Organization
) -> None:
    form = ada.form(POLICY, policy="kill")
    clock.advance(600)
    question = ada.post(form)
    assert "Confirm it's you" in question.text
    with services.db.session() as session:
        assert services.leaks.policy(session, organization.id) is LeakPolicy.NOTIFY

    [asked] = forms(question)
    asked.values["confirm-password"] = PASSWORD
    ada.post(asked)
    with services.db.session() as session:
        assert services.leaks.policy(session, organization.id) is LeakPolicy.KILL


def test_what_was_reported_is_listed_with_its_place(
    ada: Browser, services: Services, issued: Issued, key_page: str
) -> None:
    assert "Nothing was reported so far." in ada.get(LEAKS).text
    report(services, issued)
    report(services, issued, url="javascript:alert(1)")

    for path in (LEAKS, key_page):
        page = ada.get(path).text
        assert f'<a href="{URL}" rel="noreferrer noopener nofollow">' in page
        assert "javascript:alert(1)" in page
        assert 'href="javascript' not in page


def test_the_key_says_that_nobody_holds_its_new_secret(
    ada: Browser, services: Services, issued: Issued, organization: Organization, key_page: str
) -> None:
    assert "Nobody holds" not in ada.get(key_page).text
    choose(services, organization, LeakPolicy.RETIRE)
    report(services, issued)

    page = ada.get(key_page).text
    assert "Nobody holds this key's new secret yet: regenerate to get one." in page
    assert "Nobody has seen it." in page
    assert "works until" in page
    form = ada.form(f"{key_page}regenerate/")
    assert "Nobody holds the present secret." in ada.get(f"{key_page}regenerate/").text
    ada.post(Form(form.action, form.values | {"how": "planned", "hours": "1"}))
    page = ada.get(key_page).text
    assert "Nobody holds" not in page
    assert "Old secret" in page, "what is in use lives on to its own end"


def test_the_key_says_so_also_when_its_leaked_secret_was_killed(
    ada: Browser, services: Services, issued: Issued, organization: Organization, key_page: str
) -> None:
    choose(services, organization, LeakPolicy.KILL)
    report(services, issued)

    page = " ".join(ada.get(key_page).text.split())
    assert "The former one was found in the open and has stopped working." in page


def test_it_says_when_nobody_reports(ada: Browser, services: Services, app: Flask) -> None:
    assert "GitHub's secret scanning reports here" in ada.get(LEAKS).text
    off = replace(services, leak_feed=LeakFeed("", services.clock))
    app.extensions["keyhook"] = off

    assert "takes\n    no reports" in ada.get(LEAKS).text
