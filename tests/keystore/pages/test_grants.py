"""What keys may do, as chosen on the pages by admins and by members."""

import re
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.db import writing
from keystore.keys import Issued
from keystore.models import Key, Organization, User
from keystore.scopes import PRESETS, DataScope, Rights
from keystore.services import Services
from tests.keystore.pages.browser import DEVELOPER, NEW_KEY, Browser, Form, forms

MEMBERS = f"{DEVELOPER}members/"
OUR_ADDRESS = "127.0.0.1"
MINUTE = timedelta(minutes=1)


def found(services: Services, name: str) -> Key:
    with services.db.session() as session, session.begin():
        key = session.scalars(select(Key).where(Key.name == name)).one()
        session.expunge(key)
        return key


def page_of(services: Services, name: str) -> str:
    return f"{DEVELOPER}keys/{found(services, name).id}/"


def rights_in(services: Services, page: str) -> Rights:
    """Return what the pair that a page reveals may do now."""
    pair = re.search(r"(khk[0-9a-z]{20}):(khs[0-9a-z]{59})", page)
    assert pair is not None
    verified = services.verification.by_secret(pair[1], pair[2])
    assert verified is not None
    return verified.rights


def let_members(ada: Browser, *, make_keys: bool) -> None:
    answer = ada.submit(MEMBERS, allowed=["y"] if make_keys else [])
    said = "may make" if make_keys else "may not make"
    assert f"Members {said} personal keys." in ada.get(answer.location).text


@pytest.mark.parametrize("task", PRESETS)
def test_a_key_for_a_task_may_do_what_the_task_needs(
    ada: Browser, services: Services, task: str
) -> None:
    page = ada.submit(NEW_KEY, name="New", task=task, data="org_non_private")

    expected = Rights(PRESETS[task].operations, DataScope.ORG_NON_PRIVATE)
    assert rights_in(services, page.text) == expected


def test_an_own_choice_counts_only_when_it_is_chosen(ada: Browser, services: Services) -> None:
    ticked = ["notes:read"]
    page = ada.submit(NEW_KEY, name="Own", task="own", operations=ticked)
    assert rights_in(services, page.text).operations == {"notes:read"}

    page = ada.submit(NEW_KEY, name="Preset", task="ingest", operations=ticked)
    assert rights_in(services, page.text).operations == PRESETS["ingest"].operations


def test_the_form_offers_what_every_data_scope_shows(ada: Browser) -> None:
    page = ada.get(NEW_KEY).text

    for title in (
        "User - limited access",
        "User - full access",
        "Organization - limited access",
        "Organization - full access",
    ):
        assert title in page
    assert "without the private ones" in page
    assert "Legacy" not in page


def test_a_personal_key_names_its_person(ada: Browser, services: Services, member: User) -> None:
    page = ada.submit(NEW_KEY, name="Mel's", data="user_full")
    assert page.status_code == 422
    assert "Choose whose meetings the key sees." in page.text

    page = ada.submit(NEW_KEY, name="Mel's", data="user_full", person=str(member.id))
    assert rights_in(services, page.text).person == member.email
    listed = ada.get(DEVELOPER).text
    assert "User - full access" in listed
    assert "· Mel" in listed


def test_a_person_chosen_for_a_key_of_the_organization_does_not_matter(
    ada: Browser, services: Services, member: User
) -> None:
    page = ada.submit(NEW_KEY, name="All", data="org_full", person=str(member.id))

    assert rights_in(services, page.text).person is None


def test_a_key_without_anything_to_do_is_not_made(ada: Browser) -> None:
    page = ada.submit(NEW_KEY, name="Idle", task="own", operations=[])

    assert page.status_code == 422
    assert "Tick at least one thing" in page.text


def test_a_key_is_made_with_its_end_and_its_networks(ada: Browser, services: Services) -> None:
    ada.submit(
        NEW_KEY, name="Tight", expires_at="2026-02-01T12:00", networks="203.0.113.7\n2001:db8::/32"
    )

    key = found(services, "Tight")
    assert key.networks == ["203.0.113.7/32", "2001:db8::/32"]
    assert f"{key.expires_at:%Y-%m-%d %H:%M}" == "2026-02-01 12:00"
    assert "· 2 networks" in ada.get(DEVELOPER).text


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ({"expires_at": "2001-01-01T00:00"}, "The expiry must be in the future."),
        ({"networks": "the office"}, "give networks like"),
        ({"task": "everything"}, "Not a valid choice"),
        ({"data": "legacy"}, "Not a valid choice"),
        ({"task": "own", "operations": ["everything"]}, "not a valid choice"),
    ],
)
def test_what_cannot_be_is_said_at_its_field_and_nothing_is_made(
    ada: Browser, typed: dict[str, str | list[str]], says: str
) -> None:
    page = ada.submit(NEW_KEY, name="Never", **typed)

    assert page.status_code == 422
    assert says in page.text
    assert "No keys yet" in ada.get(DEVELOPER).text


def test_scopes_change_without_a_new_credential(
    ada: Browser, services: Services, issued: Issued, key_page: str, member: User
) -> None:
    form = ada.form(f"{key_page}scopes/")
    assert (form.values["task"], form.values["data"]) == ("connect", "org_full")

    form.values |= {"task": "analyse", "data": "user_non_private", "person": str(member.id)}
    page = ada.get(ada.post(form).location).text

    assert "The scopes were changed. The credential stays as it is." in page
    assert "User - limited access" in page
    assert member.email in page
    verified = services.verification.by_secret(issued.key.client_key, issued.client_secret.reveal())
    assert verified is not None
    assert verified.rights == Rights(
        PRESETS["analyse"].operations, DataScope.USER_NON_PRIVATE, member.email
    )
    form = ada.form(f"{key_page}scopes/")
    assert form.values["person"] == str(member.id)
    assert form.values["task"] == "analyse"


def test_trying_a_choice_tells_what_it_would_see_and_saves_nothing(
    ada: Browser, services: Services, key_page: str
) -> None:
    for path in (f"{key_page}scopes/", NEW_KEY):
        form = ada.form(path, name="Try", task="analyse", data="org_non_private")
        form.values["trial"] = "Try"
        page = ada.post(form)

        assert page.status_code == 200
        assert re.search(r"would see\s+0 meetings, of which\s+0 private", page.text)
        assert forms(page)[0].values["data"] == "org_non_private"
    assert found(services, "Zapier").data_scope is DataScope.ORG_FULL


def test_a_legacy_key_is_marked_and_may_stay_one(
    ada: Browser, services: Services, issued: Issued, key_page: str
) -> None:
    with services.db.session() as session, writing(session):
        session.execute(update(Key).values(data_scope=DataScope.LEGACY))
    assert '<span class="tag">Legacy</span>' in ada.get(DEVELOPER).text
    assert '<span class="tag">Legacy</span>' in ada.get(key_page).text

    form = ada.form(f"{key_page}scopes/", task="analyse")
    assert form.values["data"] == "legacy"
    ada.post(form)
    assert found(services, "Zapier").data_scope is DataScope.LEGACY

    ada.submit(f"{key_page}scopes/", data="org_full")
    assert "legacy" not in ada.get(f"{key_page}scopes/").text


def test_scopes_that_the_role_does_not_reach_are_told(
    ada: Browser, key_page: str, member: User
) -> None:
    ada.submit(f"{key_page}scopes/", task="manage", data="user_full", person=str(member.id))

    assert "(not while Mel is a member)" in ada.get(key_page).text


def test_networks_are_kept_and_taken_away(ada: Browser, services: Services, key_page: str) -> None:
    assert f"You are at <code>{OUR_ADDRESS}</code>" in ada.get(f"{key_page}networks/").text
    answer = ada.submit(f"{key_page}networks/", networks="203.0.113.0/24\n\n 2001:db8::1 ")
    assert "203.0.113.0/24" in ada.get(answer.location).text
    form = ada.form(f"{key_page}networks/")
    assert form.values["networks"] == "203.0.113.0/24\n2001:db8::1/128"

    wrong = ada.submit(f"{key_page}networks/", networks="10.1.2.3/8")
    assert wrong.status_code == 422
    assert "has host bits set" in wrong.text
    assert found(services, "Zapier").networks == ["203.0.113.0/24", "2001:db8::1/128"]

    answer = ada.submit(f"{key_page}networks/", networks="")
    assert "can be used from anywhere" in ada.get(answer.location).text
    assert found(services, "Zapier").networks is None


def test_who_shuts_out_the_last_caller_is_told(
    ada: Browser, services: Services, issued: Issued, key_page: str
) -> None:
    verified = services.verification.by_secret(issued.key.client_key, issued.client_secret.reveal())
    assert verified is not None
    services.uses.note(verified, address="198.51.100.7", agent="Zapier")
    services.uses.flush(services.db)

    assert "198.51.100.7" in ada.get(f"{key_page}networks/").text
    answer = ada.submit(f"{key_page}networks/", networks="198.51.100.0/24")
    assert "refused now" not in ada.get(answer.location).text
    answer = ada.submit(f"{key_page}networks/", networks="203.0.113.0/24")
    said = ada.get(answer.location).text
    assert "It was last used from 198.51.100.7, which is in none of them: refused now." in said


@pytest.mark.parametrize("leaf", ["scopes/", "networks/"])
def test_an_expired_key_keeps_its_grants(
    ada: Browser,
    services: Services,
    clock: ManualClock,
    issued: Issued,
    key_page: str,
    leaf: str,
) -> None:
    ada.submit(f"{key_page}expiry/", expires_at=f"{clock.now() + MINUTE:%Y-%m-%dT%H:%M}")
    form = ada.form(key_page + leaf, networks="203.0.113.7", data="org_non_private")
    clock.advance(60)
    secret = issued.client_secret.reveal()
    assert services.verification.by_secret(issued.key.client_key, secret) is None

    page = ada.post(form)

    assert page.status_code == 409
    assert "This key has expired" in page.text
    assert found(services, "Zapier").networks is None
    assert found(services, "Zapier").data_scope is DataScope.ORG_FULL


@pytest.mark.parametrize("leaf", ["scopes/", "networks/"])
def test_changing_grants_asks_who_it_is_after_a_while(
    ada: Browser, clock: ManualClock, key_page: str, leaf: str
) -> None:
    form = ada.form(key_page + leaf)
    clock.advance(600)

    assert "Confirm it's you" in ada.post(form).text


# --- members --------------------------------------------------------------------------------------


def test_members_have_no_keys_until_the_organization_lets_them(ada: Browser, mel: Browser) -> None:
    assert mel.get(DEVELOPER).status_code == 403
    assert "Members can't make personal keys." in ada.get(DEVELOPER).text.replace("&#39;", "'")

    let_members(ada, make_keys=True)
    page = mel.get(DEVELOPER).text
    assert "No keys yet" in page
    assert "Audit log" not in page
    assert "Found a key?" not in page


def test_only_an_admin_changes_that(ada: Browser, mel: Browser, clock: ManualClock) -> None:
    assert mel.get(MEMBERS).status_code == 403
    form = ada.form(MEMBERS, allowed=["y"])
    clock.advance(600)
    assert "Confirm it's you" in ada.post(form).text


def test_a_member_lives_with_a_key_of_their_own(
    ada: Browser, mel: Browser, services: Services, issued: Issued, key_page: str, member: User
) -> None:
    let_members(ada, make_keys=True)
    form = mel.form(NEW_KEY, name="Mel's", task="connect", data="user_non_private")
    assert "person" not in form.values
    assert "keys:manage" not in mel.get(NEW_KEY).text
    assert "Organization - " not in mel.get(NEW_KEY).text
    page = mel.post(form)
    assert rights_in(services, page.text) == Rights(
        PRESETS["connect"].operations, DataScope.USER_NON_PRIVATE, member.email
    )

    mels = page_of(services, "Mel's")
    listed = mel.get(DEVELOPER).text
    assert mels in listed
    assert key_page not in listed
    assert mel.get(key_page).status_code == 404
    assert mels in ada.get(DEVELOPER).text

    assert mel.submit(f"{mels}rename/", name="Mine").status_code == 303
    assert "Copy the secret" in mel.submit(f"{mels}regenerate/", how="planned", hours="1").text
    for act in ("finish/", "disable/", "enable/"):
        [button] = [form for form in forms(mel.get(mels)) if form.action.endswith(act)]
        assert mel.post(button).status_code == 303, act
    assert mel.submit(f"{mels}delete/", name="Mine").status_code == 303
    assert "No keys yet" in mel.get(DEVELOPER).text


def test_a_member_asks_in_vain_for_more(
    ada: Browser, mel: Browser, services: Services, organization: Organization, key_page: str
) -> None:
    let_members(ada, make_keys=True)
    for beyond in ({"data": "org_full"}, {"task": "manage"}, {"operations": ["keys:manage"]}):
        page = mel.post(mel.form(NEW_KEY, **{"name": "More", "task": "own", **beyond}))  # type: ignore[arg-type]
        assert page.status_code == 422, beyond
    for leaf in ("", "rename/", "regenerate/", "delete/", "expiry/", "scopes/", "networks/"):
        assert mel.get(key_page + leaf).status_code == 404, leaf
    [form] = forms(mel.get(NEW_KEY))
    for leaf in ("finish/", "disable/", "enable/", "delete/", "rename/"):
        values = {"csrf_token": form.values["csrf_token"], "name": "Zapier"}
        assert mel.post(Form(key_page + leaf, values)).status_code == 404, leaf
    assert found(services, "Zapier").deleted_at is None


def test_when_the_leave_is_taken_back_keys_work_on_and_can_only_be_ended(
    ada: Browser, mel: Browser, services: Services, member: User
) -> None:
    let_members(ada, make_keys=True)
    page = mel.submit(NEW_KEY, name="Mel's").text
    late = mel.form(NEW_KEY, name="Late")
    assert "There is 1 at the moment" in ada.get(MEMBERS).text
    let_members(ada, make_keys=False)

    assert rights_in(services, page).person == member.email
    listed = mel.get(DEVELOPER).text
    assert "does not let members have keys of their own" in listed
    assert "Add a key" not in listed
    refused = mel.post(late)
    assert refused.status_code == 403
    assert "This takes an admin" in refused.text

    mels = page_of(services, "Mel's")
    assert mel.submit(f"{mels}rename/", name="Mine").status_code == 403
    shown = mel.get(mels).text
    assert "Regenerate" not in shown
    assert "Rename" not in shown
    [disable] = [form for form in forms(mel.get(mels)) if form.action.endswith("disable/")]
    assert mel.post(disable).status_code == 303
    assert mel.submit(f"{mels}delete/", name="Mel's").status_code == 303
    assert mel.get(DEVELOPER).status_code == 403, "there is nothing left for her to see"


def test_an_admin_ends_a_members_key(ada: Browser, mel: Browser, services: Services) -> None:
    let_members(ada, make_keys=True)
    mel.submit(NEW_KEY, name="Mel's")
    mels = page_of(services, "Mel's")

    [disable] = [form for form in forms(ada.get(mels)) if form.action.endswith("disable/")]
    ada.post(disable)
    shown = mel.get(mels)
    assert "until an admin enables it" in shown.text
    [delete] = forms(mel.get(f"{mels}delete/"))
    enable = Form(f"{mels}enable/", {"csrf_token": delete.values["csrf_token"]})
    assert enable.action not in shown.text
    assert mel.post(enable).status_code == 403, "what an admin disabled, an admin wakes"
    assert ada.submit(f"{mels}delete/", name="Mel's").status_code == 303
    assert "No keys yet" in mel.get(DEVELOPER).text


def test_who_made_a_key_of_the_organization_and_left_is_marked(
    ada: Browser, app: Flask, services: Services, issued: Issued, member: User
) -> None:
    with services.db.session() as session:
        services.keys.create(
            session,
            organization_id=member.organization_id,
            name="Left behind",
            created_by=member.id,
            actor=SYSTEM,
        )
        services.people.deactivate(
            session, member.id, organization_id=member.organization_id, actor=SYSTEM
        )

    assert "by somebody who has left" in ada.get(DEVELOPER).text
    assert "Made by somebody who has left" in ada.get(page_of(services, "Left behind")).text
    assert "somebody who has left" not in ada.get(f"{DEVELOPER}keys/{issued.key.id}/").text
