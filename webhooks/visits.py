"""A worker's visits to the database: what has come back is recorded, what is to go out is claimed.

Each is one short write transaction. It may be made in another thread than the worker's, one at a
time: whatever is here is touched by the visit alone while one is being made.
"""

import logging
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, StatementError
from sqlalchemy.orm import Session

from keystore.clock import Clock
from keystore.db import Database, writing
from webhooks import fairness, hold, lanes, leases, narrowing, settling
from webhooks.catalog import Catalog
from webhooks.fairness import Room
from webhooks.health import Health
from webhooks.leases import Claim
from webhooks.picking import Job
from webhooks.settling import Result

log = logging.getLogger(__name__)

IDLE_PAUSE = 0.2  # seconds between two looks for work, if nothing wakes the worker before
LINGER_PAUSE = 0.005  # seconds before lanes are looked at again that were just emptied
DOUBT_PAUSE = 0.02  # seconds before a lane is looked at again that was found empty
CONTENDED_PAUSE = 0.001  # seconds for which others may hold what they claim
HOLD_PAUSE = 1.0  # seconds between two tries to take SQLite's hold from another worker
SWEEP_PAUSE = 5.0  # seconds between two looks for what was forgotten
HEARTBEATS = 6  # in the length of a lease


class Visits:
    """One worker's. Times without a zone are seconds of the monotonic clock."""

    def __init__(
        self, db: Database, clock: Clock, *, lease: timedelta, health: Health, catalog: Catalog
    ) -> None:
        """lease: for how long a claim is a worker's."""
        self._db = db
        self._clock = clock
        self._lease = lease
        self._health = health
        self._catalog = catalog
        self._owner = hold.new_owner()
        #: Whether the last look found less than there was room for, and when to look again.
        self.is_dry = False
        self.next_look = 0.0
        #: Lanes from which the last look took all that their endpoints are trusted with.
        self.awaiting: Sequence[str] = ()
        self._next_sweep = 0.0
        self._hold_until = 0.0  # SQLite's; see `hold`
        self._held_elsewhere = 0.0  # until when another worker surely has it
        self._emptied = dict[UUID, float]()  # lanes, and when to look at them again
        self._claims = 0
        self._sparing = True  # with lanes; see `leases.claim`

    def hear(self) -> None:
        """Take note that there is something new: look for it at once."""
        self.is_dry, self.next_look = False, 0.0

    def doubt(self) -> None:
        """Take nothing for known at the next visit."""
        self._next_sweep = self._held_elsewhere = 0.0

    def write_and_claim(self, results: Sequence[Result], room: Room) -> list[Job]:
        """Write results and claim deliveries, in one transaction.

        Raises SQLAlchemyError when the database is away, busy or broken; nothing is written then.
        """
        now = self._clock.now()
        claim = Claim([], more=False)
        with self._db.session() as session:
            if results or (room.total and self._worth_claiming(session, now, room)):
                try:
                    with writing(session):
                        # What was published while we waited for SQLite's lock is due as well.
                        now = self._clock.now()
                        written = settling.settle(session, results, now=now, health=self._health)
                        if room.total and self._may_claim(session, now):
                            claim = self._claim(session, now, room)
                except StatementError as error:
                    self._hold_until, self.awaiting = 0.0, ()
                    if not results or not _is_about_values(error):
                        raise
                    self._settle_one_by_one(results)
                    return []
                if written < len(results):
                    log.warning("%d results came too late", len(results) - written)
        if room.total:
            pause = DOUBT_PAUSE if self._emptied else IDLE_PAUSE
            if claim.lingering:
                pause = LINGER_PAUSE
            if claim.contended:
                pause = CONTENDED_PAUSE
            self.next_look = time.monotonic() + pause
            self.is_dry = not claim.more
        self.awaiting = claim.awaiting
        return claim.jobs

    def keep(self, jobs: Sequence[Job]) -> None:
        """Keep jobs for the length of a lease from now on."""
        with self._db.session() as session, writing(session):
            leases.extend(session, jobs, self._clock.now() + self._lease)

    def give_back(self, jobs: Sequence[Job]) -> None:
        """Let anyone take jobs that were not started."""
        with self._db.session() as session, writing(session):
            leases.release(session, jobs, self._clock.now())

    def end(self, jobs: Sequence[Job]) -> None:
        """Give back the last jobs, and SQLite's hold; whoever comes next need not wait."""
        with self._db.session() as session, writing(session):
            leases.release(session, jobs, self._clock.now())
            if self._db.is_sqlite:
                hold.give_back(session, self._owner)
        self._hold_until = 0.0

    def _worth_claiming(self, session: Session, now: datetime, room: Room) -> bool:
        """Look before writing: an idle worker is not to keep others from SQLite's one lock.

        Lanes that get nothing more for now do not count, though it is always their turn.
        """
        at = time.monotonic()
        if at < self._held_elsewhere:
            return False
        if not self.is_dry or at >= self._next_sweep or self._doubtful():
            return True
        with session.begin():
            return lanes.any_due(session, now, room.full_lanes)

    def _may_claim(self, session: Session, now: datetime) -> bool:
        """Tell whether the work is ours; with SQLite, that of one worker alone."""
        if not self._db.is_sqlite or time.monotonic() < self._hold_until:
            return True
        taken = hold.take(session, self._owner, now)
        if taken is None:
            self._held_elsewhere = time.monotonic() + HOLD_PAUSE
            return False
        if taken:
            leases.inherit(session, self._owner, now)
        self._hold_until = time.monotonic() + hold.LENGTH.total_seconds() / HEARTBEATS
        return True

    def _claim(self, session: Session, now: datetime, room: Room) -> Claim:
        if time.monotonic() >= self._next_sweep:
            self._next_sweep = time.monotonic() + SWEEP_PAUSE
            leases.recall(session, now)
            lanes.call_forgotten(session, now)
        if doubtful := self._doubtful():
            lanes.call_forgotten(session, now, doubtful)
            for lane in doubtful:
                del self._emptied[lane]
        room = room._replace(again_first=fairness.is_turn_of_retries(self._claims))
        claim = leases.claim(
            session,
            now=now,
            owner=self._owner,
            lease=self._lease,
            room=room,
            sparing=self._sparing,
        )
        self._claims += 1
        if claim.served:
            self._sparing = 2 * (len(claim.emptied) + claim.lingering) < claim.served
        if not self._db.is_sqlite:  # where nobody can have published meanwhile
            again_at = time.monotonic() + DOUBT_PAUSE
            self._emptied |= dict.fromkeys(claim.emptied, again_at)
        return claim._replace(jobs=narrowing.fit(session, self._catalog, claim.jobs))

    def _doubtful(self) -> list[UUID]:
        """Return the lanes to look at again; see `lanes.call_forgotten`."""
        now = time.monotonic()
        return [lane for lane, at in self._emptied.items() if at <= now]

    def _settle_one_by_one(self, results: Sequence[Result]) -> None:
        """Write what can be written when something in the batch cannot.

        An attempt that cannot be logged still counts: better a gap in the log than a message that
        is sent again and again.
        """
        for result in results:
            for logged in (True, False):
                try:
                    with self._db.session() as session, writing(session):
                        self._settle_one(session, result, logged=logged)
                    break
                except StatementError as error:
                    if not _is_about_values(error):
                        raise
                    log.exception(
                        "Delivery %d: a result was refused (%s).",
                        result.job.delivery_id,
                        type(error).__name__,
                    )

    def _settle_one(self, session: Session, result: Result, *, logged: bool) -> None:
        now = self._clock.now()
        settling.settle(session, [result], now=now, health=self._health, logged=logged)


def _is_about_values(error: StatementError) -> bool:
    """Tell whether what was to be written is at fault, rather than the database."""
    return isinstance(error, DataError | IntegrityError) or not isinstance(error, DBAPIError)
