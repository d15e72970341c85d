"""The worker: claim, send, record, again and again.

One thread does it all. It keeps as many requests under way as it has slots, and each visit to the
database is one short write transaction that records what has come back and claims what is to go
out next. No transaction is open while a receiver is waited for, so a slow one costs a slot and
nothing else; and a worker that is killed leaves leases behind, which run out.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from importlib.metadata import version
from random import SystemRandom
from typing import NamedTuple
from uuid import UUID, uuid4

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError
from sqlalchemy.orm import Session

from keystore.clock import Clock
from keystore.db import Database, writing
from keystore.vault import Vault
from webhooks import leases, retry
from webhooks.addresses import Network
from webhooks.leases import Job, Result
from webhooks.outcome import Ending, Outcome
from webhooks.retry import Random
from webhooks.signing import Signer
from webhooks.subscriptions import seal_context
from webhooks.transport import Transport

log = logging.getLogger(__name__)

IDLE_PAUSE = 0.2  # seconds between two looks for work
WRITE_DELAY = 0.1  # seconds for which a result may wait for company
ERROR_PAUSE = 1.0  # seconds after something went wrong that was not one delivery's fault
MAX_SIGNERS = 1000
LEASE_MARGIN = 30.0  # seconds by which a lease outlives an attempt, for writing it down

_COMMON_HEADERS = ("content-type: application/json", f"user-agent: Keyhook/{version('keyhook')}")


class Worker:
    """Delivers what is due. Many may run on PostgreSQL; on SQLite one uses all there is."""

    def __init__(
        self,
        db: Database,
        vault: Vault,
        clock: Clock,
        *,
        allow_networks: Sequence[Network] = (),
        timeout: float = 15.0,
        batch: int = 100,
        slots: int = 200,
        lease: float | None = None,
        grace: float = 5.0,
        random: Random | None = None,
        authorities: str | None = None,
    ) -> None:
        """Make a worker; nothing happens before it is run.

        timeout: seconds that one attempt may take. batch: deliveries per claim. slots: requests
        under way at once. lease: seconds after which another worker may take over what this one
        claimed, more than the timeout. grace: seconds that requests get to end when it is stopped.
        """
        lease = timeout + LEASE_MARGIN if lease is None else lease
        if lease <= timeout:
            raise ValueError("a lease must outlive an attempt")
        self._db = db
        self._vault = vault
        self._clock = clock
        self._batch = min(batch, slots)
        self._lease = timedelta(seconds=lease)
        self._grace = grace
        self._random = random or SystemRandom()
        self._owner = f"{socket.gethostname()[:40]}:{os.getpid()}:{uuid4().hex[:8]}"
        self._transport: Transport[_Flight] = Transport(
            slots=slots, timeout=timeout, allow_networks=allow_networks, authorities=authorities
        )
        self._signers = dict[tuple[UUID, bytes], Signer]()
        self._results: list[Result] = []  # not yet written
        self._oldest_result = 0.0  # by the monotonic clock, like the next two
        self._next_look = 0.0
        self._dry = False  # whether the last look found less than there was room for

    def run_once(self) -> int:
        """Deliver one batch of what is due now, record it, and return how many that were."""
        jobs = self._exchange(self._batch)
        self._launch(jobs)
        while self._transport.busy:
            self._collect(IDLE_PAUSE)
        self._exchange(0)
        return len(jobs)

    def run_forever(self, stop: threading.Event) -> None:
        """Deliver until told to stop; then end what is under way and give back the rest."""
        while not stop.is_set():
            try:
                self._turn(stop)
            except Exception as error:  # noqa: BLE001 - a worker outlives whatever goes wrong
                _stumbled("The worker goes on in a moment", error)
                stop.wait(ERROR_PAUSE)
        try:
            self._wind_down()
        except SQLAlchemyError as error:
            _stumbled("Some results were not written; their deliveries will be sent again", error)

    def close(self) -> None:
        """Hang up every connection that was kept."""
        self._transport.close()

    def _turn(self, stop: threading.Event) -> None:
        now = time.monotonic()
        room = min(self._transport.free, self._batch)
        writing_now = self._must_write(now)
        # When there is more to fetch, wait for a whole batch of room, or for a reason to write.
        fetching = not self._dry and (room == self._batch or writing_now)
        looking = room > 0 and (fetching or now >= self._next_look)
        if looking or writing_now:
            self._launch(self._exchange(room if looking else 0), stop)
        if self._transport.busy:
            self._collect(WRITE_DELAY if self._results else IDLE_PAUSE)
        elif not self._results:
            stop.wait(max(0.0, self._next_look - time.monotonic()))

    def _must_write(self, now: float) -> bool:
        if not self._results:
            return False
        return (
            len(self._results) >= self._batch
            or not self._transport.busy
            or now - self._oldest_result >= WRITE_DELAY
        )

    def _exchange(self, room: int) -> list[Job]:
        """Write the results there are and claim up to `room` deliveries, in one transaction."""
        now = self._clock.now()
        jobs: list[Job] = []
        with self._db.session() as session:
            if self._results or (room and self._worth_claiming(session, now)):
                try:
                    with writing(session):
                        written = leases.settle(session, self._results, now=now)
                        jobs = leases.claim(
                            session, now=now, owner=self._owner, lease=self._lease, limit=room
                        )
                except StatementError as error:
                    if not self._results or not _is_about_values(error):
                        raise  # the database is away, busy or broken; the results stay with us
                    self._settle_one_by_one()
                    return []
                if written < len(self._results):
                    log.warning("%d results came too late", len(self._results) - written)
                self._results = []
        if room:
            self._next_look = time.monotonic() + IDLE_PAUSE
            self._dry = len(jobs) < room
        return jobs

    def _worth_claiming(self, session: Session, now: datetime) -> bool:
        """Look before writing: an idle worker is not to keep others from SQLite's one lock."""
        if not self._dry:
            return True
        with session.begin():
            return leases.any_due(session, now)

    def _settle_one_by_one(self) -> None:
        """Write what can be written when something in the batch cannot.

        An attempt that cannot be logged still counts: better a gap in the log than a message that
        is sent again and again.
        """
        for result in self._results:
            for logged in (True, False):
                try:
                    with self._db.session() as session, writing(session):
                        leases.settle(session, [result], now=self._clock.now(), logged=logged)
                    break
                except StatementError as error:
                    if not _is_about_values(error):
                        raise
                    _stumbled(f"Delivery {result.job.delivery_id}: a result was refused", error)
        self._results = []

    def _launch(self, jobs: Sequence[Job], stop: threading.Event | None = None) -> None:
        """Start sending; when told to stop meanwhile, give back what was not started."""
        now = self._clock.now()
        for index, job in enumerate(jobs):
            if stop is not None and stop.is_set():
                with self._db.session() as session, writing(session):
                    leases.release(session, jobs[index:])
                return
            try:
                headers = self._headers(job, int(now.timestamp()))
            except Exception as error:  # noqa: BLE001 - one row that is no good stops no other
                log.warning("Delivery %d cannot be signed: %r", job.delivery_id, error)
                outcome = Outcome(Ending.UNSENT, 0, error="The signing secret cannot be opened.")
                self._judge(_Flight(job, now, ()), outcome)
            else:
                flight = _Flight(job, now, headers)
                self._transport.start(flight, job.target_url, headers, job.body)

    def _headers(self, job: Job, timestamp: int) -> list[str]:
        seal = (job.subscription_id, job.secret_sealed)
        signer = self._signers.get(seal)
        if signer is None:
            secret = self._vault.open(job.secret_sealed, seal_context(job.subscription_id))
            if len(self._signers) >= MAX_SIGNERS:
                self._signers.clear()
            signer = self._signers[seal] = Signer(secret)
        signed = signer.headers(f"evt_{job.event_id.hex}", timestamp, job.body)
        return [*_COMMON_HEADERS, *[f"{name}: {value}" for name, value in signed.items()]]

    def _collect(self, wait: float) -> None:
        for flight, outcome in self._transport.poll(wait):
            self._judge(flight, outcome)

    def _judge(self, flight: "_Flight", outcome: Outcome) -> None:
        job = flight.job
        decision = retry.decide(
            outcome,
            failures=job.attempts - job.throttles,
            throttles=job.throttles,
            now=self._clock.now(),
            random=self._random,
        )
        if not self._results:
            self._oldest_result = time.monotonic()
        self._results.append(Result(job, flight.started_at, flight.headers, outcome, decision))

    def _wind_down(self) -> None:
        """Let requests end, for a while; write what came of them and give back the rest."""
        deadline = time.monotonic() + self._grace
        while self._transport.busy and time.monotonic() < deadline:
            self._collect(WRITE_DELAY)
        self._collect(0.0)
        broken_off = [flight.job for flight in self._transport.abandon()]
        self._exchange(0)
        with self._db.session() as session, writing(session):
            leases.release(session, broken_off)


class _Flight(NamedTuple):
    """A job that is being sent."""

    job: Job
    started_at: datetime
    headers: Sequence[str]


def _is_about_values(error: StatementError) -> bool:
    """Tell whether what was to be written is at fault, rather than the database."""
    return isinstance(error, DataError | IntegrityError) or not isinstance(error, DBAPIError)


def _stumbled(what: str, error: Exception) -> None:
    log.error("%s (%s).", what, type(error).__name__, exc_info=error)
