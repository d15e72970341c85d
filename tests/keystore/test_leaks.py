"""A secret was found in the open: whose it is, what is done, what is told, and to whom."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from keystore import audit, key_events
from keystore.accounts import Accounts
from keystore.audit import SYSTEM, Actor
from keystore.clock import ManualClock
from keystore.credentials import SecretValue
from keystore.db import Database
from keystore.key_events import KeyEvent
from keystore.keys import Issued, Keys
from keystore.leak_models import Leaked, LeakReport
from keystore.leak_records import Record
from keystore.leaks import FINDER, ONE_MAIL_IN, Leaks
from keystore.mail import Mails
from keystore.mail_models import Mail
from keystore.models import AuditEvent, Key, Organization, Role, Secret, User
from keystore.rotation import LeakAction, LeakPolicy, SecretState
from keystore.scopes import DataScope
from keystore.tokens import Tokens
from keystore.vault import Vault
from keystore.verification import Verification
from tests.properties.together import at_once

GITHUB = Actor("system", "GitHub secret scanning")
URL = "https://github.com/octocat/hello/blob/1/.env"
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
CURRENT, RETIRING, DEAD = SecretState
NOTIFY, RETIRE, KILL = LeakPolicy


@pytest.fixture
def mails(vault: Vault) -> Mails:
    return Mails(vault)


@pytest.fixture
def heard() -> list[tuple[str, LeakAction]]:
    """What the floors above were told."""
    return []


@pytest.fixture
def leaks(
    vault: Vault, clock: ManualClock, mails: Mails, heard: list[tuple[str, LeakAction]]
) -> Leaks:
    def hear(_session: Session, event: KeyEvent) -> None:
        assert isinstance(event, key_events.Leaked)
        heard.append((event.key.name, event.report.action))

    return Leaks(vault, clock, mails, "https://keyhook.example", on_event=[hear])


@pytest.fixture
def people(add_user: Callable[[str, Role], User], admin: User, member: User) -> None:
    add_user("Abe", Role.ADMIN)


Report = Callable[..., bool]


@pytest.fixture
def report(database: Database, leaks: Leaks) -> Report:
    def report(token: str, url: str = URL, source: str = "content") -> bool:
        record = Record(SecretValue(token), "keyhook_secret", url, source)
        with database.session() as session:
            return leaks.report(session, record, reporter=GITHUB)

    return report


@pytest.fixture
def choose(database: Database, leaks: Leaks, organization: Organization) -> Callable[..., None]:
    def choose(policy: LeakPolicy) -> None:
        with database.session() as session:
            leaks.set_policy(session, organization_id=organization.id, policy=policy, actor=SYSTEM)

    return choose


Regenerate = Callable[..., Issued]


@pytest.fixture
def regenerate(database: Database, keys: Keys, organization: Organization) -> Regenerate:
    def regenerate(key: Key, overlap: timedelta = DAY) -> Issued:
        with database.session() as session:
            generation = keys.get(
                session, key.id, organization_id=organization.id, actor=SYSTEM
            ).generation
            return keys.regenerate(
                session,
                key.id,
                organization_id=organization.id,
                generation=generation,
                actor=SYSTEM,
                overlap=overlap,
            )

    return regenerate


def secret_of(issued: Issued) -> str:
    return issued.client_secret.reveal()


def works(verification: Verification, issued: Issued) -> bool:
    return verification.by_secret(issued.key.client_key, secret_of(issued)) is not None


def reports(database: Database) -> list[LeakReport]:
    with database.session() as session, session.begin():
        return list(session.scalars(select(LeakReport).order_by(LeakReport.id)))


def letters(database: Database) -> list[str]:
    with database.session() as session, session.begin():
        return sorted(session.scalars(select(Mail.to)))


def rows(database: Database) -> list[tuple[object, ...]]:
    """Everything that says how keys and secrets are."""
    with database.reader.connect() as connection:
        return [
            tuple(row)
            for table in ("keys", "secrets", "access_tokens")
            for row in connection.execute(text(f"SELECT * FROM {table} ORDER BY id"))
        ]


def told(database: Database, organization_id: UUID, action: str) -> list[AuditEvent]:
    with database.session() as session:
        return [one for one in audit.events(session, organization_id) if one.action == action]


def test_notify_tells_everybody_and_changes_nothing(
    database: Database,
    issued: Issued,
    organization: Organization,
    people: None,
    report: Report,
    verification: Verification,
    heard: list[tuple[str, LeakAction]],
) -> None:
    before = rows(database)

    assert report(secret_of(issued))

    assert rows(database) == before
    assert works(verification, issued)
    [found] = reports(database)
    assert (found.key_id, found.generation, found.what) == (issued.key.id, 1, Leaked.SECRET)
    assert (found.state, found.policy, found.action) == (CURRENT, NOTIFY, LeakAction.NONE)
    assert (found.url, found.source) == (URL, "content")
    assert letters(database) == ["abe@northwind.example", "ada@northwind.example"]
    assert heard == [("Zapier", LeakAction.NONE)]
    [event] = told(database, organization.id, "key.leaked")
    assert event.subject_id == str(issued.key.id)
    assert event.actor_label == "GitHub secret scanning"
    assert (event.detail["done"], event.detail["url"]) == ("none", URL)


def test_the_person_whose_key_it_is_gets_a_mail_too(
    database: Database,
    keys: Keys,
    organization: Organization,
    people: None,
    member: User,
    report: Report,
) -> None:
    with database.session() as session:
        personal = keys.create(
            session,
            organization_id=organization.id,
            name="Mel's",
            data=DataScope.USER_FULL,
            owner_id=member.id,
            actor=SYSTEM,
        )

    report(secret_of(personal))

    names = ("abe", "ada", "mel")
    assert letters(database) == [f"{name}@northwind.example" for name in names]


def test_kill_ends_the_secret_in_that_moment(
    database: Database,
    issued: Issued,
    organization: Organization,
    report: Report,
    choose: Callable[..., None],
    regenerate: Regenerate,
    verification: Verification,
) -> None:
    choose(KILL)

    assert report(secret_of(issued))

    assert not works(verification, issued)
    [event] = told(database, organization.id, "key.leaked")
    assert event.detail["before"] == {"generation": 1}
    assert event.detail["after"] == {"generation": 2, "former_until": None}
    new = regenerate(issued.key)
    assert works(verification, new)
    assert not works(verification, issued)


def test_retire_leaves_a_day_to_change_over(
    issued: Issued,
    report: Report,
    choose: Callable[..., None],
    regenerate: Regenerate,
    verification: Verification,
    clock: ManualClock,
) -> None:
    choose(RETIRE)
    assert report(secret_of(issued))
    clock.advance(DAY / 2)

    new = regenerate(issued.key, overlap=7 * DAY)

    assert works(verification, new)
    assert works(verification, issued), "nobody held the one between; the one in use is spared"
    clock.advance(DAY / 2 - TICK)
    assert works(verification, issued)
    clock.advance(TICK)
    assert not works(verification, issued), "and has kept its own end"
    assert works(verification, new)


def test_retire_lengthens_no_life(
    database: Database,
    issued: Issued,
    keys: Keys,
    organization: Organization,
    report: Report,
    choose: Callable[..., None],
    verification: Verification,
    clock: ManualClock,
) -> None:
    choose(RETIRE)
    expires_at = clock.now() + timedelta(hours=2)
    with database.session() as session:
        keys.set_expiry(
            session,
            issued.key.id,
            organization_id=organization.id,
            expires_at=expires_at,
            actor=SYSTEM,
        )

    assert report(secret_of(issued))

    assert reports(database)[0].until == expires_at
    clock.advance(timedelta(hours=2))
    assert not works(verification, issued)


@pytest.mark.parametrize(("policy", "hours"), [(NOTIFY, 7 * 24), (RETIRE, 24), (KILL, 0)], ids=str)
def test_a_retiring_secret_ends_as_the_policy_says(
    issued: Issued,
    report: Report,
    choose: Callable[..., None],
    regenerate: Regenerate,
    verification: Verification,
    clock: ManualClock,
    policy: LeakPolicy,
    hours: int,
) -> None:
    choose(policy)
    new = regenerate(issued.key, overlap=7 * DAY)

    assert report(secret_of(issued))

    assert works(verification, new), "it has not leaked"
    clock.advance(timedelta(hours=hours) - TICK)
    assert works(verification, issued) == (hours > 0)
    clock.advance(TICK)
    assert not works(verification, issued)
    assert works(verification, new)


def end(what: str, database: Database, keys: Keys, issued: Issued, clock: ManualClock) -> None:
    where: dict[str, Any] = {"organization_id": issued.key.organization_id, "actor": SYSTEM}
    with database.session() as session:
        if what == "expired":
            until = clock.now() + DAY
            keys.set_expiry(session, issued.key.id, expires_at=until, **where)
            clock.advance(DAY)
        elif what == "deleted":
            keys.delete(session, issued.key.id, **where)
        elif what == "disabled":
            keys.disable(session, issued.key.id, **where)
        else:
            keys.regenerate(session, issued.key.id, generation=1, **where)


@pytest.mark.parametrize("policy", LeakPolicy, ids=str)
@pytest.mark.parametrize("what", ["expired", "deleted", "disabled", "regenerated"])
def test_what_does_not_work_is_on_record_and_left_alone(
    database: Database,
    issued: Issued,
    people: None,
    keys: Keys,
    organization: Organization,
    report: Report,
    choose: Callable[..., None],
    clock: ManualClock,
    heard: list[tuple[str, LeakAction]],
    policy: LeakPolicy,
    what: str,
) -> None:
    choose(policy)
    end(what, database, keys, issued, clock)
    before = rows(database)

    assert report(secret_of(issued)), "it was ours"

    assert rows(database) == before
    [found] = reports(database)
    assert found.action is LeakAction.NONE
    assert len(told(database, organization.id, "key.leaked")) == 1
    asleep = what == "disabled"
    assert found.state is (CURRENT if asleep else DEAD)
    assert len(letters(database)) == (2 if asleep else 0), "the dead alarm nobody"
    assert len(heard) == (1 if asleep else 0)


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
        right + "0",
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
    "form", ["{secret}", "{key}:{secret}", "export KEYHOOK='{secret}'\n", "a={secret}&b={secret}"]
)
def test_the_secret_may_come_alone_with_its_key_or_in_the_line_it_was_in(
    database: Database, issued: Issued, report: Report, form: str
) -> None:
    assert report(form.format(key=issued.key.client_key, secret=secret_of(issued)))
    assert len(reports(database)) == 1


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


@pytest.mark.parametrize("policy", LeakPolicy, ids=str)
def test_a_leaked_token_ends_alone(
    database: Database,
    issued: Issued,
    report: Report,
    choose: Callable[..., None],
    verification: Verification,
    vault: Vault,
    clock: ManualClock,
    policy: LeakPolicy,
) -> None:
    choose(policy)
    key = verification.by_secret(issued.key.client_key, secret_of(issued))
    assert key is not None
    with database.session() as session:
        tokens = Tokens(vault, clock)
        token, other = (tokens.issue(session, key, key.scopes).text.reveal() for _ in range(2))

    assert report(token)

    assert (verification.by_token(token) is None) == (policy is not NOTIFY)
    assert verification.by_token(other) is not None
    assert works(verification, issued)
    [found] = reports(database)
    assert (found.what, found.generation, found.state) == (Leaked.TOKEN, 1, CURRENT)
    changed = "0" if token[30] != "0" else "1"
    assert not report(token[:30] + changed + token[31:], url="https://elsewhere.example/")
    clock.advance(timedelta(hours=1))
    assert report(token, url="https://later.example/")
    assert reports(database)[-1].state is DEAD


def test_the_secrets_first_leak_is_told_though_a_token_of_its_leaked_today(
    database: Database,
    issued: Issued,
    admin: User,
    report: Report,
    verification: Verification,
    vault: Vault,
    clock: ManualClock,
) -> None:
    key = verification.by_secret(issued.key.client_key, secret_of(issued))
    assert key is not None
    with database.session() as session:
        token = Tokens(vault, clock).issue(session, key, key.scopes).text.reveal()

    report(token)
    report(secret_of(issued))

    assert len(letters(database)) == 2


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


def test_an_admin_who_checks_a_text_learns_what_of_it_is_theirs_and_changes_nothing(
    database: Database,
    leaks: Leaks,
    issued: Issued,
    organization: Organization,
    choose: Callable[..., None],
    regenerate: Regenerate,
) -> None:
    choose(KILL)
    new = regenerate(issued.key)
    regenerate(new.key, overlap=timedelta(0))
    pasted = SecretValue(f"old {secret_of(issued)}\nnew {secret_of(new)}\nkhs nothing")
    before = rows(database)

    with database.session() as session:
        found = leaks.check(session, pasted, organization_id=organization.id, actor=SYSTEM)

    assert [(one.key.name, one.generation, one.state) for one in found] == [
        ("Zapier", 1, DEAD),
        ("Zapier", 2, DEAD),
    ]
    assert rows(database) == before
    assert reports(database) == []
    assert len(told(database, organization.id, "key.leak_checked")) == 2


def test_another_organizations_secret_looks_like_any_text_and_its_policy_is_followed(
    database: Database,
    leaks: Leaks,
    accounts: Accounts,
    issued: Issued,
    organization: Organization,
    choose: Callable[..., None],
    verification: Verification,
) -> None:
    choose(KILL)
    with database.session() as session:
        other = accounts.create_organization(session, name="Southwind", actor=SYSTEM)
        finder = Actor("user", "sue@southwind.example", address="192.0.2.1")
        found = leaks.check(session, issued.client_secret, organization_id=other.id, actor=finder)
        nothing = leaks.check(
            session, SecretValue("some text"), organization_id=other.id, actor=finder
        )

    assert found == nothing == []
    assert not works(verification, issued)
    [event] = told(database, organization.id, "key.leaked")
    assert (event.actor_label, event.address) == (FINDER.label, None)
    assert "southwind" not in str(event.detail).lower()
    assert told(database, other.id, "key.leak_checked") == []


def test_the_policy_is_chosen_on_record(
    database: Database, leaks: Leaks, organization: Organization, choose: Callable[..., None]
) -> None:
    with database.session() as session:
        assert leaks.policy(session, organization.id) is NOTIFY
    choose(RETIRE)
    choose(RETIRE)

    with database.session() as session:
        assert leaks.policy(session, organization.id) is RETIRE
    [event] = told(database, organization.id, "organization.leak_policy_changed")
    assert event.detail == {
        "before": {"leak_policy": "notify"},
        "after": {"leak_policy": "retire"},
    }


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
