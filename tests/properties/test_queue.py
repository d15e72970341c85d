"""Two workers take, settle, lose and give back deliveries, in any order, in their own time.

The model knows of each delivery when it is due and whose it is. The workers see nothing of it, and
must never get what is another's, nor leave what could be sent.
"""

from collections import Counter
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, select, update

from keystore import scopes
from keystore.accounts import Accounts
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.db import Database, writing
from keystore.keys import Keys
from keystore.vault import Vault
from webhooks import lanes, leases, outbox, retry, settling
from webhooks.catalog import Catalog, EventType
from webhooks.fairness import FAILING_CAP, Room
from webhooks.health import Health
from webhooks.models import Attempt, Delivery, DeliveryState, Lane, Subscription
from webhooks.outcome import Ending, Outcome
from webhooks.picking import Job
from webhooks.retry import Decision, Delivered, Retry
from webhooks.settling import Result
from webhooks.subscriptions import Subscriptions

RANG = EventType("bell.rang", "Bell", "A bell rang.", {}, {}, frozenset())
LEASE = timedelta(seconds=60)
CAP = 3  # requests at once to one endpoint
BUDGET = timedelta(days=365)  # nobody is switched off here
ENDPOINTS = 5
WORKERS = st.sampled_from(["one", "two"])
ANSWERS = st.sampled_from([200, 500, 429])


class Tower:
    """Endpoints that want to hear of a bell."""

    def __init__(self, database: Database, clock: ManualClock, vault: Vault) -> None:
        self.database, self.clock = database, clock
        catalog = Catalog()
        catalog.register(RANG)
        with database.session() as session:
            made = Accounts(clock).create_organization(session, name="Tower", actor=SYSTEM)
        self.organization_id = made.id
        with database.session() as session:
            key = Keys(vault, clock).create(
                session, organization_id=made.id, name="Bell", actor=SYSTEM
            )
        self.lanes = [
            self._subscribe(Subscriptions(vault, clock, catalog, ()), key.key.id, number)
            for number in range(ENDPOINTS)
        ]

    def _subscribe(self, subscriptions: Subscriptions, key_id: UUID, number: int) -> UUID:
        with self.database.session() as session:
            return subscriptions.subscribe(
                session,
                organization_id=self.organization_id,
                key_id=key_id,
                event_type=RANG.name,
                target_url=f"https://ear{number}.example/",
                operations=scopes.DEFAULT,
                actor=SYSTEM,
            ).subscription.id

    def ring(self) -> list[Delivery]:
        with self.database.session() as session, writing(session):
            event = outbox.publish(
                session,
                organization_id=self.organization_id,
                event_type=RANG,
                body=b"{}",
                subject="bell",
                audience=None,
                now=self.clock.now(),
            )
        with self.database.session() as session, session.begin():
            return list(session.scalars(select(Delivery).where(Delivery.event_id == event.id)))

    def claim(self, owner: str, room: Room, *, sparing: bool = True) -> leases.Claim:
        with self.database.session() as session, writing(session):
            return leases.claim(
                session,
                now=self.clock.now(),
                owner=owner,
                lease=LEASE,
                room=room,
                sparing=sparing,
            )

    def forget(self) -> None:
        """Make all as it was in the beginning."""
        with self.database.session() as session, writing(session):
            session.execute(delete(Attempt))
            session.execute(delete(Delivery))
            session.execute(update(Lane).values(turn_at=None, full_at=None))
            session.execute(update(Subscription).values(failing_since=None, warned_at=0))


@pytest.fixture
def tower(database: Database, clock: ManualClock, vault: Vault) -> Tower:
    return Tower(database, clock, vault)


class Waiting:
    """What the model knows of a delivery that is not over."""

    def __init__(self, lane: UUID, due_at: datetime) -> None:
        self.lane, self.due_at = lane, due_at
        self.attempts = 0
        self.token: str | None = None  # of whoever has it
        self.until = due_at  # when that one loses it


class Queue(RuleBasedStateMachine):
    """Deliveries, and two workers."""

    tower: Tower

    def __init__(self) -> None:
        super().__init__()
        self.tower.forget()
        self.clock = self.tower.clock
        self.waiting: dict[int, Waiting] = {}
        self.over: dict[int, DeliveryState] = {}
        self.bags: dict[str, list[Job]] = {"one": [], "two": []}
        self.health = Health(BUDGET)

    @rule()
    def publish(self) -> None:
        for made in self.tower.ring():
            self.waiting[made.id] = Waiting(made.subscription_id, self.clock.now())

    @rule(seconds=st.sampled_from([1, 20, 61, 500]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule(worker=WORKERS, most=st.integers(1, 8), again_first=st.booleans(), sparing=st.booleans())
    def claim(self, worker: str, most: int, again_first: bool, sparing: bool) -> None:
        bag = self.bags[worker]
        under_way = Counter(job.lane for job in bag)
        jobs: list[Job] = []
        more, turns = True, 0
        while more and not jobs and turns <= ENDPOINTS:
            self.clock.advance(0.001)
            room = Room(most, most, CAP, under_way, again_first)
            jobs, more, *_ = self.tower.claim(worker, room, sparing=sparing)
            turns += 1
        now = self.clock.now()
        if not jobs:
            for one in self.waiting.values():
                is_free = one.token is None and one.due_at <= now
                assert not is_free or under_way[one.lane.hex] >= FAILING_CAP
        assert len(jobs) <= most
        for job in jobs:
            known = self.waiting[job.delivery_id]
            assert known.token is None
            assert known.due_at <= now
            assert known.attempts == job.attempts
            known.token, known.until = job.token, now + LEASE
        bag += jobs
        held = Counter(job.lane for job in bag)
        assert all(held[one] <= max(CAP, under_way[one]) for one in held)

    @precondition(lambda self: any(self.bags.values()))
    @rule(worker=WORKERS, status=ANSWERS, count=st.integers(1, 8))
    def settle(self, worker: str, status: int, count: int) -> None:
        now = self.clock.now()
        outcome = Outcome(Ending.ANSWERED, 1, status=status)
        bag = self.bags[worker]
        done, self.bags[worker] = bag[:count], bag[count:]
        results = [Result(job, now, (), outcome, self.judge(job, outcome)) for job in done]
        ours = [one for one in results if self.is_ours(one.job)]
        with self.tower.database.session() as session, writing(session):
            assert settling.settle(session, results, now=now, health=self.health) == len(ours)
        for one in ours:
            known = self.waiting[one.job.delivery_id]
            known.token, known.attempts = None, known.attempts + 1
            if isinstance(one.decision, Retry):
                known.due_at = now + one.decision.delay
            else:
                delivered = isinstance(one.decision, Delivered)
                state = DeliveryState.DELIVERED if delivered else DeliveryState.FAILED
                self.over[one.job.delivery_id] = state
                del self.waiting[one.job.delivery_id]

    @precondition(lambda self: any(self.bags.values()))
    @rule(worker=WORKERS)
    def release(self, worker: str) -> None:
        jobs, self.bags[worker] = self.bags[worker], []
        with self.tower.database.session() as session, writing(session):
            leases.release(session, jobs, self.clock.now())
        for job in filter(self.is_ours, jobs):
            self.waiting[job.delivery_id].token = None

    @precondition(lambda self: any(self.bags.values()))
    @rule(worker=WORKERS)
    def heart_beats(self, worker: str) -> None:
        until = self.clock.now() + LEASE
        with self.tower.database.session() as session, writing(session):
            leases.extend(session, self.bags[worker], until)
        for job in filter(self.is_ours, self.bags[worker]):
            self.waiting[job.delivery_id].until = until

    @rule()
    def somebody_sweeps(self) -> None:
        now = self.clock.now()
        with self.tower.database.session() as session, writing(session):
            freed = leases.recall(session, now)
        lost = [one for one in self.waiting.values() if one.token and one.until <= now]
        assert freed == len(lost)
        for one in lost:
            one.token = None

    @invariant()
    def the_tables_tell_the_same(self) -> None:
        with self.tower.database.session() as session, session.begin():
            rows = session.scalars(select(Delivery)).all()
        told = {one.id: one for one in rows}
        assert told.keys() == self.waiting.keys() | self.over.keys()
        for number, state in self.over.items():
            assert (told[number].state, told[number].lease_token) == (state, None)
        for number, known in self.waiting.items():
            row = told[number]
            assert row.state is DeliveryState.PENDING
            assert (row.lease_token, row.attempts) == (known.token, known.attempts)

    @invariant()
    def no_lane_is_forgotten_while_nobody_races(self) -> None:
        with self.tower.database.session() as session, writing(session):
            assert lanes.call_forgotten(session, self.clock.now()) == 0

    def teardown(self) -> None:
        """Whatever happened, all that is left arrives in the end."""
        for worker in self.bags:
            self.release(worker)
        self.clock.advance(timedelta(days=2))
        self.somebody_sweeps()
        for _ in range(len(self.waiting) + ENDPOINTS):
            self.claim("one", 8, again_first=False, sparing=True)
            if self.bags["one"]:
                self.settle("one", 200, 8)
        assert not self.waiting

    def is_ours(self, job: Job) -> bool:
        known = self.waiting.get(job.delivery_id)
        return known is not None and known.token == job.token

    def judge(self, job: Job, outcome: Outcome) -> Decision:
        return retry.decide(
            outcome,
            failures=job.attempts - job.throttles,
            throttles=job.throttles,
            now=self.clock.now(),
            random=Random(1),
        )


def test_two_workers_in_any_order(tower: Tower) -> None:
    of_this_database: type[Queue] = type("OfThis", (Queue,), {"tower": tower})
    run_state_machine_as_test(
        of_this_database, settings=settings(max_examples=12, stateful_step_count=20)
    )


def test_no_endpoint_starves_however_much_waits_for_the_others(tower: Tower) -> None:
    """Each that something waits for is served within one round of all."""

    @settings(max_examples=6)
    @given(rings=st.integers(1, 5), room=st.integers(1, 4), busy=st.data())
    def serve(rings: int, room: int, busy: st.DataObject) -> None:
        tower.forget()
        for _ in range(rings):
            tower.ring()
        loaded = busy.draw(st.sampled_from(tower.lanes))
        with tower.database.session() as session, writing(session):
            waits = Delivery.subscription_id != loaded
            session.execute(delete(Delivery).where(waits, Delivery.id % 2 == 0))
            left = Counter(session.scalars(select(Delivery.subscription_id)))
        since = dict.fromkeys(left, 0)
        while left:
            tower.clock.advance(0.001)
            served = Counter(
                job.endpoint.subscription_id
                for job in tower.claim("one", Room(room, room, CAP, {})).jobs
            )
            assert sum(served.values()) <= room
            left -= served
            since = {lane: 0 if served[lane] else since[lane] + 1 for lane in left}
            assert all(turns < ENDPOINTS for turns in since.values())

    serve()
