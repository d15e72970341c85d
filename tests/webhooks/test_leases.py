from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from itertools import count
from random import Random
from threading import Barrier
from time import sleep

import pytest
from sqlalchemy import select, update

from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.db import Database, writing
from keystore.models import Organization
from tests.properties.together import BLOCKED, interleaved
from tests.webhooks.conftest import EVERYTHING, Publish, Subscribe
from webhooks import fairness, lanes, leases, retry
from webhooks.choices import Choices
from webhooks.fairness import Room
from webhooks.health import Health
from webhooks.leases import Claim, Result
from webhooks.models import Attempt, Delivery, DropReason, Subscription
from webhooks.outcome import Ending, Outcome
from webhooks.picking import Job
from webhooks.redelivery import Redelivery, Wish
from webhooks.retry import Decision
from webhooks.subscriptions import Subscriptions
from webhooks.switches import Switches

MINUTE = timedelta(minutes=1)
HEALTH = Health(timedelta(hours=40))
OK = Outcome(Ending.ANSWERED, 12, status=200, excerpt="ok")
BROKEN = Outcome(Ending.ANSWERED, 12, status=500, excerpt="oh")
GONE = Outcome(Ending.ANSWERED, 12, status=410)


@pytest.fixture
def desk(database: Database, clock: ManualClock, subscribe: Subscribe) -> "Desk":
    subscribe("https://hooks.example.com/northwind")
    return Desk(database, clock)


class Desk:
    """Somebody who claims and settles by hand."""

    def __init__(self, database: Database, clock: ManualClock) -> None:
        self._database = database
        self._clock = clock

    def claim(self, limit: int = 10, owner: str = "one", *, again_first: bool = False) -> list[Job]:
        return self.claim_all(limit, owner, again_first=again_first).jobs

    def claim_all(self, limit: int = 10, owner: str = "one", *, again_first: bool = False) -> Claim:
        with self._database.session() as session, writing(session):
            now, room = self._clock.now(), Room(limit, limit, limit, {}, again_first)
            leases.recall(session, now)
            return leases.claim(session, now=now, owner=owner, lease=MINUTE, room=room)

    def any_due(self) -> bool:
        with self._database.session() as session, session.begin():
            return lanes.any_due(session, self._clock.now())

    def settle(self, jobs: Sequence[Job], outcome: Outcome) -> int:
        results = [
            Result(job, self._clock.now(), ("a: b",), outcome, self.judge(job, outcome))
            for job in jobs
        ]
        with self._database.session() as session, writing(session):
            return leases.settle(session, results, now=self._clock.now(), health=HEALTH)

    def judge(self, job: Job, outcome: Outcome) -> Decision:
        return retry.decide(
            outcome,
            failures=job.attempts - job.throttles,
            throttles=job.throttles,
            now=self._clock.now(),
            random=Random(1),
        )

    def release(self, jobs: Sequence[Job]) -> None:
        with self._database.session() as session, writing(session):
            leases.release(session, jobs, self._clock.now())

    @property
    def deliveries(self) -> list[Delivery]:
        with self._database.session() as session, session.begin():
            return list(session.scalars(select(Delivery).order_by(Delivery.id)))

    @property
    def attempts(self) -> list[Attempt]:
        with self._database.session() as session, session.begin():
            return list(session.scalars(select(Attempt).order_by(Attempt.id)))

    @property
    def subscription(self) -> Subscription:
        with self._database.session() as session, session.begin():
            return session.scalars(select(Subscription)).one()

    def switch(self, *, on: bool) -> None:
        subscription, switches = self.subscription, Switches(self._clock)
        with self._database.session() as session:
            (switches.on if on else switches.off)(
                session,
                subscription.id,
                organization_id=subscription.organization_id,
                actor=SYSTEM,
            )


def test_a_job_brings_all_that_is_needed_to_send_it(desk: Desk, publish: Publish) -> None:
    event = publish(7)
    [job] = desk.claim()
    assert (job.event_id, job.body) == (event.id.hex, b'{"note": 7}')
    assert job.endpoint.target_url == "https://hooks.example.com/northwind"
    assert (job.attempts, job.throttles) == (0, 0)


def test_what_one_has_claimed_nobody_else_gets(desk: Desk, publish: Publish) -> None:
    for number in range(3):
        publish(number)
    first, second = desk.claim(2), desk.claim(2)
    assert [job.body for job in first + second] == [b'{"note": %d}' % n for n in range(3)]
    assert first[0].token == first[1].token != second[0].token
    assert desk.claim() == []
    assert not desk.any_due()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_lane_that_is_being_served_is_passed_over_and_has_its_turn_again(
    database: Database, desk: Desk, publish: Publish, clock: ManualClock
) -> None:
    """On PostgreSQL alone: SQLite lets one write at a time, so no claim meets another."""
    publish(1)
    publish(2)
    with database.session() as session, writing(session):
        room = Room(1, 1, 1, {})
        ours = leases.claim(session, now=clock.now(), owner="one", lease=MINUTE, room=room).jobs
        theirs = desk.claim_all()
        assert not theirs.jobs
        assert theirs.contended
    theirs = desk.claim_all()
    assert [job.body for job in ours + theirs.jobs] == [b'{"note": 1}', b'{"note": 2}']
    assert not theirs.contended
    assert not desk.claim_all().contended


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_claim_of_full_lanes_leaves_others_to_others(
    database: Database, desk: Desk, publish: Publish, subscribe: Subscribe, clock: ManualClock
) -> None:
    for number in range(3):
        subscribe(f"https://hooks.example.com/{number}")
    enough = 2 * leases.LANES_WORTH
    for _ in range(enough):
        publish()
    with database.session() as session, writing(session):
        room = Room(enough, enough, enough, {})
        ours = leases.claim(session, now=clock.now(), owner="one", lease=MINUTE, room=room)
        theirs = desk.claim_all(enough)
    lanes_of_ours = {job.lane for job in ours.jobs}
    assert len(ours.jobs) == len(theirs.jobs) == enough
    assert len(lanes_of_ours) == 2
    assert not lanes_of_ours & {job.lane for job in theirs.jobs}
    assert ours.more


def test_a_claim_of_lanes_that_hold_little_goes_on_to_others(
    desk: Desk, publish: Publish, subscribe: Subscribe
) -> None:
    for number in range(29):
        subscribe(f"https://hooks.example.com/{number}")
    publish()
    claim = desk.claim_all(30)
    assert len({job.lane for job in claim.jobs}) == len(claim.jobs) == 30
    assert desk.claim() == []


@pytest.mark.parametrize("outcome", [BROKEN, GONE])
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


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_who_keeps_jobs_and_who_switches_off_their_subscription_wait_in_no_circle(
    database: Database, desk: Desk, publish: Publish, clock: ManualClock
) -> None:
    publish(1)
    publish(2)
    jobs = sorted(desk.claim(), key=lambda job: job.delivery_id)

    def keep() -> None:
        with database.session() as session, writing(session):
            leases.extend(session, list(reversed(jobs)), clock.now() + MINUTE)

    with ThreadPoolExecutor() as pool:
        with database.session() as session, session.begin():
            first = Delivery.id == jobs[0].delivery_id
            session.execute(select(Delivery.id).where(first).with_for_update())
            switched = pool.submit(desk.switch, on=False)
            sleep(BLOCKED)
            kept = pool.submit(keep)
            sleep(BLOCKED)  # both wait for this row, and may have the other
        switched.result()
        kept.result()
    assert {one.state.value for one in desk.deliveries} == {"dropped"}


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


def test_what_was_published_just_as_its_subscription_ended_is_dropped_unsent(
    database: Database, desk: Desk, publish: Publish
) -> None:
    publish()
    with database.session() as session, writing(session):
        session.execute(update(Subscription).values(is_active=False))
    assert desk.claim() == []
    [delivery] = desk.deliveries
    assert (delivery.state, delivery.attempts) == ("dropped", 0)
    assert not desk.any_due()


def test_what_is_given_back_can_be_taken_at_once(desk: Desk, publish: Publish) -> None:
    publish()
    jobs = desk.claim()
    desk.release(jobs)
    [again] = desk.claim()
    assert again.delivery_id == jobs[0].delivery_id
    desk.release(jobs)  # too late: it is another's now
    assert desk.claim() == []


def test_an_answer_may_hold_any_character(desk: Desk, publish: Publish) -> None:
    publish()
    desk.settle(desk.claim(), BROKEN._replace(excerpt="a\0b � 😀", error="e" * 999))
    [attempt] = desk.attempts
    assert attempt.response_excerpt == "a�b � 😀"
    assert attempt.error == "e" * 200


def test_two_workers_together_keep_to_the_rate_that_a_subscriber_wants(
    database: Database, subscribe: Subscribe, publish: Publish, clock: ManualClock
) -> None:
    """At 60 a minute: two at once, then one in about a second, whoever claims."""
    subscribe("https://hooks.example.com/slow", chosen=Choices(rate=60))
    desk = Desk(database, clock)
    for _ in range(10):
        publish()

    taken = [len(desk.claim(owner=owner)) for owner in ("one", "two", "one")]
    assert taken == [2, 0, 0]
    for owner in ("two", "one", "two"):
        clock.advance(timedelta(seconds=61 / 59))
        assert [len(desk.claim(owner=one)) for one in (owner, "three")] == [1, 0]


def test_four_workers_that_claim_in_the_same_moment_keep_to_it_too(
    database: Database, subscribe: Subscribe, publish: Publish, clock: ManualClock
) -> None:
    subscribe("https://hooks.example.com/slow", chosen=Choices(rate=60))
    desk, together = Desk(database, clock), Barrier(4)
    for _ in range(20):
        publish()

    def claim(owner: str) -> int:
        together.wait(30)
        return len(desk.claim(owner=owner))

    with ThreadPoolExecutor(4) as workers:
        taken = []
        for _ in range(12):
            taken.append(sum(workers.map(claim, ("one", "two", "three", "four"))))
            clock.advance(timedelta(seconds=61 / 59))
    assert taken == [2, *[1] * 11]


def test_a_lane_of_retries_alone_waits_for_its_bucket(
    database: Database, subscribe: Subscribe, publish: Publish, clock: ManualClock
) -> None:
    subscribe("https://hooks.example.com/slow", chosen=Choices(rate=60))
    desk = Desk(database, clock)
    publish()
    publish()
    assert desk.settle(desk.claim(), BROKEN) == 2
    clock.advance(timedelta(days=1))
    assert len(desk.claim(1)) == 1
    publish()
    assert len(desk.claim(1)) == 1
    assert desk.claim() == []
    assert not desk.any_due()
    clock.advance(timedelta(seconds=61 / 59))
    assert len(desk.claim()) == 1


def test_retries_take_no_more_than_their_share_of_a_claim(
    database: Database, subscribe: Subscribe, publish: Publish, clock: ManualClock
) -> None:
    for number in range(6):
        subscribe(f"https://hooks.example.com/{number}")
    desk = Desk(database, clock)
    publish()
    assert desk.settle(desk.claim(6), BROKEN) == 6
    clock.advance(timedelta(days=1))
    publish()

    with database.session() as session, writing(session):
        room = Room(12, 2, 12, {})
        jobs = leases.claim(session, now=clock.now(), owner="one", lease=MINUTE, room=room).jobs

    assert sorted(job.attempts for job in jobs) == [0] * 6 + [1] * 2


def test_a_retry_has_its_turn_though_there_is_always_something_new(
    desk: Desk, publish: Publish, clock: ManualClock
) -> None:
    publish()
    [job] = desk.claim()
    desk.settle([job], BROKEN)
    clock.advance(timedelta(days=1))

    claimed: list[Job] = []
    for number in range(fairness.RETRIES_TURN):
        publish(number)
        publish(number)
        claimed += desk.claim(1, again_first=fairness.is_turn_of_retries(number))

    assert [one.attempts for one in claimed] == [*[0] * (fairness.RETRIES_TURN - 1), 1]
    assert claimed[-1].delivery_id == job.delivery_id
