"""When there is something to tell of a key: said once more, the later word counts."""

from datetime import timedelta

from sqlalchemy import select

from keystore import watches
from keystore.clock import ManualClock
from keystore.db import Database, writing
from keystore.keys import Issued
from keystore.notice_models import ExpiryWatch


def test_the_last_word_counts(database: Database, issued: Issued, clock: ManualClock) -> None:
    now = clock.now()
    for due_at in (None, now, now + timedelta(days=1), now, None, None):
        with database.session() as session, writing(session):
            watches.keep(session, issued.key.id, due_at)
        with database.session() as session, session.begin():
            found = session.scalars(select(ExpiryWatch.due_at)).all()
        assert found == [due_at] * (due_at is not None)
