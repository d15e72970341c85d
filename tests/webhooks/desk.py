"""Somebody who claims deliveries and settles them by hand, and what comes of requests."""

from collections.abc import Sequence
from datetime import timedelta
from random import Random

from sqlalchemy import select

from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.db import Database, writing
from webhooks import lanes, leases, retry, settling
from webhooks.fairness import Room
from webhooks.health import Health
from webhooks.leases import Claim
from webhooks.models import Attempt, Delivery, Subscription
from webhooks.outcome import Ending, Outcome
from webhooks.picking import Job
from webhooks.retry import Decision
from webhooks.settling import Result
from webhooks.switches import Switches

MINUTE = timedelta(minutes=1)
HEALTH = Health(timedelta(hours=40))
OK = Outcome(Ending.ANSWERED, 12, status=200, excerpt="ok")
BROKEN = Outcome(Ending.ANSWERED, 12, status=500, excerpt="oh")
GONE = Outcome(Ending.ANSWERED, 12, status=410)


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
            return settling.settle(session, results, now=self._clock.now(), health=HEALTH)

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
