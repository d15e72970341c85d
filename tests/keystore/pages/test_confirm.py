"""What cannot be undone wants a password shown within the last ten minutes; nothing gets lost."""

from collections.abc import Callable

import pytest

from keystore import audit
from keystore.clock import ManualClock
from keystore.keys import Issued
from keystore.models import User
from keystore.services import Services
from tests.conftest import PASSWORD
from tests.keystore.pages.browser import DEVELOPER, NEW_KEY, Browser, Form, forms

TEN_MINUTES = 600


def question(text: str) -> bool:
    return "<h1>Confirm it's you</h1>" in text


@pytest.mark.parametrize("view", ["{new}", "{key}regenerate/", "{key}delete/"])
def test_a_page_asks_and_then_opens(
    ada: Browser, clock: ManualClock, key_page: str, view: str
) -> None:
    path = view.format(new=NEW_KEY, key=key_page)
    assert not question(ada.get(path).text)
    clock.advance(TEN_MINUTES)

    page = ada.get(path)
    assert page.status_code == 403
    assert question(page.text)

    answer = ada.submit(path, **{"confirm-password": PASSWORD})
    assert (answer.status_code, answer.location) == (303, path)
    assert not question(ada.get(path).text)


@pytest.mark.parametrize("view", ["", "keys/{id}/", "keys/{id}/rename/"])
def test_what_can_be_undone_asks_for_nothing(
    ada: Browser, clock: ManualClock, issued: Issued, view: str
) -> None:
    clock.advance(TEN_MINUTES)

    assert ada.get(DEVELOPER + view.format(id=issued.key.id)).status_code == 200


def test_a_form_that_was_filled_in_for_long_goes_through_after_the_password(
    ada: Browser, clock: ManualClock
) -> None:
    form = ada.form(NEW_KEY, name="Zapier & <friends>")
    clock.advance(TEN_MINUTES)

    asked = ada.post(form)
    assert question(asked.text)
    assert "khs" not in asked.text
    assert "No keys yet" in ada.get(DEVELOPER).text

    [again] = forms(asked)
    assert again.values["name"] == "Zapier & <friends>"
    again.values["confirm-password"] = PASSWORD
    revealed = ada.post(again)

    assert revealed.status_code == 201
    assert "Zapier &amp; &lt;friends&gt;" in revealed.text


def test_regenerating_and_deleting_keep_their_intent_too(
    ada: Browser,
    clock: ManualClock,
    issued: Issued,
    key_page: str,
    works: Callable[[str, str], bool],
) -> None:
    pair = (issued.key.client_key, issued.client_secret.reveal())
    form = ada.form(f"{key_page}regenerate/", how="compromised")
    clock.advance(TEN_MINUTES)
    [again] = forms(ada.post(form))
    assert works(*pair)
    again.values["confirm-password"] = PASSWORD
    assert "Copy the secret" in ada.post(again).text
    assert not works(*pair)

    form = ada.form(f"{key_page}delete/", name="Zapier")
    clock.advance(TEN_MINUTES)
    [again] = forms(ada.post(form))
    again.values["confirm-password"] = PASSWORD
    answer = ada.post(again)
    assert answer.status_code == 303
    assert "No keys yet" in ada.get(DEVELOPER).text


def test_a_wrong_password_asks_again_and_keeps_what_was_filled_in(
    ada: Browser, clock: ManualClock
) -> None:
    form = ada.form(NEW_KEY, name="Zapier")
    clock.advance(TEN_MINUTES)
    [again] = forms(ada.post(form))

    for wrong in ("", "wrong password", "wrong password"):
        again.values["confirm-password"] = wrong
        page = ada.post(again)
        assert page.status_code == 403
        assert question(page.text)
        assert "wrong password" not in page.text
        [again] = forms(page)
        assert again.values["name"] == "Zapier"

    again.values["confirm-password"] = PASSWORD
    assert ada.post(again).status_code == 201


def test_the_password_of_another_person_will_not_do(
    ada: Browser, clock: ManualClock, member: User, services: Services
) -> None:
    with services.db.session() as session, session.begin():
        session.get_one(User, member.id).password_hash = services.accounts._hasher.hash("mel's own")
    clock.advance(TEN_MINUTES)

    page = ada.submit(NEW_KEY, **{"confirm-password": "mel's own", "confirm-email": member.email})

    assert question(page.text)


def test_the_question_does_not_let_a_forged_form_through(ada: Browser, clock: ManualClock) -> None:
    clock.advance(TEN_MINUTES)
    forged = Form(NEW_KEY, {"name": "X", "confirm-carries": "1", "confirm-password": PASSWORD})

    assert ada.post(forged).status_code == 400
    assert "No keys yet" in ada.get(DEVELOPER).text


def test_a_member_is_refused_and_not_asked(mel: Browser, clock: ManualClock) -> None:
    clock.advance(TEN_MINUTES)

    assert "This page is for admins" in mel.get(NEW_KEY).text


def test_confirming_counts_for_this_browser_alone_and_is_audited(
    ada: Browser, clock: ManualClock, admin: User, services: Services
) -> None:
    other = Browser(ada.client.application)
    other.sign_in(admin.email)
    clock.advance(TEN_MINUTES)
    ada.submit(NEW_KEY, **{"confirm-password": PASSWORD})

    assert question(other.get(NEW_KEY).text)
    with services.db.session() as session:
        last = audit.events(session, admin.organization_id)[-1]
    assert (last.action, last.actor_label) == ("session.confirmed", admin.email)
