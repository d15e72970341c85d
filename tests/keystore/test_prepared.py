"""Prepared reads: the values a session would give, fresh each time, over broken connections."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from sqlalchemy import bindparam, literal_column, select, text
from sqlalchemy.exc import DBAPIError

from keystore.clock import ManualClock
from keystore.db import Database, writing
from keystore.models import Organization
from keystore.prepared import Prepared

BY_NAME = select(Organization.id, Organization.name, Organization.created_at).where(
    Organization.name == bindparam("name")
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
