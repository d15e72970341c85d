from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from itertools import count
from time import sleep

import pytest

from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.db import Database, writing
from keystore.models import Organization
from tests.properties.together import BLOCKED, interleaved
from tests.support.statements import statements
from tests.webhooks.conftest import EVERYTHING, Publish, Subscribe
from tests.webhooks.desk import BROKEN, GONE, MINUTE, OK, Desk
from webhooks import lanes, retry
from webhooks.models import DropReason, Subscription
from webhooks.outcome import Outcome
from webhooks.redelivery import Redelivery, Wish
from webhooks.subscriptions import Subscriptions


@pytest.mark.parametrize("outcome", [OK, BROKEN, GONE])
def test_a_lease_that_has_run_out_can_be_taken_over_and_the_late_one_changes_nothing(
    desk: Desk, publish: Publish, clock: ManualClock, outcome: Outcome
) -> None:
    publish()
    late = desk.claim(owner="late")
    clock.advance(MINUTE)
    heir = desk.claim(owner="heir")
    assert [job.delivery_id for job in heir] == [job.delivery_id for job in late]
    assert desk.settle(late, outcome) == 0
    assert desk.attempts == []
    assert desk.settle(heir, OK) == 1
    assert desk.settle(late, outcome) == 0
    [delivery] = desk.deliveries
    assert (delivery.state, delivery.attempts) == ("delivered", 1)
    assert delivery.lease_token is None
    assert (desk.subscription.ended_at, desk.subscription.failing_since) == (None, None)


def test_both_of_one_s_own_leases_on_a_row_are_told_apart(
    desk: Desk, publish: Publish, clock: ManualClock
) -> None:
    publish()
    [first] = desk.claim()
    clock.advance(MINUTE)
    [second] = desk.claim()
    assert desk.settle([first, second], OK) == 1
    assert len(desk.attempts) == 1


def test_a_lost_lease_is_not_taken_for_the_next_one_of_the_same_row(
    desk: Desk, publish: Publish, clock: ManualClock
) -> None:
    publish()
    [late] = desk.claim()
    clock.advance(MINUTE)
    publish()
    _, other = desk.claim()  # the first once more, and one whose result comes along
    assert desk.settle([late, other], OK) == 1
    assert [one.state for one in desk.deliveries] == ["pending", "delivered"]
    assert [one.delivery_id for one in desk.attempts] == [other.delivery_id]


def test_a_success_is_written_down(desk: Desk, publish: Publish, clock: ManualClock) -> None:
    publish()
    jobs = desk.claim()
    clock.advance(3)
    assert desk.settle(jobs, OK) == 1
    [delivery], [attempt] = desk.deliveries, desk.attempts
    assert (delivery.state, delivery.finished_at) == ("delivered", clock.now())
    assert (attempt.number, attempt.outcome, attempt.status) == (1, "answered", 200)
    assert (attempt.duration_ms, attempt.response_excerpt) == (12, "ok")
    assert attempt.request_headers == "a: b"


def test_what_has_arrived_takes_the_fewest_statements(
    database: Database, desk: Desk, publish: Publish
) -> None:
    publish(1)
    publish(2)
    jobs = desk.claim()
    with statements(database) as asked:
        assert desk.settle(jobs, OK) == 2
    writes = [sql for sql in asked if "UPDATE deliveries" in sql or "INTO attempts" in sql]
    assert len(writes) == (2 if database.is_sqlite else 1)
    assert not [sql for sql in asked if sql.startswith("SELECT")]


def test_a_failure_waits_for_its_time_and_counts(
    desk: Desk, publish: Publish, clock: ManualClock
) -> None:
    publish()
    for number in range(1, 6):
        [job] = desk.claim()
        assert job.attempts == number - 1
        desk.settle([job], BROKEN)
        [delivery] = desk.deliveries
        assert (delivery.state, delivery.attempts) == ("pending", number)
        assert desk.claim() == []
        clock.advance(delivery.due_at - clock.now())
    desk.settle(desk.claim(), BROKEN)
    [delivery] = desk.deliveries
    assert (delivery.state, delivery.attempts) == ("failed", 6)
    assert delivery.finished_at == clock.now()
    assert [attempt.number for attempt in desk.attempts] == [1, 2, 3, 4, 5, 6]
    clock.advance(timedelta(days=365))
    assert desk.claim() == []


def test_429_is_an_attempt_that_costs_none(
    desk: Desk, publish: Publish, clock: ManualClock
) -> None:
    publish()
    desk.settle(desk.claim(), OK._replace(status=429))
    clock.advance(60)
    [job] = desk.claim()
    assert (job.attempts, job.throttles) == (1, 1)
    desk.settle([job], BROKEN)
    [delivery] = desk.deliveries
    # The first rung of the schedule, jittered: five minutes.
    assert MINUTE * 4 <= delivery.due_at - clock.now() <= MINUTE * 6
    assert (delivery.attempts, delivery.throttles) == (2, 1)


def test_410_ends_the_subscription_and_all_that_waits_for_it(
    database: Database, desk: Desk, publish: Publish, subscribe: Subscribe
) -> None:
    other = subscribe("https://hooks.example.com/other").subscription
    publish(1)
    publish(2)
    jobs = desk.claim()
    gone = next(job for job in jobs if job.endpoint.subscription_id != other.id)
    desk.settle([gone], GONE)
    states = {(one.subscription_id == other.id, one.state.value) for one in desk.deliveries}
    assert states == {(True, "pending"), (False, "dropped")}
    with database.session() as session, session.begin():
        ended = session.get_one(Subscription, gone.endpoint.subscription_id)
        assert (ended.is_active, ended.ended_reason) == (False, "target gone")
        assert session.get_one(Subscription, other.id).is_active
    assert [attempt.status for attempt in desk.attempts] == [410]


@pytest.mark.parametrize("outcome", [BROKEN, GONE])
def test_what_the_former_target_says_is_nothing_to_the_new_one(
    database: Database,
    desk: Desk,
    publish: Publish,
    subscriptions: Subscriptions,
    organization: Organization,
    outcome: Outcome,
) -> None:
    publish()
    [job] = desk.claim()
    with database.session() as session:
        subscriptions.change(
            session,
            job.endpoint.subscription_id,
            organization_id=organization.id,
            caller=EVERYTHING,
            actor=SYSTEM,
            target_url="https://hooks.example.com/southwind",
        )
    assert desk.settle([job], outcome) == 1
    assert (desk.subscription.ended_at, desk.subscription.failing_since) == (None, None)
    [again] = desk.claim()
    assert again.endpoint.target_url == "https://hooks.example.com/southwind"
    assert again.attempts - again.throttles == 0, "it has all of its retries before it"
    assert [attempt.status for attempt in desk.attempts] == [outcome.status]


def test_what_is_to_be_sent_again_while_its_last_attempt_is_under_way_is_sent_again(
    database: Database, desk: Desk, publish: Publish, organization: Organization, clock: ManualClock
) -> None:
    publish()
    for _ in retry.CONTRACT:
        assert desk.settle(desk.claim(), BROKEN) == 1
        clock.advance(desk.deliveries[0].due_at - clock.now())
    [last] = desk.claim()
    desk.switch(on=False)
    desk.switch(on=True)
    with database.session() as session:
        made = Redelivery(clock).again(
            session,
            last.endpoint.subscription_id,
            Wish(ids=[last.delivery_id]),
            organization_id=organization.id,
            actor=SYSTEM,
        )
    assert made == 1
    assert desk.settle([last], BROKEN) == 1
    [again] = desk.claim()
    assert (again.attempts, again.attempts - again.throttles) == (6, 0)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_what_was_delivered_stays_so_whenever_its_subscription_is_switched_off(
    database: Database, desk: Desk, publish: Publish
) -> None:
    """On PostgreSQL alone: SQLite lets one write at a time, so nobody meets another."""
    for statement in count(1):
        publish()
        [job] = desk.claim()
        came, went_so_far = interleaved(
            database.engine,
            partial(desk.settle, [job], OK),
            partial(desk.switch, on=False),
            statement,
        )
        assert came == (1, None)
        assert desk.deliveries[-1].state == "delivered"
        desk.switch(on=True)
        if not went_so_far:
            break
    assert statement > 1, "it has been stopped before its first"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_what_was_delivered_stays_so_though_it_is_being_dropped_this_moment(
    database: Database, desk: Desk, publish: Publish, clock: ManualClock
) -> None:
    publish()
    [job] = desk.claim()
    lane = job.endpoint.subscription_id
    with ThreadPoolExecutor() as pool:
        with database.session() as session, writing(session):
            lanes.drop_waiting(session, [lane], DropReason.ENDED, clock.now())
            settled = pool.submit(desk.settle, [job], OK)
            sleep(BLOCKED)
            assert not settled.done(), "it waits for whoever drops it"
        assert settled.result() == 1
    assert [one.state for one in desk.deliveries] == ["delivered"]
    assert [(one.number, one.status) for one in desk.attempts] == [(1, 200)]


@pytest.mark.parametrize(
    ("outcome", "state"), [(OK, "delivered"), (BROKEN, "dropped"), (GONE, "dropped")]
)
def test_a_subscription_that_ends_while_a_request_is_under_way(
    database: Database,
    desk: Desk,
    publish: Publish,
    subscriptions: Subscriptions,
    organization: Organization,
    outcome: Outcome,
    state: str,
) -> None:
    publish()
    [job] = desk.claim()
    with database.session() as session:
        subscriptions.unsubscribe(
            session, job.endpoint.subscription_id, organization_id=organization.id, actor=SYSTEM
        )
    assert desk.settle([job], outcome) == 1  # what happened is told all the same
    [delivery] = desk.deliveries
    assert (delivery.state, delivery.attempts, len(desk.attempts)) == (state, 1, 1)
    assert desk.claim() == []


def test_an_answer_may_hold_any_character(desk: Desk, publish: Publish) -> None:
    publish()
    desk.settle(desk.claim(), BROKEN._replace(excerpt="a\0b � 😀", error="e" * 999))
    [attempt] = desk.attempts
    assert attempt.response_excerpt == "a�b � 😀"
    assert attempt.error == "e" * 200
