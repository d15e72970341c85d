from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from time import sleep

import pytest
from sqlalchemy import select, update

from keystore.clock import ManualClock
from keystore.db import Database, writing
from tests.properties.together import BLOCKED
from tests.webhooks.conftest import Publish, Subscribe
from tests.webhooks.desk import BROKEN, MINUTE, Desk
from webhooks import fairness, leases
from webhooks.choices import Choices
from webhooks.fairness import Room
from webhooks.models import Delivery, Subscription
from webhooks.picking import Job


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


def test_a_lane_whose_endpoint_has_all_that_it_may_have_at_once_awaits_its_answers(
    database: Database, desk: Desk, publish: Publish, clock: ManualClock
) -> None:
    def claim() -> leases.Claim:
        with database.session() as session, writing(session):
            room = Room(10, 10, 2, {})
            return leases.claim(session, now=clock.now(), owner="one", lease=MINUTE, room=room)

    publish(1)
    one_of_two = claim()
    assert len(one_of_two.jobs) == 1
    assert not one_of_two.awaiting
    desk.release(one_of_two.jobs)

    publish(2)
    both = claim()
    assert len(both.jobs) == 2
    assert both.awaiting == [both.jobs[0].lane], "what comes next is to be taken in time"
    desk.release(both.jobs)

    publish(3)
    cut = claim()
    assert cut.awaiting == [cut.jobs[0].lane]
    assert not cut.more, "there is no room for it now"

    desk.settle(cut.jobs, BROKEN)
    publish(4)
    publish(5)
    failing = claim()
    assert len(failing.jobs) == fairness.FAILING_CAP
    assert not failing.awaiting, "who fails is not hurried"


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
