"""An installation that has keys with an expiry already: those that have not ended are watched."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from alembic import command
from sqlalchemy import select, update

from keystore.audit import SYSTEM
from keystore.db import Database, writing
from keystore.keys import Issued, Keys
from keystore.models import Key, Organization
from keystore.notice_models import ExpiryWatch

DAY = timedelta(days=1)
BEFORE = "0015"


@pytest.fixture
def database(database: Database) -> Iterator[Database]:
    yield database
    command.upgrade(database._alembic(), "head")


def test_keys_that_have_not_ended_are_watched_from_the_upgrade_on(
    database: Database, keys: Keys, organization: Organization
) -> None:
    now = datetime.now(UTC)  # the migration's own
    ends = {"Far": now + 90 * DAY, "Near": now + 3 * DAY, "Past": now - DAY, "For ever": None}
    made: dict[str, Issued] = {}
    for name in (*ends, "Gone"):
        with database.session() as session:
            made[name] = keys.create(
                session, organization_id=organization.id, name=name, actor=SYSTEM
            )
    with database.session() as session, writing(session):
        for name, end in ends.items():
            session.execute(update(Key).where(Key.name == name).values(expires_at=end))
        gone = {"expires_at": now + 90 * DAY, "deleted_at": now}
        session.execute(update(Key).where(Key.name == "Gone").values(**gone))
    command.downgrade(database._alembic(), BEFORE)

    database.upgrade()

    with database.session() as session, session.begin():
        found = {one.key_id: one.due_at for one in session.scalars(select(ExpiryWatch))}
    assert found == {
        made["Far"].key.id: now + 60 * DAY,
        made["Near"].key.id: now - 27 * DAY,
    }
