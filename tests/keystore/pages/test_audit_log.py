"""The audit log as an admin reads it: what was done, what was refused, filtered and exported."""

import csv
import io
import json
import re

import pytest
from werkzeug.test import TestResponse

from keystore import audit, trail
from keystore.audit import Actor
from keystore.clock import ManualClock
from keystore.db import writing
from keystore.errors import NameTaken
from keystore.keys import Issued
from keystore.models import Organization, User
from keystore.services import Services
from tests.keystore.pages.browser import DEVELOPER, NEW_KEY, Browser, forms

LOG = f"{DEVELOPER}audit-log/"
AGENT = "Firefox/150.0"


def numbers(page: TestResponse) -> list[int]:
    return [int(number) for number in re.findall(r'id="row-(\d+)"', page.text)]


def words(page: TestResponse) -> str:
    """Return what a person reads on the page, on one line."""
    table = page.text.partition("<tbody>")[2].partition("</tbody>")[0]
    return " ".join(re.sub(r"<[^>]+>", " ", table).split())


@pytest.fixture
def many(services: Services, organization: Organization, clock: ManualClock) -> None:
    """More than fits a page."""
    with services.db.session() as session, writing(session):
        for number in range(trail.PAGE_SIZE * 2):
            audit.record(
                session,
                clock.now(),
                Actor("cli", "root"),
                "thing.done",
                organization_id=organization.id,
                subject_type="organization",
                subject_id=organization.id,
                number=number,
            )


def test_a_change_shows_who_from_where_with_what_before_and_after(
    ada: Browser, issued: Issued, key_page: str, admin: User
) -> None:
    ada.client.environ_base["HTTP_USER_AGENT"] = AGENT
    ada.submit(f"{key_page}rename/", name="Zapier (sales)")

    page = ada.get(LOG)

    top = words(page).partition("Key created")[0]
    assert "Key renamed" in top
    assert "name: Zapier name: Zapier (sales)" in top
    for shown in (admin.email, "127.0.0.1", AGENT, "1 Jan 2026, 00:00:00"):
        assert shown in top


def test_refused_attempts_are_on_the_page_and_never_hold_what_was_pasted(
    ada: Browser, mel: Browser, issued: Issued, key_page: str, member: User
) -> None:
    secret = issued.client_secret.reveal()
    stale = ada.form(f"{key_page}regenerate/")
    ada.submit(f"{key_page}delete/", name=secret)
    ada.submit(NEW_KEY, name="Zapier")
    renewed = ada.post(stale).text
    ada.post(stale)
    mel.get(key_page)
    token = re.search(r'name="csrf_token" value="([^"]+)"', mel.get(NEW_KEY).text)
    assert token is not None
    mel.post(forms(ada.get(NEW_KEY))[0].__class__(NEW_KEY, {"csrf_token": token[1]}))

    page = ada.get(LOG)

    text = words(page)
    for shown in (
        "Key deleted Refused: name mismatch Zapier",
        "Key created Refused: name taken",
        "Key regenerated Refused: generation conflict Zapier Generation: 1",
        f"Page opened Refused: admins only Path: {key_page} {member.email}",
        f"Form sent Refused: admins only Path: {NEW_KEY} {member.email}",
    ):
        assert shown in text
    [new] = set(re.findall(r"khs[0-9a-z]{59}", renewed))
    for form in ("csv", "jsonl"):
        exported = ada.get(f"{LOG}export/{form}/").text
        for text in (page.text, exported):
            assert secret not in text
            assert new not in text


# 3 and 8 are the admin's sign-ins.
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {1, 2, 3, 4, 5, 6, 7, 8}),
        ("action=key.created", {4, 5, 7}),
        ("key={key}", {4, 6}),
        ("actor=ADA%40", {3, 6, 7, 8}),
        ("actor=%25", set()),
        ("outcome=refused", {7}),
        ("outcome=done&action=key.renamed", {6}),
        ("from=2026-01-02", {6, 7, 8}),
        ("to=2026-01-01", {1, 2, 3, 4, 5}),
        ("from=2026-01-01&to=9999-12-31", {1, 2, 3, 4, 5, 6, 7, 8}),
        ("action=key.flown", set()),
        ("before=3", {1, 2}),
        ("before=99999999999999999999", {1, 2, 3, 4, 5, 6, 7, 8}),
    ],
)
def test_the_filter_shows_and_exports_what_is_asked_for(
    ada: Browser,
    issued: Issued,
    services: Services,
    organization: Organization,
    clock: ManualClock,
    admin: User,
    query: str,
    expected: set[int],
) -> None:
    actor = Actor("user", admin.email, id=str(admin.id))
    with services.db.session() as session:
        services.keys.create(
            session, organization_id=organization.id, name="n8n", actor=Actor("cli", "root")
        )
        clock.advance(24 * 3600 - 1)
        clock.advance(1)
        services.keys.rename(
            session, issued.key.id, organization_id=organization.id, name="Sales", actor=actor
        )
        with pytest.raises(NameTaken):
            services.keys.create(
                session, organization_id=organization.id, name="Sales", actor=actor
            )
    query = query.format(key=issued.key.id)
    ada.sign_in(admin.email)  # a day has gone by

    page = ada.get(f"{LOG}?{query}")
    exported = ada.get(f"{LOG}export/jsonl/?{query}")

    assert numbers(page) == sorted(expected, reverse=True)
    assert [json.loads(line)["seq"] for line in exported.text.splitlines()] == sorted(expected)
    assert ("Nothing here" in page.text) == (not expected)


@pytest.mark.parametrize(
    "query", ["key=zapier", "outcome=odd", "from=yesterday", "to=1", "before=x", "actor=%00"]
)
def test_what_cannot_be_meant_is_a_calm_refusal(ada: Browser, query: str) -> None:
    page = ada.get(f"{LOG}?{query}")

    assert page.status_code == 400
    assert "Nothing was changed" in page.text


@pytest.mark.parametrize("name", ["before", "after"])
@pytest.mark.parametrize("number", [-(10**20), -(2**63) - 1, 2**63, 10**20])
def test_a_number_beyond_all_rows_is_no_error(
    ada: Browser, issued: Issued, name: str, number: int
) -> None:
    page = ada.get(f"{LOG}?{name}={number}")
    exported = ada.get(f"{LOG}export/jsonl/?{name}={number}")

    assert (page.status_code, exported.status_code) == (200, 200)
    is_none = (name == "before") == (number < 0)
    assert (numbers(page) == []) == (exported.text == "") == is_none


@pytest.mark.usefixtures("many")
def test_older_pages_follow_without_a_gap_and_keep_the_filter(ada: Browser) -> None:
    seen, path = [], f"{LOG}?action=thing.done"
    while path:
        page = ada.get(path)
        seen.append(numbers(page))
        link = re.search(r'rel="next" href="([^"]+)"', page.text)
        path = "" if link is None else link[1].replace("&amp;", "&")

    assert [len(part) for part in seen] == [trail.PAGE_SIZE] * 2
    rows = [number for part in seen for number in part]
    assert rows == list(range(rows[0], rows[0] - trail.PAGE_SIZE * 2, -1))


def test_an_export_is_a_file_and_no_formula(
    ada: Browser, services: Services, organization: Organization
) -> None:
    with services.db.session() as session:
        services.keys.create(
            session,
            organization_id=organization.id,
            name="Zapier",
            actor=Actor("cli", "=HYPERLINK(1)", agent="@SUM(1+1)"),
        )

    answer = ada.get(f"{LOG}export/csv/")

    assert answer.mimetype == "text/csv"
    assert answer.headers["Content-Disposition"] == (
        "attachment; filename=audit-log-2026-01-01.csv"
    )
    assert answer.headers["Cache-Control"] == "no-store"
    [*_, row] = csv.DictReader(io.StringIO(answer.text, newline=""))
    assert row["actor_label"] == "'=HYPERLINK(1)"
    assert row["agent"] == "'@SUM(1+1)"
    assert json.loads(row["after"])["name"] == "Zapier"
    assert ada.get(f"{LOG}export/jsonl/").mimetype == "application/jsonl"
    assert ada.get(f"{LOG}export/xml/").status_code == 404


def test_another_organization_s_log_is_not_there(ada: Browser, services: Services) -> None:
    with services.db.session() as session:
        services.accounts.create_organization(session, name="Elsewhere", actor=audit.SYSTEM)

    for path in (LOG, f"{LOG}export/csv/", f"{LOG}export/jsonl/"):
        assert "Elsewhere" not in ada.get(path).text


def test_a_member_reads_no_log(mel: Browser) -> None:
    for path in (LOG, f"{LOG}export/csv/"):
        assert mel.get(path).status_code == 403
