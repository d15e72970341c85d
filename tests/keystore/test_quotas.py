"""Keys near their limits: who is told of it, and how often."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.db import Database
from keystore.key_events import KeyEvent, QuotaNear
from keystore.keys import Issued, Keys
from keystore.limits import Budget
from keystore.models import Organization
from keystore.quotas import EVERY, Quotas
from keystore.verification import Verification, VerifiedKey

#: The name of a key, and what it had used of which limit.
Told = list[tuple[str, int, int]]


@pytest.fixture
def told() -> Told:
    return []


@pytest.fixture
def new_quotas(clock: ManualClock, told: Told) -> Callable[[], Quotas]:
    """Make the notes of one process."""

    def hear(_session: Session, what: KeyEvent) -> None:
        assert isinstance(what, QuotaNear)
        told.append((what.key.name, what.used, what.limit))

    return lambda: Quotas(clock, on_event=[hear])


@pytest.fixture
def quotas(new_quotas: Callable[[], Quotas]) -> Quotas:
    return new_quotas()


@pytest.fixture
def issued(database: Database, keys: Keys, organization: Organization) -> Issued:
    with database.session() as session:
        return keys.create(session, organization_id=organization.id, name="Zapier", actor=SYSTEM)


@pytest.fixture
def key(verification: Verification, issued: Issued) -> VerifiedKey:
    verified = verification.by_secret(issued.key.client_key, issued.client_secret.reveal())
    assert verified is not None
    return verified


def use(quotas: Quotas, key: VerifiedKey, used: int, limit: int = 60) -> None:
    quotas.note(key, Budget(used <= limit, limit, limit - used, 30, 60))


def tell(database: Database, quotas: Quotas) -> int:
    with database.session() as session:
        return quotas.tell(session)


def test_nine_tenths_of_a_limit_are_near_it(
    database: Database, quotas: Quotas, key: VerifiedKey, told: Told
) -> None:
    use(quotas, key, 53)
    assert tell(database, quotas) == 0
    use(quotas, key, 54)
    assert tell(database, quotas) == 1
    assert told == [("Zapier", 54, 60)]


def test_the_most_that_was_used_is_told(
    database: Database, quotas: Quotas, key: VerifiedKey, told: Told
) -> None:
    for used in (55, 60, 57):
        use(quotas, key, used)
    tell(database, quotas)
    assert told == [("Zapier", 60, 60)]


def test_it_is_told_once_an_hour_however_many_processes_see_it(
    database: Database,
    new_quotas: Callable[[], Quotas],
    key: VerifiedKey,
    told: Told,
    clock: ManualClock,
) -> None:
    processes = [new_quotas() for _ in range(3)]
    for _ in range(2):
        for one in processes:
            use(one, key, 60)
        assert sum(tell(database, one) for one in processes) == 1
        clock.advance(EVERY - timedelta(seconds=1))
        for one in processes:
            use(one, key, 60)
        assert sum(tell(database, one) for one in processes) == 0
        clock.advance(timedelta(seconds=1))
    assert len(told) == 2


def test_of_a_key_that_was_deleted_meanwhile_nothing_is_told(
    database: Database, quotas: Quotas, keys: Keys, key: VerifiedKey, told: Told
) -> None:
    use(quotas, key, 60)
    with database.session() as session:
        keys.delete(session, key.key_id, organization_id=key.organization_id, actor=SYSTEM)
    assert tell(database, quotas) == 0
    assert told == []


def test_what_cannot_be_written_is_told_when_it_can(
    database: Database, quotas: Quotas, key: VerifiedKey, told: Told
) -> None:
    use(quotas, key, 60)
    with database.session() as session:

        @event.listens_for(session, "before_commit")
        def refuse(one: Session) -> None:
            one.connection().exec_driver_sql("INSERT INTO nowhere VALUES (1)")

        assert quotas.tell(session) == 0
    told.clear()
    assert tell(database, quotas) == 1
    assert told == [("Zapier", 60, 60)]


def test_what_a_listener_refuses_is_not_taken_for_told(
    database: Database, clock: ManualClock, key: VerifiedKey, new_quotas: Callable[[], Quotas]
) -> None:
    def refuse(_session: Session, _event: KeyEvent) -> None:
        raise ZeroDivisionError

    failing = Quotas(clock, on_event=[refuse])
    use(failing, key, 60)
    for _ in range(2):  # the note is kept
        with pytest.raises(ZeroDivisionError):
            tell(database, failing)

    other = new_quotas()
    use(other, key, 60)
    assert tell(database, other) == 1


def test_another_key_is_told_of_for_itself(
    database: Database,
    quotas: Quotas,
    key: VerifiedKey,
    keys: Keys,
    organization: Organization,
    told: Told,
) -> None:
    with database.session() as session:
        other: UUID = keys.create(
            session, organization_id=organization.id, name="n8n", actor=SYSTEM
        ).key.id
    use(quotas, key, 54)
    use(quotas, key._replace(key_id=other), 9, 10)
    assert tell(database, quotas) == 2
    assert sorted(told) == [("Zapier", 54, 60), ("n8n", 9, 10)]
