"""Transactions and moments mean the same on SQLite and PostgreSQL."""

import stat
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import BigInteger, String, Uuid, bindparam, select
from sqlalchemy.exc import IntegrityError, OperationalError, StatementError

from keystore.db import Database, Many, one_of, writing
from keystore.models import Organization, Secret
from keystore.rotation import SecretState

SUMMER_EVENING = datetime(2026, 7, 1, 23, 30, 0, 123456, tzinfo=timezone(timedelta(hours=-5)))


def add(database: Database, name: str, at: datetime = SUMMER_EVENING) -> None:
    with database.session() as session, writing(session):
        session.add(Organization(id=uuid4(), name=name, created_at=at))


def test_a_moment_comes_back_in_utc_to_the_microsecond(database: Database) -> None:
    add(database, "Northwind")

    with database.session() as session, session.begin():
        [at] = session.scalars(select(Organization.created_at))

    assert at == SUMMER_EVENING
    assert at.tzinfo is UTC


def test_a_moment_without_a_zone_is_a_mistake(database: Database) -> None:
    with pytest.raises(StatementError, match="without a time zone"):
        add(database, "Northwind", SUMMER_EVENING.replace(tzinfo=None))


def test_an_exception_leaves_nothing_behind(database: Database) -> None:
    def half_done() -> None:
        with database.session() as session, writing(session):
            session.add(Organization(id=uuid4(), name="half", created_at=SUMMER_EVENING))
            session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half_done()

    with database.session() as session, session.begin():
        assert session.scalars(select(Organization)).all() == []


def test_writers_that_read_first_wait_for_each_other(database: Database) -> None:
    """Each counts and adds one; on SQLite a deferred transaction would fail here as `locked`."""
    start, failures = threading.Barrier(6), []

    def count_and_add(number: int) -> None:
        start.wait()
        try:
            for turn in range(5):
                with database.session() as session, writing(session):
                    session.scalars(select(Organization)).all()
                    name = f"{number} {turn}"
                    session.add(Organization(id=uuid4(), name=name, created_at=SUMMER_EVENING))
        except Exception as error:  # noqa: BLE001 - shown below
            failures.append(error)

    threads = [threading.Thread(target=count_and_add, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    with database.session() as session, session.begin():
        assert len(session.scalars(select(Organization)).all()) == 30


def test_a_writer_gives_up_in_the_end_and_can_write_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keystore.db.BUSY_TIMEOUT_MS", 20)
    database = Database(f"sqlite:///{tmp_path / 'new.db'}")
    database.upgrade()

    with database.session() as session, writing(session):
        with pytest.raises(OperationalError, match="locked"):
            add(database, "Northwind")
        with database.engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 20

    add(database, "Northwind")
    database.dispose()


def test_foreign_keys_count(database: Database) -> None:
    orphan = Secret(
        key_id=uuid4(),
        generation=1,
        digest="x",
        state=SecretState.CURRENT,
        created_at=SUMMER_EVENING,
        seen=True,
    )
    with database.session() as session:
        session.add(orphan)
        with pytest.raises(IntegrityError):
            session.flush()


def test_the_reader_sees_what_was_committed_and_holds_no_transaction(database: Database) -> None:
    with database.reader.connect() as connection:
        before = connection.execute(select(Organization.name)).all()
        add(database, "Northwind")  # nobody waits for a reader
        after = connection.execute(select(Organization.name)).all()

    assert before == []
    assert [name for (name,) in after] == ["Northwind"]


#: What quotes, separates or escapes, and all else but the one character that no database holds.
TEXTS = st.text("\"'\\{}, \n%ab") | st.text(st.characters(exclude_characters="\0", codec="utf-8"))
KINDS = {
    "texts": (String, TEXTS | st.sampled_from(["", "NULL", "null"])),
    "numbers": (BigInteger, st.integers(-(2**63), 2**63 - 1)),
    "ids": (Uuid, st.uuids()),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_as_one_parameter_holds_exactly_what_is_in_it(database: Database, kind: str) -> None:
    column, values = KINDS[kind]
    found = select(one_of(bindparam("one", type_=column), bindparam("many", type_=Many(column))))

    @given(one=values, many=st.lists(values))
    def story(one: object, many: list[object]) -> None:
        with database.session() as session, session.begin():
            assert session.scalar(found, {"one": one, "many": many}) == (one in many)
            assert session.scalar(found, {"one": one, "many": [*many, one]})

    story()


def test_nobody_else_can_read_the_file(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'new.db'}")
    database.upgrade()

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    database.dispose()

    assert "new.db" in modes
    assert set(modes.values()) == {0o600}


def test_tables_are_current_after_an_upgrade_which_may_be_repeated(database: Database) -> None:
    assert database.is_current()
    database.upgrade()
    assert database.is_current()
