from typing import Any

import pytest
from sqlalchemy import event, select, update
from sqlalchemy.orm import Session

from keystore.clock import ManualClock
from keystore.db import Database, writing
from keystore.models import Organization
from keystore.vault import Vault
from tests.support.many import subscribe_many
from tests.support.receiver import Receiver
from tests.webhooks.conftest import NOTE_READY, Publish, Subscribe
from tests.webhooks.desk import Desk
from webhooks import lanes, outbox
from webhooks.models import Lane
from webhooks.worker import Worker

#: On PostgreSQL alone: SQLite lets one write at a time, so nobody meets another.
at_once = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def forgotten(database: Database, clock: ManualClock) -> int:
    with database.session() as session, writing(session):
        return lanes.call_forgotten(session, clock.now())


def write(session: Session, organization: Organization, clock: ManualClock, body: bytes) -> None:
    """Publish in a transaction that goes on."""
    outbox.publish(
        session,
        organization_id=organization.id,
        event_type=NOTE_READY,
        body=body,
        subject="note",
        audience=None,
        now=clock.now(),
    )


@at_once
def test_what_is_published_as_a_worker_finds_the_lane_empty_is_found_again(
    database: Database,
    organization: Organization,
    receiver: Receiver,
    subscribe: Subscribe,
    publish: Publish,
    worker: Worker,
    clock: ManualClock,
) -> None:
    subscribe(receiver.url())
    publish(1)
    assert worker.run_once() == 1
    with database.session() as session, writing(session):
        write(session, organization, clock, b"late")  # its turn has come, so it is left alone
        assert worker.run_once() == 0  # and the worker has the last word
    with database.session() as session, session.begin():
        assert not lanes.any_due(session, clock.now())
    assert worker.run_once() == 1
    assert [request.body for request in receiver.requests] == [b'{"note": 1}', b"late"]


@at_once
def test_what_is_published_as_a_worker_empties_the_lane_is_found_the_next_time(
    database: Database,
    organization: Organization,
    publish: Publish,
    desk: Desk,
    clock: ManualClock,
) -> None:
    publish(1)
    with database.session() as session, writing(session):
        write(session, organization, clock, b"late")
        assert [job.body for job in desk.claim()] == [b'{"note": 1}']
    assert [job.body for job in desk.claim()] == [b"late"]


def test_a_lane_has_its_turn_until_nothing_is_found_in_it(publish: Publish, desk: Desk) -> None:
    publish(1)
    first = desk.claim_all()
    assert (len(first.jobs), first.lingering, first.emptied) == (1, 1, [])
    assert not first.more, "nothing that is known of"
    assert desk.any_due()

    second = desk.claim_all()
    assert (second.jobs, second.lingering, len(second.emptied)) == ([], 0, 1)
    assert not desk.any_due()


@at_once
def test_who_publishes_waits_for_nobody_else_who_does(
    database: Database,
    organization: Organization,
    subscribe: Subscribe,
    publish: Publish,
    clock: ManualClock,
) -> None:
    """In one thread: were there a wait, it would never end."""
    subscribe("https://hooks.example.com/northwind")
    with database.session() as session, session.begin() as first:
        write(session, organization, clock, b"undone")
        publish(1)
        first.rollback()  # which takes back the call of the lane, too
    assert forgotten(database, clock) == 1
    with database.session() as session, session.begin():
        assert lanes.any_due(session, clock.now())


@at_once
def test_who_calls_what_was_forgotten_waits_for_nobody(
    database: Database, subscribe: Subscribe, publish: Publish, clock: ManualClock
) -> None:
    """In one thread, as above: a worker that has one lane already could wait in a circle."""
    subscribe("https://hooks.example.com/northwind")
    publish(1)
    with database.session() as session, writing(session):
        session.execute(update(Lane).values(turn_at=None))
    with database.session() as session, session.begin():
        session.execute(select(Lane.subscription_id).with_for_update())
        assert forgotten(database, clock) == 1
    assert forgotten(database, clock) == 1, "it was left to whoever had it"
    assert forgotten(database, clock) == 0


def test_a_lane_that_somebody_has_called_is_not_forgotten(
    database: Database, subscribe: Subscribe, publish: Publish, clock: ManualClock
) -> None:
    subscribe("https://hooks.example.com/northwind")
    publish(1)
    assert forgotten(database, clock) == 0
    with database.session() as session, session.begin():
        assert session.scalars(select(Lane.turn_at)).one() == clock.now()


def test_of_many_that_are_due_at_once_no_more_are_looked_at_than_taken(
    database: Database, vault: Vault, subscribe: Subscribe, clock: ManualClock
) -> None:
    """Each event for all calls them so; each batch of deliveries then takes a few."""
    many_are_due(database, vault, subscribe, clock)
    asked = overheard(database)
    with database.session() as session, writing(session):
        assert len(lanes.take_turns(session, now=clock.now(), limit=5)) == 5

    statement, values = asked[-1]
    explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN (ANALYZE, FORMAT JSON)"
    with database.engine.begin() as connection:
        given = tuple(values) if database.is_sqlite else values
        plan = connection.exec_driver_sql(f"{explain} {statement}", given).all()
    if database.is_sqlite:
        [search] = [one for one in plan if one.detail.startswith("SEARCH lanes")]
        beside = [one.detail for one in plan if one.parent == search.parent]
        assert "ix_lanes_turn" in search.detail
        assert not any("B-TREE" in detail for detail in beside), "they are sorted"
    else:
        [scan] = scans(plan[0][0][0]["Plan"], "lanes")
        assert (scan["Index Name"], scan["Actual Rows"]) == ("ix_lanes_turn", 5)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_whatever_waits_is_asked_for_lane_by_lane(
    database: Database, vault: Vault, subscribe: Subscribe, clock: ManualClock
) -> None:
    """Where little waits, to read what waits in all lanes may be the best plan; it is kept."""
    many_are_due(database, vault, subscribe, clock)
    asked = overheard(database)
    with database.session() as session, writing(session):
        turns = lanes.take_turns(session, now=clock.now(), limit=500)
        some = [turn.endpoint.subscription_id for turn in turns]
        lanes.call_forgotten(session, clock.now(), some)
        lanes.run_dry(session, some, clock.now())

    with database.engine.begin() as connection:
        for statement, values in tuple(asked):
            plan = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", values).all()
            for scan in scans(plan[0][0][0]["Plan"], "deliveries"):
                assert "subscription_id" in scan["Index Cond"]


def many_are_due(
    database: Database, vault: Vault, subscribe: Subscribe, clock: ManualClock
) -> None:
    """Let it be the turn of a thousand lanes, and the database know that there are so many."""
    first = subscribe("https://hooks.example.com/northwind")
    subscribe_many(database, vault, first, [f"https://{one}.example.com/" for one in range(1000)])
    with database.session() as session, writing(session):
        session.execute(update(Lane).values(turn_at=clock.now()))
    database.analyze()


def overheard(database: Database) -> list[tuple[str, Any]]:
    """Return a list to which each statement comes from now on, with its values."""
    asked: list[tuple[str, Any]] = []
    event.listen(
        database.engine,
        "before_cursor_execute",
        lambda _c, _cur, text, values, _ctx, _many: asked.append((text, values)),
    )
    return asked


def scans(plan: dict[str, Any], table: str) -> list[dict[str, Any]]:
    """Return the nodes of a plan of PostgreSQL's that read a table."""
    here = [plan] if plan.get("Relation Name") == table else []
    return here + [scan for one in plan.get("Plans", ()) for scan in scans(one, table)]
