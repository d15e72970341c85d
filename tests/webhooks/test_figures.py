"""How much waits, and how subscriptions fare."""

from datetime import datetime
from typing import Any

from sqlalchemy import event, update

from keystore.clock import ManualClock
from keystore.db import Database, writing
from tests.support.receiver import Answer, Receiver
from tests.webhooks.conftest import Publish, Subscribe
from webhooks import figures
from webhooks.figures import Backlog, Condition
from webhooks.models import Subscription
from webhooks.worker import Worker


def backlog(database: Database, clock: ManualClock) -> Backlog:
    with database.session() as session:
        return figures.backlog(session, clock.now())


def test_what_waits_is_counted_and_the_oldest_is_named(
    database: Database,
    clock: ManualClock,
    worker: Worker,
    subscribe: Subscribe,
    publish: Publish,
    receiver: Receiver,
) -> None:
    assert backlog(database, clock) == (0, 0, 0)
    subscribe(receiver.url())
    publish(1)
    clock.advance(40)
    publish(2)
    clock.advance(2)
    assert backlog(database, clock) == (2, 2, 42)

    receiver.then(Answer(503))
    worker.run_once()

    assert backlog(database, clock) == (1, 0, 0), "a retry waits, and is not due"
    clock.advance(3600)
    assert backlog(database, clock).due == 1
    worker.run_once()
    assert backlog(database, clock) == (0, 0, 0)


def test_the_log_is_not_read_for_it(database: Database, clock: ManualClock) -> None:
    statements: list[tuple[str, Any]] = []
    event.listen(
        database.engine,
        "before_cursor_execute",
        lambda _c, _cur, text, parameters, _ctx, _many: statements.append((text, parameters)),
    )
    backlog(database, clock)

    asked = [one for one in statements if one[0].startswith("SELECT")]
    assert len(asked) == 3
    with database.engine.begin() as connection:
        if not database.is_sqlite:  # a table this small is read whole, unless that is forbidden
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
        plans = [
            str(connection.exec_driver_sql(explain + text, values).all()) for text, values in asked
        ]
    for plan, index in zip(plans, ("leased", "first", "again"), strict=True):
        assert f"ix_deliveries_{index}" in plan


def test_subscriptions_are_counted_by_how_they_fare(
    database: Database, clock: ManualClock, subscribe: Subscribe
) -> None:
    now = clock.now()
    changes: tuple[dict[str, datetime], ...] = (
        {},
        {},
        {"failing_since": now},
        {"failing_since": now, "disabled_at": now},
    )
    for number, change in enumerate((*changes, {"failing_since": now, "ended_at": now})):
        made = subscribe(f"http://127.0.0.1:9/{number}").subscription
        if change:
            with database.session() as session, writing(session):
                session.execute(
                    update(Subscription).where(Subscription.id == made.id).values(change)
                )

    with database.session() as session:
        assert figures.conditions(session) == {
            Condition.ACTIVE: 2,
            Condition.FAILING: 1,
            Condition.DISABLED: 1,
            Condition.ENDED: 1,
        }
