"""The life of a key as an admin's browser sees it."""

import re
from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from keystore import audit
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.credentials import SecretValue
from keystore.keys import Issued
from keystore.models import Organization, User
from keystore.services import Services
from tests.conftest import PASSWORD
from tests.keystore.pages.browser import DEVELOPER, NEW_KEY, Browser, forms

SECRET = re.compile(r"khs[0-9a-z]{59}")
Works = Callable[[str, str], bool]


def secret_in(response: TestResponse) -> str:
    """Return the one secret that a page shows."""
    [secret] = set(SECRET.findall(response.text))
    return str(secret)


def client_key_in(response: TestResponse) -> str:
    [client_key] = set(re.findall(r"khk[0-9a-z]{20}", response.text))
    return str(client_key)


def test_an_empty_list_says_what_a_key_is_for_and_how_to_begin(ada: Browser) -> None:
    page = ada.get(DEVELOPER).text

    assert "No keys yet" in page
    assert "Zapier" in page
    assert f'href="{NEW_KEY}"' in page


def test_a_new_key_is_shown_with_a_secret_that_works(ada: Browser, works: Works) -> None:
    page = ada.submit(NEW_KEY, name="Zapier")

    assert page.status_code == 201
    client_key, secret = client_key_in(page), secret_in(page)
    assert works(client_key, secret)
    assert f"{client_key}:{secret}" in page.text
    assert "shown this one time" in page.text
    assert page.headers["Cache-Control"] == "no-store"


def test_the_list_shows_name_client_key_day_and_creator(ada: Browser) -> None:
    client_key = client_key_in(ada.submit(NEW_KEY, name="Zapier"))

    page = ada.get(DEVELOPER).text

    assert "Zapier" in page
    assert client_key in page
    assert "1 Jan 2026" in page
    assert "by Ada" in page


def test_no_other_page_and_no_cookie_holds_the_secret(ada: Browser, issued: Issued) -> None:
    revealed = ada.submit(NEW_KEY, name="Reports")
    secret = secret_in(revealed)
    key_pages = re.findall(r"keys/[0-9a-f-]{36}/", ada.get(DEVELOPER).text)

    pages = [DEVELOPER, NEW_KEY]
    for page in set(key_pages):
        pages += [DEVELOPER + page + leaf for leaf in ("", "rename/", "regenerate/", "delete/")]
    assert len(pages) == 2 + 2 * 4
    for page in pages:
        assert not SECRET.search(ada.get(page).text), page
    assert secret not in ada.cookie()
    assert secret not in str(revealed.headers)
    assert issued.client_secret.reveal() not in revealed.text


def test_sending_the_form_twice_makes_one_key_and_shows_no_second_secret(
    ada: Browser, services: Services, organization: Organization
) -> None:
    form = ada.form(NEW_KEY, name="Zapier")
    secret_in(ada.post(form))

    again = ada.post(form)

    assert again.status_code == 303
    page = ada.get(again.location)
    assert "This key is in place" in page.text
    assert "regenerate it" in page.text
    assert not SECRET.search(page.text)
    with services.db.session() as session:
        assert len(services.keys.list(session, organization.id, actor=SYSTEM)) == 1


def test_a_form_sent_again_after_the_key_was_deleted_does_not_bring_it_back(
    ada: Browser, services: Services, organization: Organization
) -> None:
    form = ada.form(NEW_KEY, name="Zapier")
    ada.post(form)
    with services.db.session() as session:
        [key] = services.keys.list(session, organization.id, actor=SYSTEM)
        services.keys.delete(session, key.id, organization_id=organization.id, actor=SYSTEM)

    page = ada.client.post(form.action, data=form.values, follow_redirects=True)

    assert page.status_code == 404
    assert "This key doesn't exist any more" in page.text.replace("&#39;", "'")


def test_a_tampered_key_id_is_refused(ada: Browser) -> None:
    page = ada.submit(NEW_KEY, name="Zapier", key_id="1; DROP TABLE keys")

    assert page.status_code == 400
    assert "Nothing was changed" in page.text


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("", "Give the key a name"),
        ("   ", "Give a name of 1 to 80 visible characters."),
        ("x" * 81, "Give a name of 1 to 80 visible characters."),
        ("Zap\u200bier", "Give a name of 1 to 80 visible characters."),
        ("Zapier", "Another key has this name already"),
    ],
)
@pytest.mark.parametrize("leaf", ["new/", "{other}/rename/"])
def test_a_bad_name_is_explained_next_to_the_field(
    ada: Browser, issued: Issued, name: str, complaint: str, leaf: str
) -> None:
    assert issued.key.name == "Zapier"
    other = ada.submit(NEW_KEY, name="Reports")
    [key_id] = re.findall(r'data-reveal=".*keys/([0-9a-f-]{36})/"', other.text)

    page = ada.submit(f"{DEVELOPER}keys/{leaf.format(other=key_id)}", name=name)

    assert page.status_code == 422
    assert re.search(rf'id="name-error">{re.escape(complaint)}', page.text)
    assert 'aria-invalid="true"' in page.text
    assert 'aria-describedby="name-help name-error"' in page.text
    [form] = forms(page)
    assert form.values["name"] == name


def test_a_corrected_form_makes_the_key_it_was_opened_for(ada: Browser, issued: Issued) -> None:
    first = ada.form(NEW_KEY, name=issued.key.name)
    [form] = forms(ada.post(first))
    assert form.values["key_id"] == first.values["key_id"]

    form.values["name"] = "Reports"

    assert ada.post(form).status_code == 201


@pytest.mark.parametrize("name", ['<script>alert(1)</script>"', "'><img src=x onerror=y>"])
def test_a_name_is_text_and_never_markup(ada: Browser, name: str) -> None:
    revealed = ada.submit(NEW_KEY, name=name)
    [key_page] = re.findall(r'data-reveal="([^"]+)"', revealed.text)

    pages = [revealed] + [ada.get(key_page + leaf) for leaf in ("", "rename/", "delete/")]
    renamed = ada.submit(f"{key_page}rename/", name=name + "!")
    pages += [ada.get(renamed.location)]  # holds the notice as well
    for page in pages:
        assert name not in page.text
        assert "&lt;" in page.text
        assert "onerror=y>" not in page.text.replace("onerror=y&gt;", "")


def test_renaming_changes_the_name_and_leaves_the_credential_alone(
    ada: Browser, issued: Issued, key_page: str, works: Works
) -> None:
    answer = ada.submit(f"{key_page}rename/", name="  Zapier, sales  ")

    assert answer.status_code == 303
    page = ada.get(answer.location).text
    assert "Renamed to “Zapier, sales”" in page
    assert works(issued.key.client_key, issued.client_secret.reveal())


def test_the_pencil_gets_json(ada: Browser, key_page: str) -> None:
    ada.submit(NEW_KEY, name="Reports")
    [*_, form] = forms(ada.get(DEVELOPER))
    assert form.action == f"{key_page}rename/"

    form.values["name"] = " Zapier 2 "
    renamed = ada.post(form, Accept="application/json")
    form.values["name"] = "Reports"
    refused = ada.post(form, Accept="application/json")

    assert renamed.json == {"name": "Zapier 2"}
    assert refused.status_code == 422
    assert refused.json == {"error": "Another key has this name already; choose a different one."}


def test_regenerating_says_first_what_will_happen(ada: Browser, key_page: str) -> None:
    page = ada.get(f"{key_page}regenerate/").text

    assert "goes on working for a while" in page
    assert "stops working now" in page
    assert "shown once on the next page" in page
    assert "has not been used yet" in page


def test_regenerating_replaces_the_secret_at_once(
    ada: Browser, issued: Issued, key_page: str, works: Works
) -> None:
    page = ada.submit(f"{key_page}regenerate/", how="compromised", hours="24")

    assert page.status_code == 200
    assert page.headers["Cache-Control"] == "no-store"
    assert client_key_in(page) == issued.key.client_key
    assert works(issued.key.client_key, secret_in(page))
    assert not works(issued.key.client_key, issued.client_secret.reveal())


def test_a_planned_regeneration_leaves_the_old_secret_at_work_until_it_is_finished(
    ada: Browser, issued: Issued, key_page: str, works: Works, clock: ManualClock
) -> None:
    old = issued.client_secret.reveal()
    new = secret_in(ada.submit(f"{key_page}regenerate/", how="planned", hours="4"))
    assert works(issued.key.client_key, old)
    assert works(issued.key.client_key, new)
    assert "Old secret" in ada.get(key_page).text

    [finish, _disable] = forms(ada.get(key_page))
    assert ada.post(finish).status_code == 303

    assert not works(issued.key.client_key, old)
    assert works(issued.key.client_key, new)
    assert "Old secret" not in ada.get(key_page).text


def test_in_an_overlap_the_page_tells_which_secret_is_still_used_when_and_from_where(
    ada: Browser, issued: Issued, key_page: str, services: Services, clock: ManualClock
) -> None:
    ada.submit(f"{key_page}regenerate/", how="planned", hours="4")
    clock.advance(3600)
    old_secret = issued.client_secret.reveal()
    caller = services.verification.by_secret(issued.key.client_key, old_secret)
    assert caller is not None
    services.uses.note(caller, address="198.51.100.7", agent="Zapier")
    services.uses.flush(services.db)

    new, old = ada.get(key_page).text.split("Old secret")

    assert "Not used yet." in new
    assert re.search(r"Last used .*1 Jan 2026, 01:00.* from 198\.51\.100\.7\.", old)


def test_an_overlap_ends_by_itself(
    ada: Browser, issued: Issued, key_page: str, works: Works, clock: ManualClock
) -> None:
    new = secret_in(ada.submit(f"{key_page}regenerate/", how="planned", hours="1"))
    clock.advance(3600)

    assert not works(issued.key.client_key, issued.client_secret.reveal())
    assert works(issued.key.client_key, new)


def test_a_key_is_disabled_and_enabled(
    ada: Browser, issued: Issued, key_page: str, works: Works
) -> None:
    secret = issued.client_secret.reveal()
    [disable] = forms(ada.get(key_page))
    assert ada.post(disable).status_code == 303
    assert not works(issued.key.client_key, secret)
    assert "This key is disabled" in ada.get(key_page).text
    again = ada.submit(f"{key_page}regenerate/", how="compromised", hours="24")
    assert again.status_code == 409

    [enable] = forms(ada.get(key_page))
    assert ada.post(enable).status_code == 303

    assert works(issued.key.client_key, secret)


def test_a_key_expires_at_the_moment_that_was_set(
    ada: Browser, issued: Issued, key_page: str, works: Works, clock: ManualClock
) -> None:
    ahead = f"{clock.now() + timedelta(days=1):%Y-%m-%dT%H:%M}"
    behind = f"{clock.now() - timedelta(days=1):%Y-%m-%dT%H:%M}"
    refused = ada.submit(f"{key_page}expiry/", expires_at=behind)
    assert refused.status_code == 422
    assert "must be in the future" in refused.text
    assert ada.submit(f"{key_page}expiry/", expires_at=ahead).status_code == 303
    assert works(issued.key.client_key, issued.client_secret.reveal())

    clock.advance(timedelta(days=1))

    assert not works(issued.key.client_key, issued.client_secret.reveal())


def test_a_deleted_key_is_listed_under_a_filter(
    ada: Browser, issued: Issued, key_page: str
) -> None:
    ada.submit(f"{key_page}delete/", name="Zapier")

    assert issued.key.client_key not in ada.get(DEVELOPER).text
    assert issued.key.client_key in ada.get(f"{DEVELOPER}?show=deleted").text


def test_a_stale_regeneration_is_a_calm_conflict(
    ada: Browser, issued: Issued, key_page: str, works: Works
) -> None:
    form = ada.form(f"{key_page}regenerate/", how="compromised", hours="24")
    secret = secret_in(ada.post(form))

    again = ada.post(form)

    assert again.status_code == 409
    assert "Already regenerated" in again.text
    assert not SECRET.search(again.text)
    assert works(issued.key.client_key, secret)


@pytest.mark.parametrize("generation", ["", "one", "1.5"])
def test_a_tampered_generation_is_refused(ada: Browser, key_page: str, generation: str) -> None:
    assert (
        ada.submit(
            f"{key_page}regenerate/", generation=generation, how="planned", hours="1"
        ).status_code
        == 400
    )


def test_deleting_wants_the_name(ada: Browser, issued: Issued, key_page: str, works: Works) -> None:
    page = ada.submit(f"{key_page}delete/", name="zapier")

    assert page.status_code == 422
    assert "is not the name of this key" in page.text
    assert works(issued.key.client_key, issued.client_secret.reveal())


def test_s2_a_secret_typed_for_the_name_is_not_shown_again(
    ada: Browser, issued: Issued, key_page: str
) -> None:
    page = ada.submit(f"{key_page}delete/", name=issued.client_secret.reveal())

    assert page.status_code == 422
    assert issued.client_secret.reveal() not in page.text


def test_deleting_ends_the_key(ada: Browser, issued: Issued, key_page: str, works: Works) -> None:
    answer = ada.submit(f"{key_page}delete/", name=issued.key.name)

    assert answer.status_code == 303
    page = ada.get(answer.location).text
    assert "Deleted “Zapier”" in page
    assert issued.key.client_key not in page
    assert not works(issued.key.client_key, issued.client_secret.reveal())
    assert ada.get(key_page).status_code == 404


@pytest.mark.parametrize("leaf", ["", "rename/", "regenerate/", "delete/"])
def test_a_key_of_another_organization_is_not_there(
    ada: Browser, services: Services, leaf: str
) -> None:
    with services.db.session() as session:
        other = services.accounts.create_organization(session, name="Elsewhere", actor=SYSTEM)
        theirs = services.keys.create(
            session, organization_id=other.id, name="Theirs", actor=SYSTEM
        ).key
    for key_id in (theirs.id, uuid4()):
        page = ada.get(f"{DEVELOPER}keys/{key_id}/{leaf}")
        assert page.status_code == 404
        assert "Theirs" not in page.text


def test_a_foreign_key_id_in_the_form_gives_nothing_away(ada: Browser, services: Services) -> None:
    with services.db.session() as session:
        other = services.accounts.create_organization(session, name="Elsewhere", actor=SYSTEM)
        theirs = services.keys.create(
            session, organization_id=other.id, name="Theirs", actor=SYSTEM
        ).key
    form = ada.form(NEW_KEY, name="Mine", key_id=str(theirs.id))

    page = ada.client.post(form.action, data=form.values, follow_redirects=True)

    assert page.status_code == 404
    assert "Theirs" not in page.text


def test_what_an_admin_did_is_on_record_with_name_and_address(
    ada: Browser, admin: User, services: Services, organization: Organization
) -> None:
    ada.submit(NEW_KEY, name="Zapier")

    with services.db.session() as session:
        event = audit.events(session, organization.id)[-1]
    assert event.action == "key.created"
    assert (event.actor_kind, event.actor_label) == ("user", admin.email)
    assert event.actor_id == str(admin.id)
    assert event.address == "127.0.0.1"


def test_a_creator_who_has_left_is_not_named(
    app: Flask, ada: Browser, services: Services, admin: User
) -> None:
    ada.submit(NEW_KEY, name="Zapier")
    with services.db.session() as session, session.begin():
        session.get_one(User, admin.id).is_active = False
    with services.db.session() as session:
        eve = services.accounts.create_user(
            session,
            organization_id=admin.organization_id,
            email="eve@northwind.example",
            name="Eve",
            role=admin.role,
            password=SecretValue(PASSWORD),
            actor=SYSTEM,
        )
    browser = Browser(app)
    browser.sign_in(eve.email)

    assert "by somebody who has left" in browser.get(DEVELOPER).text


def test_the_list_says_which_keys_end_soon(
    ada: Browser, services: Services, organization: Organization, clock: ManualClock
) -> None:
    for name, days in {"Make": 1 / 24, "Zapier": 5, "n8n": 40}.items():
        with services.db.session() as session:
            services.keys.create(
                session,
                organization_id=organization.id,
                name=name,
                expires_at=clock.now() + timedelta(days=days),
                actor=SYSTEM,
            )
    assert re.findall(r"Expires in [^<]*", ada.get(DEVELOPER).text) == [
        "Expires in 1 hour",
        "Expires in 5 days",
    ]
    clock.advance(timedelta(hours=1))
    page = ada.get(DEVELOPER).text
    assert "Expires in 1 hour" not in page
    assert ">Expired</span>" in page
