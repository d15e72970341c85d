"""Keys come to their end: who is told of it when, and that nobody is told twice."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count
from uuid import UUID

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from keystore import audit
from keystore.accounts import Accounts
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.credentials import SecretValue
from keystore.db import Database, writing
from keystore.errors import KeyExpired
from keystore.expiries import Expiries
from keystore.key_events import Expired, Expiring, KeyEvent
from keystore.keys import Issued, Keys
from keystore.mail import Job, Mails
from keystore.mail_models import Mail
from keystore.models import Organization, Role, User
from keystore.notice_models import ExpiryWatch
from keystore.people import People
from keystore.scopes import DataScope
from keystore.vault import Vault
from keystore.verification import Verification
from tests.conftest import PASSWORD
from tests.properties.together import Stop, at_once, dying_at, interleaved

DAY, HOUR, TICK = timedelta(days=1), timedelta(hours=1), timedelta(microseconds=1)
#: When somebody was told of which key, and what: days, 0 for its end.
Told = list[tuple[datetime, str, int]]


@pytest.fixture
def told() -> Told:
    return []


@pytest.fixture
def expiries(vault: Vault, clock: ManualClock, told: Told) -> Expiries:
    def hear(_session: Session, event: KeyEvent) -> None:
        assert isinstance(event, Expiring | Expired)
        days = event.within_days if isinstance(event, Expiring) else 0
        told.append((event.at, event.key.name, days))

    return Expiries(clock, Mails(vault), "https://keyhook.example/", on_event=[hear])


@pytest.fixture
def people(accounts: Accounts, vault: Vault, clock: ManualClock) -> People:
    return People(accounts, Mails(vault), clock, base_url="https://keyhook.example")


Create = Callable[..., Issued]


@pytest.fixture
def create(
    database: Database, keys: Keys, organization: Organization, clock: ManualClock
) -> Create:
    def create(name: str, left: timedelta | None, **more: object) -> Issued:
        given = {"organization_id": organization.id, "actor": SYSTEM} | more
        with database.session() as session:
            return keys.create(
                session,
                name=name,
                expires_at=None if left is None else clock.now() + left,
                **given,  # type: ignore[arg-type]
            )

    return create


@pytest.fixture
def set_expiry(
    database: Database, keys: Keys, organization: Organization, clock: ManualClock
) -> Callable[[Issued, timedelta | None], None]:
    def set_expiry(issued: Issued, left: timedelta | None) -> None:
        with database.session() as session:
            keys.set_expiry(
                session,
                issued.key.id,
                organization_id=organization.id,
                expires_at=None if left is None else clock.now() + left,
                actor=SYSTEM,
            )

    return set_expiry


def look(database: Database, expiries: Expiries) -> int:
    with database.session() as session:
        return expiries.tell(session)


def days_told(told: Told) -> list[int]:
    return [days for _, _, days in told]


def letters(database: Database, vault: Vault) -> list[tuple[str, str]]:
    """Return whom the waiting mails are for, and their text."""
    with database.session() as session, session.begin():
        return sorted(
            (
                mail.to,
                Mails(vault).text(Job(mail.id, mail.id, "", "", sealed, mail.created_at)).reveal(),
            )
            for mail in session.scalars(select(Mail))
            if (sealed := mail.sealed_text) is not None
        )


def watched(database: Database) -> set[UUID]:
    with database.session() as session, session.begin():
        return set(session.scalars(select(ExpiryWatch.key_id)))


def test_a_key_is_told_of_30_7_and_1_days_before_its_end_and_at_its_end(
    database: Database, expiries: Expiries, create: Create, clock: ManualClock, told: Told
) -> None:
    start = clock.now()
    issued = create("Zapier", 40 * DAY)
    create("For ever", None)
    for _ in range(42 * 4):
        look(database, expiries)
        clock.advance(6 * HOUR)

    end = start + 40 * DAY
    assert told == [(end - days * DAY, "Zapier", days) for days in (30, 7, 1, 0)]
    assert issued.key.id not in watched(database)


def test_each_threshold_is_reached_at_its_very_moment(
    database: Database, expiries: Expiries, create: Create, clock: ManualClock, told: Told
) -> None:
    create("Zapier", 30 * DAY + TICK)

    assert look(database, expiries) == 0
    clock.advance(TICK)
    assert look(database, expiries) == 1
    assert days_told(told) == [30]


@pytest.mark.parametrize(("away", "first", "then"), [(35, 7, [1, 0]), (39.5, 1, [0]), (50, 0, [])])
def test_whoever_was_away_tells_the_nearest_threshold_alone(
    database: Database,
    expiries: Expiries,
    create: Create,
    clock: ManualClock,
    told: Told,
    away: float,
    first: int,
    then: list[int],
) -> None:
    create("Zapier", 40 * DAY)
    clock.advance(away * DAY)
    assert [look(database, expiries) for _ in range(3)] == [1, 0, 0]
    assert days_told(told) == [first]

    for _ in range(60):
        clock.advance(6 * HOUR)
        look(database, expiries)
    assert days_told(told) == [first, *then]


def test_who_makes_a_key_that_ends_soon_knows_and_is_told_of_the_next_threshold(
    database: Database, expiries: Expiries, create: Create, clock: ManualClock, told: Told
) -> None:
    create("Zapier", 3 * DAY)
    assert look(database, expiries) == 0
    clock.advance(2 * DAY)
    look(database, expiries)

    assert days_told(told) == [1]


def test_a_changed_expiry_is_told_of_anew(
    database: Database,
    expiries: Expiries,
    create: Create,
    set_expiry: Callable[..., None],
    clock: ManualClock,
    told: Told,
) -> None:
    issued = create("Zapier", 40 * DAY)
    clock.advance(33 * DAY)
    look(database, expiries)
    set_expiry(issued, 60 * DAY)
    look(database, expiries)
    clock.advance(30 * DAY)
    look(database, expiries)
    set_expiry(issued, 5 * DAY)  # the others have not heard of it
    look(database, expiries)
    set_expiry(issued, None)
    clock.advance(90 * DAY)
    look(database, expiries)

    assert days_told(told) == [7, 30, 7]
    assert watched(database) == set()


def test_a_deleted_key_is_not_told_of_and_a_disabled_one_is(
    database: Database,
    expiries: Expiries,
    create: Create,
    keys: Keys,
    organization: Organization,
    clock: ManualClock,
    told: Told,
) -> None:
    gone, asleep = create("Gone", 40 * DAY), create("Asleep", 40 * DAY)
    where = {"organization_id": organization.id, "actor": SYSTEM}
    with database.session() as session:
        keys.delete(session, gone.key.id, **where)  # type: ignore[arg-type]
    with database.session() as session:
        keys.disable(session, asleep.key.id, **where)  # type: ignore[arg-type]
    clock.advance(39 * DAY)
    look(database, expiries)

    assert [name for _, name, _ in told] == ["Asleep"]


def test_what_was_told_to_have_expired_stays_so_when_a_clock_is_set_back(
    database: Database,
    expiries: Expiries,
    create: Create,
    keys: Keys,
    vault: Vault,
    organization: Organization,
    clock: ManualClock,
    told: Told,
) -> None:
    issued = create("Zapier", DAY)
    clock.advance(DAY)
    look(database, expiries)
    clock.advance(-2 * HOUR)

    anew = Verification(database, vault, clock)
    assert anew.by_secret(issued.key.client_key, issued.client_secret.reveal()) is None
    where = {"organization_id": organization.id, "actor": SYSTEM}
    with database.session() as session, pytest.raises(KeyExpired):
        Keys(vault, clock).set_expiry(session, issued.key.id, expires_at=None, **where)  # type: ignore[arg-type]
    assert days_told(told) == [0]
    with database.session() as session:
        [event] = [
            one for one in audit.events(session, organization.id) if one.action == "key.expired"
        ]
    assert (event.subject_id, event.actor_kind) == (str(issued.key.id), "system")


def test_each_person_gets_one_mail_with_all_that_concerns_them(
    database: Database,
    expiries: Expiries,
    create: Create,
    people: People,
    add_user: Callable[[str, Role], User],
    admin: User,
    member: User,
    vault: Vault,
    clock: ManualClock,
    told: Told,
) -> None:
    add_user("Abe", Role.ADMIN)
    gone = add_user("Gus", Role.ADMIN)
    with database.session() as session:
        people.deactivate(session, gone.id, organization_id=gone.organization_id, actor=SYSTEM)
    add_user("Moe", Role.MEMBER)
    create("Ours", 8 * DAY)
    create("Mel's", 9 * DAY, data=DataScope.USER_FULL, owner_id=member.id)
    create("Not yet", 20 * DAY)
    clock.advance(3 * DAY)
    look(database, expiries)

    assert sorted(name for _, name, _ in told) == ["Mel's", "Ours"]
    page = "https://keyhook.example/settings/organization/developer/"
    sent = letters(database, vault)
    assert [to for to, _ in sent] == [
        "abe@northwind.example",
        "ada@northwind.example",
        "mel@northwind.example",
    ]
    for to, text in sent:
        assert "“Mel's” expires in 6 days" in text
        assert ("“Ours”" in text) == (to != "mel@northwind.example")
        assert "Not yet" not in text
        assert page in text


def test_organizations_hear_of_their_own_keys(
    database: Database,
    expiries: Expiries,
    create: Create,
    accounts: Accounts,
    admin: User,
    vault: Vault,
    clock: ManualClock,
) -> None:
    with database.session() as session:
        other = accounts.found(
            session,
            name="Southwind",
            email="sue@southwind.example",
            password=SecretValue(PASSWORD),
            actor=SYSTEM,
        )
    create("North", 8 * DAY)
    create("South", 8 * DAY, organization_id=other.id)
    clock.advance(DAY)

    assert look(database, expiries) == 2
    [(north, to_ada), (south, to_sue)] = letters(database, vault)
    assert (north, south) == (admin.email, "sue@southwind.example")
    assert ("North" in to_ada, "South" in to_ada) == (True, False)
    assert ("North" in to_sue, "South" in to_sue) == (False, True)


def test_an_address_that_takes_no_mail_keeps_nobody_else_uninformed(
    database: Database,
    expiries: Expiries,
    create: Create,
    admin: User,
    add_user: Callable[[str, Role], User],
    vault: Vault,
    clock: ManualClock,
    told: Told,
    caplog: pytest.LogCaptureFixture,
) -> None:
    odd = add_user("Odd", Role.ADMIN)
    with database.session() as session, writing(session):
        session.execute(update(User).where(User.id == odd.id).values(email="o\ndd@x.example"))
    create("Zapier", 8 * DAY)
    clock.advance(DAY)
    look(database, expiries)

    assert days_told(told) == [7]
    assert [to for to, _ in letters(database, vault)] == [admin.email]
    assert "not told" in caplog.text


def test_a_list_shows_what_ends_soon(
    expiries: Expiries, create: Create, clock: ManualClock
) -> None:
    key = create("Zapier", 31 * DAY).key
    assert expiries.soon(key) is None
    clock.advance(26 * DAY)
    assert expiries.soon(key) == "in 5 days"
    clock.advance(5 * DAY)
    assert expiries.soon(key) is None, "it has expired, which is another word"
    assert expiries.soon(create("For ever", None).key) is None


def test_processes_that_look_at_once_tell_once(
    database: Database,
    expiries: Expiries,
    create: Create,
    admin: User,
    vault: Vault,
    clock: ManualClock,
    told: Told,
) -> None:
    for number in range(5):
        create(f"Key {number}", 8 * DAY)
    clock.advance(DAY)
    won, lost = at_once(*[lambda: look(database, expiries)] * 4)

    assert lost == []
    assert sum(won) == 5
    assert sorted(name for _, name, _ in told) == [f"Key {number}" for number in range(5)]
    assert len(letters(database, vault)) == 1


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("meanwhile", ["look", "set_expiry", "delete"])
def test_whatever_comes_between_a_key_is_told_of_once_and_as_it_is_then(
    database: Database,
    expiries: Expiries,
    create: Create,
    keys: Keys,
    organization: Organization,
    set_expiry: Callable[..., None],
    admin: User,
    vault: Vault,
    clock: ManualClock,
    told: Told,
    meanwhile: str,
) -> None:
    """At each statement; on PostgreSQL alone, as SQLite lets the second begin after the first."""
    where = {"organization_id": organization.id, "actor": SYSTEM}
    mails = 0
    for statement in count(1):
        told.clear()
        issued = create(f"Key {statement}", 8 * DAY)
        clock.advance(DAY)

        def act(issued: Issued = issued) -> None:
            match meanwhile:
                case "look":
                    look(database, expiries)
                case "set_expiry":
                    set_expiry(issued, None)
                case "delete":
                    with database.session() as session:
                        keys.delete(session, issued.key.id, **where)  # type: ignore[arg-type]

        came, reached = interleaved(
            database.engine, lambda: look(database, expiries), act, statement
        )
        assert not isinstance(came[0], Exception), came
        assert came[1] is None
        assert days_told(told) in ([[7]] if meanwhile == "look" else [[7], []])
        mails += len(told)
        assert len(letters(database, vault)) == mails
        assert (issued.key.id in watched(database)) == (meanwhile == "look")
        if not reached:
            break
        with database.session() as session, writing(session):
            session.query(ExpiryWatch).delete()
    assert statement > 5, "there was something to come between"


def test_a_crash_leaves_everything_to_be_told_or_everything_told(
    database: Database,
    expiries: Expiries,
    create: Create,
    organization: Organization,
    admin: User,
    vault: Vault,
    clock: ManualClock,
    told: Told,
) -> None:
    """At each statement and at the commit: mark, secret, audit and mail go together."""
    ends, nears = create("Ends", DAY), create("Nears", 8 * DAY)
    clock.advance(DAY)
    end = nears.key.expires_at
    assert end is not None

    def world() -> tuple[object, ...]:
        with database.session() as session, session.begin():
            marks = {one.key_id: one.due_at for one in session.scalars(select(ExpiryWatch))}
        with database.session() as session:
            log = [one.action for one in audit.events(session, organization.id)]
        return (marks, len(letters(database, vault)), log.count("key.expired"))

    before = world()
    for statement in count(1):
        told.clear()
        with dying_at(database.engine, statement) as has_died:
            try:
                look(database, expiries)
            except Stop:
                assert has_died()
        if not has_died():
            break
        assert world() == before, f"at statement {statement}"
    assert statement > 8, "there was something to break off"
    assert world() == ({nears.key.id: end - DAY}, 1, 1)
    assert ends.key.id not in watched(database)
    assert sorted(days_told(told)) == [0, 7]
