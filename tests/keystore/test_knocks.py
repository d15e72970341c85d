"""What strangers do at the door is written down alike, and looked into afterwards."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, text

from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.credentials import SecretValue
from keystore.db import Database
from keystore.knocks import Kind, Knocks
from keystore.mail_models import Knock
from keystore.models import AuditEvent, Outcome, User
from keystore.services import Services
from keystore.trail import verify
from keystore.vault import Vault
from tests.support.mailbox import letters
from tests.support.statements import statements

NOBODY = "nobody@northwind.example"


def knock(services: Services, kind: Kind, email: str) -> None:
    with services.db.session() as session:
        services.knocks.note(session, kind, email, address="203.0.113.5", agent="curl/8")


def answer(services: Services) -> int:
    with services.db.session() as session:
        return services.knocks.answer(session)


def refusals(services: Services) -> list[AuditEvent]:
    with services.db.session() as session:
        return list(
            session.scalars(
                select(AuditEvent)
                .where(AuditEvent.outcome == Outcome.REFUSED)
                .order_by(AuditEvent.seq)
            )
        )


def test_a_wrong_password_of_somebody_is_on_record(
    services: Services, admin: User, clock: ManualClock
) -> None:
    at = clock.now()
    knock(services, Kind.SIGN_IN, f" {admin.email.upper()} ")
    clock.advance(5)

    assert answer(services) == 1
    assert answer(services) == 0

    [row] = refusals(services)
    assert (row.action, row.subject_type, row.subject_id) == (
        "session.started",
        "user",
        str(admin.id),
    )
    assert row.detail == {"reason": "WrongPassword"}
    assert (row.address, row.agent, row.at) == ("203.0.113.5", "curl/8", at)
    assert row.actor_id is None, "nobody has proved to be that person"
    with services.db.session() as session:
        assert verify(session, admin.organization_id).broken is None


def test_who_has_left_is_on_record_as_such(services: Services, admin: User, member: User) -> None:
    with services.db.session() as session:
        services.people.deactivate(
            session, member.id, organization_id=member.organization_id, actor=SYSTEM
        )
    knock(services, Kind.SIGN_IN, member.email)
    knock(services, Kind.FORGOTTEN, member.email)

    answer(services)

    assert [row.detail["reason"] for row in refusals(services)] == ["Deactivated"]
    assert letters(services.db, services.vault) == []


def test_of_an_address_that_is_nobodys_nothing_stays(
    services: Services, database: Database, admin: User
) -> None:
    with database.session() as session:
        before = len(session.scalars(select(AuditEvent.seq)).all())
    for kind in Kind:
        knock(services, kind, NOBODY)
    knock(services, Kind.SIGN_IN, "my-password-in-the-wrong-field\x00\udc80")
    with database.engine.connect() as connection:
        rows = connection.execute(text("SELECT * FROM knocks")).all()
    assert NOBODY not in str(rows)
    assert "my-password" not in str(rows)

    assert answer(services) == len(Kind) + 1

    with database.session() as session:
        assert session.scalars(select(Knock)).all() == []
        assert len(session.scalars(select(AuditEvent.seq)).all()) == before
    assert letters(services.db, services.vault) == []


def test_who_has_forgotten_gets_a_link(services: Services, admin: User) -> None:
    knock(services, Kind.FORGOTTEN, admin.email)
    answer(services)

    [letter] = letters(services.db, services.vault)
    assert (letter.to, letter.subject) == (admin.email, "Choose a new password")
    with services.db.session() as session:
        assert services.resets.find(session, letter.token).id == admin.id


@pytest.mark.parametrize("kind", Kind)
def test_the_same_work_is_done_for_anybody(
    services: Services, database: Database, admin: User, kind: Kind
) -> None:
    seen = []
    for email in (admin.email, NOBODY):
        with statements(database) as made:
            knock(services, kind, email)
        seen.append(list(made))

    assert seen[0] == seen[1]


def test_each_knock_is_answered_once_by_however_many(services: Services, admin: User) -> None:
    for _ in range(8):
        knock(services, Kind.SIGN_IN, admin.email)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: answer(services), range(3)))
    answer(services)

    assert len(refusals(services)) == 8


def test_what_was_sealed_with_a_key_that_is_gone_is_let_go(
    services: Services, clock: ManualClock, admin: User
) -> None:
    other = Knocks(Vault([SecretValue("o" * 64)]), clock, services.resets)
    with services.db.session() as session:
        other.note(session, Kind.FORGOTTEN, admin.email)

    assert answer(services) == 1
    assert letters(services.db, services.vault) == []
