"""An installation that has an audit log already: it is chained as it stands, and goes on."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from alembic import command
from sqlalchemy import text

from keystore import audit, trail
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.db import Database, writing
from tests.support.databases import PostgreSQL, fresh_database

BEFORE, CHAINED = "0001", "0003"
NOW = ManualClock().now()
DETAILS = ['{"name": "Zürich", "scopes": ["a", "b"]}', "{}", '{"before": "\\u2028", "n": 1}']


@pytest.fixture(params=["sqlite", "postgresql"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without any table yet."""
    if request.param == "sqlite":
        with fresh_database(f"sqlite:///{tmp_path / 'old.db'}") as database:
            yield database
        return
    server: PostgreSQL = request.getfixturevalue("postgresql")
    url = server.create()
    with fresh_database(url) as database:
        with database.engine.begin() as connection:
            connection.exec_driver_sql("DROP SCHEMA public CASCADE")
            connection.exec_driver_sql("CREATE SCHEMA public")
        yield database
    server.drop(url)


def test_existing_rows_are_chained_in_their_order(old: Database) -> None:
    command.upgrade(old._alembic(), BEFORE)
    organizations = [uuid4(), uuid4(), uuid4()]
    sqlite = old.is_sqlite
    with old.engine.begin() as connection:
        for number, organization_id in enumerate(organizations):
            connection.execute(
                text("INSERT INTO organizations VALUES (:id, :name, :at)"),
                {
                    "id": organization_id.hex,
                    "name": f"n{number}",
                    "at": "2026-01-01 00:00:00.000000" + ("" if sqlite else "+00"),
                },
            )
        for number in range(30):
            connection.execute(
                text(
                    "INSERT INTO audit_events (organization_id, at, actor_kind, actor_label,"
                    " action, subject_type, subject_id, detail) VALUES"
                    " (:organization, :at, 'cli', 'root', :action, 'key', 'k', :detail)"
                ),
                {
                    "organization": organizations[number % 2].hex,
                    "at": f"2026-01-01 00:00:{30 - number:02}.000{number:03}"
                    + ("" if sqlite else "+00"),
                    "action": f"thing.{number}",
                    "detail": DETAILS[number % 3],
                },
            )

    command.upgrade(old._alembic(), CHAINED)

    for number, organization_id in enumerate(organizations):
        expected = [f"thing.{n}" for n in range(30) if n % 2 == number]
        with old.session() as session:
            assert [one.action for one in audit.events(session, organization_id)] == expected
        with old.session() as session, writing(session):
            audit.record(
                session,
                NOW,
                SYSTEM,
                "thing.new",
                organization_id=organization_id,
                subject_type="key",
                subject_id=organization_id,
            )
        with old.session() as session:
            verdict = trail.verify(session, organization_id)
        assert verdict.broken is None
        assert verdict.length == len(expected) + 1


def test_the_way_back_keeps_the_rows(old: Database) -> None:
    command.upgrade(old._alembic(), BEFORE)
    organization_id = uuid4()
    with old.engine.begin() as connection:
        connection.execute(
            text("INSERT INTO organizations VALUES (:id, 'n', :at)"),
            {"id": organization_id.hex, "at": "2026-01-01 00:00:00.000000"},
        )
    command.upgrade(old._alembic(), CHAINED)
    with old.session() as session, writing(session):
        for action in ("thing.one", "thing.two"):
            audit.record(
                session,
                NOW,
                SYSTEM,
                action,
                organization_id=organization_id,
                subject_type="key",
                subject_id=organization_id,
            )

    command.downgrade(old._alembic(), BEFORE)
    with old.engine.connect() as connection:
        actions = connection.scalars(text("SELECT action FROM audit_events ORDER BY id")).all()
    assert actions == ["thing.one", "thing.two"]

    command.upgrade(old._alembic(), CHAINED)
    with old.session() as session:
        verdict = trail.verify(session, organization_id)
    assert (verdict.length, verdict.broken) == (2, None)
