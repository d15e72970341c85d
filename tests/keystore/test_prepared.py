"""Prepared reads: the values a session would give, fresh each time, over broken connections."""

from concurrent.futures import ThreadPoolExecutor
from typing import cast
from uuid import uuid4

import pytest
from sqlalchemy import Table, bindparam, event, insert, literal_column, select, text, update
from sqlalchemy.exc import DBAPIError, StatementError

from keystore.clock import ManualClock
from keystore.db import Database, writing
from keystore.models import Organization
from keystore.prepared import Direct, Prepared
from keystore.rotation import LeakPolicy

BY_NAME = select(Organization.id, Organization.name, Organization.created_at).where(
    Organization.name == bindparam("name")
)

ORGANIZATIONS = cast("Table", Organization.__table__)
BY_ITS_NAME = Direct(BY_NAME)
ADD = Direct(
    insert(ORGANIZATIONS).values(members_make_keys=False, leak_policy=LeakPolicy.NOTIFY),
    ["id", "name", "created_at"],
)
RENAME = Direct(
    update(ORGANIZATIONS)
    .where(ORGANIZATIONS.c.name == bindparam("former"))
    .values(name=bindparam("name"))
)


def add(database: Database, clock: ManualClock, name: str) -> Organization:
    organization = Organization(id=uuid4(), name=name, created_at=clock.now())
    with database.session() as session, writing(session):
        session.add(organization)
    return organization


@pytest.fixture
def by_name(database: Database) -> Prepared:
    return database.prepared(BY_NAME)


def test_it_gives_the_values_that_a_session_gives(
    database: Database, by_name: Prepared, clock: ManualClock
) -> None:
    northwind = add(database, clock, "Northwind")

    [row] = by_name(name="Northwind")

    assert (row.id, row.name, row.created_at) == (northwind.id, "Northwind", clock.now())
    assert row.created_at.tzinfo is not None


def test_what_was_committed_is_seen_by_the_next_read(
    database: Database, by_name: Prepared, clock: ManualClock
) -> None:
    assert by_name(name="Northwind") == []
    add(database, clock, "Northwind")
    assert len(by_name(name="Northwind")) == 1


def test_a_text_is_a_value_whatever_is_in_it(by_name: Prepared) -> None:
    assert by_name(name="' OR '1'='1") == []


def test_many_threads_read_at_once(
    database: Database, by_name: Prepared, clock: ManualClock
) -> None:
    names = [f"Organization {number}" for number in range(8)]
    for name in names:
        add(database, clock, name)

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda name: by_name(name=name), names * 20))

    assert [row.name for [row] in found] == names * 20


def test_a_connection_that_broke_while_idle_is_replaced(
    database: Database, by_name: Prepared, clock: ManualClock
) -> None:
    add(database, clock, "Northwind")
    assert by_name(name="Northwind")
    if database.is_sqlite:
        database._fast_reader._idle[0].close()
    else:
        with database.session() as session, writing(session):
            others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
            session.execute(text(others + "current_database() AND pid <> pg_backend_pid()"))

    assert [row.name for row in by_name(name="Northwind")] == ["Northwind"]


def test_an_error_is_one_of_sqlalchemys_and_the_next_read_works(
    database: Database, by_name: Prepared, clock: ManualClock
) -> None:
    add(database, clock, "Northwind")
    wrong = database.prepared(select(literal_column("1").label("one")).select_from(text("nowhere")))

    with pytest.raises(DBAPIError):
        wrong()

    assert by_name(name="Northwind")


def test_in_a_transaction_it_gives_the_values_that_the_session_gives(
    database: Database, clock: ManualClock
) -> None:
    northwind = add(database, clock, "Northwind")

    with database.session() as session, session.begin():
        [(uuid, name, created_at)] = BY_ITS_NAME.rows(session.connection(), name="Northwind")

    assert (uuid, name, created_at) == (northwind.id, "Northwind", clock.now())
    assert created_at.tzinfo is not None


def test_what_it_writes_is_of_the_transaction_and_undone_with_it(
    database: Database, clock: ManualClock
) -> None:
    add(database, clock, "Northwind")

    with database.session() as session:
        session.begin()
        RENAME.run(session.connection(), former="Northwind", name="Southwind")
        assert BY_ITS_NAME.rows(session.connection(), name="Southwind")
        session.rollback()
        with session.begin():
            assert not BY_ITS_NAME.rows(session.connection(), name="Southwind")


def test_many_rows_are_written_each_with_its_own_values(
    database: Database, clock: ManualClock
) -> None:
    names = [f"Organization {number}" for number in range(3)]
    rows = [{"id": uuid4(), "name": name, "created_at": clock.now()} for name in names]

    with database.session() as session, writing(session):
        ADD.run_many(session.connection(), rows)

    with database.session() as session, session.begin():
        found = session.scalars(select(Organization).order_by(Organization.name)).all()
    assert [(one.id, one.name, one.created_at) for one in found] == [
        tuple(row.values()) for row in rows
    ]


def test_a_value_that_is_no_good_is_told_without_being_shown(database: Database) -> None:
    row = {"id": uuid4(), "name": "Northwind", "created_at": "sw0rdfish"}
    with (
        database.session() as session,
        pytest.raises(StatementError) as refused,
        writing(session),
    ):
        ADD.run(session.connection(), **row)
    assert "sw0rdfish" not in str(refused.value)


def test_what_the_database_refuses_is_an_error_of_sqlalchemys(
    database: Database, clock: ManualClock
) -> None:
    northwind = add(database, clock, "Northwind")
    with database.session() as session, pytest.raises(DBAPIError), writing(session):
        ADD.run(session.connection(), id=northwind.id, name="Again", created_at=clock.now())


def test_whoever_listens_to_the_engine_hears_of_it(database: Database, clock: ManualClock) -> None:
    heard: list[str] = []

    def hear(_c: object, _cursor: object, statement: str, *_more: object) -> None:
        heard.append(statement)

    event.listen(database.engine, "before_cursor_execute", hear)
    with database.session() as session, writing(session):
        RENAME.run(session.connection(), former="Northwind", name="Southwind")
    event.remove(database.engine, "before_cursor_execute", hear)

    assert any(one.startswith("UPDATE organizations") for one in heard)
