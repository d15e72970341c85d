"""Reports: whose they are, what is kept of them, who is told, and how often."""

from collections.abc import Callable
from random import Random

import pytest
from sqlalchemy import select, text

from keystore import audit, credentials
from keystore.accounts import Accounts
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.credentials import SecretValue
from keystore.db import Database
from keystore.keys import Issued, Keys
from keystore.leak_records import Record
from keystore.leaks import MOST_IN_A_RECORD, ONE_MAIL_IN, Leaks
from keystore.mail import Mails
from keystore.models import Key, Organization, Secret, User
from keystore.rotation import LeakPolicy
from keystore.vault import Vault
from keystore.verification import Verification
from tests.keystore.leaks.telling import (
    CURRENT,
    DAY,
    GITHUB,
    KILL,
    URL,
    Report,
    letters,
    opened,
    reports,
    rows,
    secret_of,
    told,
    works,
)
from tests.properties.together import at_once


@pytest.mark.parametrize("policy", LeakPolicy, ids=str)
def test_the_same_report_again_changes_nothing_and_gets_the_same_answer(
    database: Database,
    issued: Issued,
    people: None,
    report: Report,
    choose: Callable[..., None],
    clock: ManualClock,
    policy: LeakPolicy,
) -> None:
    choose(policy)
    report(secret_of(issued))
    before = rows(database), len(reports(database)), letters(database)

    for _ in range(3):
        clock.advance(2 * DAY)
        assert report(secret_of(issued))

    assert (rows(database), len(reports(database)), letters(database)) == before


def test_the_same_report_many_times_at_once_is_one(
    database: Database, issued: Issued, people: None, report: Report, choose: Callable[..., None]
) -> None:
    choose(KILL)

    won, lost = at_once(*[lambda: report(secret_of(issued))] * 6)

    assert (won, lost) == ([True] * 6, [])
    assert len(reports(database)) == 1
    assert len(letters(database)) == 2
    with database.session() as session, session.begin():
        assert session.get_one(Key, issued.key.id).generation == 2


def test_each_place_is_on_record_but_only_one_mail_a_day_is_sent(
    database: Database, issued: Issued, admin: User, report: Report, clock: ManualClock
) -> None:
    for number in range(5):
        report(secret_of(issued), url=f"{URL}?fork={number}")
    assert (len(reports(database)), len(letters(database))) == (5, 1)

    clock.advance(ONE_MAIL_IN)
    report(secret_of(issued), url=f"{URL}?later")
    assert len(letters(database)) == 2


def test_an_admin_is_told_of_what_was_done_though_they_had_a_mail_today(
    database: Database,
    issued: Issued,
    admin: User,
    report: Report,
    choose: Callable[..., None],
) -> None:
    report(secret_of(issued))
    choose(KILL)
    report(secret_of(issued), url="https://elsewhere.example/")

    assert len(letters(database)) == 2


def test_a_wrong_secret_is_nobodys_and_leaves_no_trace(
    database: Database, issued: Issued, report: Report, choose: Callable[..., None], vault: Vault
) -> None:
    choose(KILL)
    right = secret_of(issued)
    before = rows(database)
    with database.session() as session:
        other = Keys(Vault([SecretValue("another " * 8)]), ManualClock())
        strange = other.create(
            session, organization_id=issued.key.organization_id, name="Sealed", actor=SYSTEM
        )
        before = rows(database)

    for wrong in (
        "",
        "khs",
        right[:-1],
        right[1:],
        right.upper(),
        right[:30] + ("0" if right[30] != "0" else "1") + right[31:],
        issued.key.client_key,
        secret_of(strange),  # made with a key that we do not have
        "x" * 100_000,
    ):
        assert not report(wrong)

    assert rows(database) == before
    assert reports(database) == []


@pytest.mark.parametrize(
    "form",
    [
        "{secret}",
        "{key}:{secret}",
        "export KEYHOOK='{secret}'\n",
        "a={secret}&b={secret}",
        r"\n{secret}\n",
    ],
)
def test_the_secret_may_come_alone_with_its_key_or_in_the_line_it_was_in(
    database: Database, issued: Issued, report: Report, form: str
) -> None:
    assert report(form.format(key=issued.key.client_key, secret=secret_of(issued)))
    assert len(reports(database)) == 1


def test_a_record_of_many_texts_costs_no_more_than_a_few(issued: Issued, report: Report) -> None:
    random = Random(7)
    others = [credentials.generate_access_token(random).reveal() for _ in range(MOST_IN_A_RECORD)]

    assert report(" ".join([*others[1:], secret_of(issued)]))
    assert not report(" ".join([*others, secret_of(issued)]))


def test_a_key_beside_a_secret_is_not_believed(
    database: Database, issued: Issued, keys: Keys, report: Report, choose: Callable[..., None]
) -> None:
    choose(KILL)
    with database.session() as session:
        other = keys.create(
            session, organization_id=issued.key.organization_id, name="Other", actor=SYSTEM
        )

    assert report(f"{other.key.client_key}:{secret_of(issued)}")

    with database.session() as session, session.begin():
        generations = {key.name: key.generation for key in session.scalars(select(Key))}
    assert generations == {"Zapier": 2, "Other": 1}


def test_no_secret_is_stored_also_when_the_place_repeats_it(
    database: Database, issued: Issued, organization: Organization, report: Report, admin: User
) -> None:
    secret = secret_of(issued)
    report(f"token {secret}", url=f"https://x.example/?s={secret}&\x00", source=f"{secret}" * 3)

    [found] = reports(database)
    assert found.url == "https://x.example/?s=[secret]&?"
    with database.session() as session:
        events = [str(one.detail) for one in audit.events(session, organization.id)]
    with database.reader.connect() as connection:
        stored = str(connection.execute(text("SELECT * FROM leak_reports")).all())
    for window in range(len(secret) - 8 - 23):
        part = secret[23 + window : 31 + window]
        assert part not in stored + "".join(events) + found.source


@pytest.mark.parametrize("before", ["%3A", "%3a", "%20", "_", "X", "0", "KEYHOOK_SECRET_"])
def test_no_secret_is_stored_whatever_stands_before_it_in_the_place(
    database: Database,
    vault: Vault,
    issued: Issued,
    organization: Organization,
    report: Report,
    admin: User,
    before: str,
) -> None:
    pair = f"{issued.key.client_key}{before}"
    report(secret_of(issued), url=f"https://x.example/?u={pair}{secret_of(issued)}%0A")

    [found] = reports(database)
    # Of the Client Key something may go along: `khkh…` may be the beginning of a secret, too.
    assert found.url.startswith("https://x.example/?u=kh")
    assert found.url.endswith("[secret]%0A")
    assert secret_of(issued)[23:31] not in found.url
    [event] = told(database, organization.id, "key.leaked")
    assert event.detail["url"] == found.url
    [letter] = opened(database, vault)
    assert found.url in letter
    assert secret_of(issued)[23:31] not in letter


def test_reports_are_told_newest_first_and_only_ones_own(
    database: Database,
    leaks: Leaks,
    accounts: Accounts,
    issued: Issued,
    keys: Keys,
    organization: Organization,
    report: Report,
    clock: ManualClock,
) -> None:
    with database.session() as session:
        other = accounts.create_organization(session, name="Southwind", actor=SYSTEM)
        theirs = keys.create(session, organization_id=other.id, name="BI", actor=SYSTEM)
    report(secret_of(issued), url="https://one.example/")
    clock.advance(1)
    report(secret_of(issued), url="https://two.example/")
    report(secret_of(theirs))

    with database.session() as session:
        mine = leaks.reports(session, organization.id)
        foreign = leaks.reports(session, organization.id, theirs.key.id)
        of_key = leaks.reports(session, organization.id, issued.key.id)
    assert [(found.url, key.name) for found, key in mine] == [
        ("https://two.example/", "Zapier"),
        ("https://one.example/", "Zapier"),
    ]
    assert [found.url for found, _ in of_key] == [found.url for found, _ in mine]
    assert foreign == []


def test_nothing_is_done_when_what_is_told_above_fails(
    database: Database,
    issued: Issued,
    admin: User,
    choose: Callable[..., None],
    vault: Vault,
    clock: ManualClock,
    mails: Mails,
    verification: Verification,
) -> None:
    """One transaction: a leak is followed, recorded, told and written about, or nothing of it."""
    choose(KILL)

    def fail(*_: object) -> None:
        raise LookupError

    leaks = Leaks(vault, clock, mails, "https://keyhook.example", on_event=[fail])
    record = Record(issued.client_secret, "t", URL, "content")
    with database.session() as session, pytest.raises(LookupError):
        leaks.report(session, record, reporter=GITHUB)

    assert works(verification, issued)
    assert (reports(database), letters(database)) == ([], [])
    with database.session() as session, session.begin():
        assert [one.state for one in session.scalars(select(Secret))] == [CURRENT]
