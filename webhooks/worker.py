"""The worker: claim, send, record, again and again.

One thread keeps as many requests under way as there are slots. A second one visits the database
meanwhile, for the first: each visit is one short write transaction that records what has come back
and claims what is to go out next. No transaction is open while a receiver is waited for, so a slow
one costs a slot and nothing else; and a worker that is killed leaves leases behind, which run out.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from random import SystemRandom
from typing import NamedTuple

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from keystore.clock import Clock
from keystore.db import Database
from keystore.vault import Vault
from webhooks import fairness, retry
from webhooks.addresses import Network
from webhooks.aside import Aside
from webhooks.catalog import Catalog
from webhooks.envelope import Envelopes, message_id
from webhooks.fairness import Room
from webhooks.health import Health, OnAiling
from webhooks.outcome import Ending, Outcome
from webhooks.picking import Job
from webhooks.retry import Random, Schedule
from webhooks.settling import Result
from webhooks.transport import Transport
from webhooks.visits import HEARTBEATS, IDLE_PAUSE, Visits
from webhooks.wake import PEEK_PAUSE, waker
from webhooks.windows import Windows

log = logging.getLogger(__name__)

BUSY_PAUSE = 0.01  # seconds between two looks at the waker while requests are under way
WRITE_DELAY = 0.05  # seconds for which a result may wait for company
ERROR_PAUSE = 1.0  # seconds after something went wrong that was not one delivery's fault
LEASE_MARGIN = 30.0  # seconds by which a lease outlives an attempt, for writing it down
ERRAND_PAUSE = 0.5  # seconds between two rounds of errands

#: Something short that takes a session and opens transactions of its own.
Errand = Callable[[Session], object]

#: Told of each batch of results, once it is written; what it raises is logged and stops nothing.
Observer = Callable[[Sequence[Result]], None]


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
        batch: int = 256,
        slots: int = 640,
        lease: float | None = None,
        grace: float = 5.0,
        schedule: Schedule = retry.CONTRACT,
        catalog: Catalog | None = None,
        on_ailing: Sequence[OnAiling] = (),
        errands: Sequence[Errand] = (),
        random: Random | None = None,
        authorities: str | None = None,
        observer: Observer | None = None,
    ) -> None:
        """Make a worker; nothing happens before it is run.

        timeout: seconds that one attempt may take. batch: deliveries per claim. slots: requests
        under way at once. lease: seconds after which another worker may take over what this one
        claimed, more than the timeout. grace: seconds that requests get to end when it is stopped.
        schedule: the waits before retries. catalog: tells what the parts of bodies are, for those
        who do without some; of a type that is not in it all is sent as it was frozen. on_ailing:
        told of subscriptions that go on failing. errands: done now and then between deliveries.
        """
        lease = timeout + LEASE_MARGIN if lease is None else lease
        if lease <= timeout:
            raise ValueError("a lease must outlive an attempt")
        self._db = db
        self._clock = clock
        self._slots = slots
        self._batch = min(batch, slots)
        self._grace = grace
        self._schedule = schedule
        self._errands = tuple(errands)
        self._random = random or SystemRandom()
        self._visits = Visits(
            db,
            clock,
            lease=timedelta(seconds=lease),
            health=Health(sum(schedule, timedelta()), on_ailing),
            catalog=Catalog() if catalog is None else catalog,
        )
        self._beat_every = lease / HEARTBEATS
        self._waker = waker(db)
        self._observer = observer
        self._envelopes = Envelopes(vault)
        self._transport: Transport[_Flight] = Transport(
            slots=slots, timeout=timeout, allow_networks=allow_networks, authorities=authorities
        )
        self._under_way = Counter[str]()  # requests, by lane
        self._again = 0  # of these, no first tries
        self._windows = Windows()
        self._awaited = dict[str, int]()  # lanes that get more once only so many are under way
        self._is_awaited = False  # whether one has come to that, or the last launch is all back
        self._launches = 0  # so far
        self._newest = 0  # requests under way of the last launch
        self._results: list[Result] = []  # to be written at the next visit
        self._aside = Aside[list[Job]]()  # where visits are made
        self._taken: list[Result] = []  # along, on the visit that is being made
        self._oldest_result = 0.0  # by the monotonic clock, like the next two
        self._next_beat = 0.0
        self._next_errand = 0.0

    def run_once(self) -> int:
        """Deliver one batch of what is due now, record it, and return how many that were."""
        self._visits.doubt()
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
            self._wind_down(stop)
        except SQLAlchemyError as error:
            _stumbled("Some results were not written; their deliveries will be sent again", error)
        finally:
            self._aside.close()

    def close(self) -> None:
        """Hang up every connection that was kept."""
        self._transport.close()
        self._waker.close()

    def _turn(self, stop: threading.Event) -> None:
        if not self._aside.is_busy:
            now = time.monotonic()
            self._beat(now)
            self._run_errands(now)
            self._set_out(now)
        if self._aside.is_busy:
            if self._transport.busy:
                self._collect(BUSY_PAUSE, self._aside.bell)
            if self._aside.is_done or not self._transport.busy:
                self._launch(self._fetch(self._aside.fetch), stop)
            return
        if self._transport.busy:
            woken = self._collect_and_listen()
        elif not self._results and self._visits.is_dry:
            woken = self._idle(stop)
        else:
            woken = False
        if woken:
            self._visits.hear()

    def _collect_and_listen(self) -> bool:
        """Wait for what is under way; tell whether somebody said that there is something to do.

        Requests to an endpoint that hangs are under way for long, and news are not to wait for it.
        """
        if not self._visits.is_dry:
            self._collect(BUSY_PAUSE)
            return False
        bell = self._waker.bell
        pause = PEEK_PAUSE if bell is None else BUSY_PAUSE
        if self._transport.free:  # else there is nothing to look for
            pause = max(0.0, min(pause, self._visits.next_look - time.monotonic()))
        self._collect(pause, bell)
        return self._waker.wait(0.0)

    def _set_out(self, now: float) -> None:
        """Begin a visit to the database, if there is a reason for one."""
        room = min(self._transport.free, self._batch)
        writing_now = self._must_write(now)
        # When there is more to fetch, wait for a whole batch of room. Who writes looks in any case:
        # results make room, perhaps for a lane that was passed over as it had its part.
        fetching = writing_now or (not self._visits.is_dry and room == self._batch)
        looking = room > 0 and (fetching or now >= self._visits.next_look)
        if looking or writing_now:
            self._aside.begin(self._visit(room if looking else 0))

    def _idle(self, stop: threading.Event) -> bool:
        """Wait until there may be something to do; tell whether somebody said so."""
        while not stop.is_set():
            left = self._visits.next_look - time.monotonic()
            if left <= 0:
                return False
            if self._waker.wait(min(left, IDLE_PAUSE)):
                return True
        return False

    def _must_write(self, now: float) -> bool:
        if not self._results:
            return False
        return (
            len(self._results) >= self._batch
            or not self._transport.busy
            or self._is_awaited
            or now - self._oldest_result >= WRITE_DELAY
        )

    def _exchange(self, room: int) -> list[Job]:
        """Visit the database at once, and return what was claimed."""
        return self._fetch(self._visit(room))

    def _visit(self, room: int) -> Callable[[], list[Job]]:
        """Return a visit to the database, as this moment has it, to claim up to `room` deliveries.

        It takes the results along, which `_fetch` brings back when they could not be written.
        """
        self._taken, self._results, self._is_awaited = self._results, [], False
        again = fairness.share_for_retries(self._slots) - self._again
        space = Room(
            room,
            max(0, min(again, room)),
            fairness.cap(self._slots, self._transport.free),
            dict(self._under_way),
            windows=self._windows,
        )
        return partial(self._visits.write_and_claim, self._taken, space)

    def _fetch(self, jobs: Callable[[], list[Job]]) -> list[Job]:
        """Return what a visit has claimed, and tell of what it has written."""
        try:
            claimed = jobs()
        except BaseException:
            self._results, self._taken = self._taken + self._results, []
            raise
        if self._taken and self._observer is not None:
            try:
                self._observer(self._taken)
            except Exception as error:  # noqa: BLE001 - deliveries go on, seen or unseen
                _stumbled("The observer failed", error)
        self._taken = []
        return claimed

    def _beat(self, now: float) -> None:
        """Keep what is under way for longer, so that nobody takes it for abandoned."""
        if now < self._next_beat:
            return
        self._next_beat = now + self._beat_every
        jobs = [flight.job for flight in self._transport.under_way]
        jobs += [result.job for result in self._results]
        if jobs:
            self._visits.keep(jobs)

    def _run_errands(self, now: float) -> None:
        """Do a bit of what is to be done beside delivering."""
        if now < self._next_errand:
            return
        self._next_errand = now + ERRAND_PAUSE
        for errand in self._errands:
            try:
                with self._db.session() as session:
                    errand(session)
            except Exception as error:  # noqa: BLE001 - deliveries go on, whatever is left undone
                _stumbled("An errand is left for the next time", error)

    def _launch(self, jobs: Sequence[Job], stop: threading.Event | None = None) -> None:
        """Start sending; when told to stop meanwhile, give back what was not started."""
        now = self._clock.now()
        timestamp = int(now.timestamp())
        if jobs:
            self._launches, self._newest = self._launches + 1, 0
        for index, job in enumerate(jobs):
            if stop is not None and stop.is_set():
                self._visits.give_back(jobs[index:])
                return
            self._under_way[job.lane] += 1
            self._again += bool(job.attempts)
            self._newest += 1
            try:
                lines = self._envelopes.lines(
                    job.endpoint, message_id(job.event_id), job.body, timestamp
                )
            except Exception as error:  # noqa: BLE001 - one row that is no good stops no other
                log.warning("Delivery %d cannot be signed: %r", job.delivery_id, error)
                outcome = Outcome(Ending.UNSENT, 0, error="The signing secret cannot be opened.")
                self._judge(_Flight(job, now, (), self._launches), outcome, now)
            else:
                flight = _Flight(job, now, lines.told, self._launches)
                self._transport.start(flight, job.endpoint.target_url, lines.sent, job.body)

        # Looked at again when most is back: one that hangs keeps all from being back for long.
        self._awaited |= {lane: self._under_way[lane] // 4 for lane in self._visits.awaiting}

    def _collect(self, wait: float, bell: int | None = None) -> None:
        if finished := self._transport.poll(wait, bell):
            now = self._clock.now()
            for flight, outcome in finished:
                self._judge(flight, outcome, now)

    def _judge(self, flight: "_Flight", outcome: Outcome, now: datetime) -> None:
        job = flight.job
        self._forget(flight)
        self._windows.note(job.lane, answered=outcome.ending is Ending.ANSWERED)
        decision = retry.decide(
            outcome,
            failures=job.attempts - job.throttles,
            throttles=job.throttles,
            now=now,
            random=self._random,
            schedule=self._schedule,
        )
        if not self._results:
            self._oldest_result = time.monotonic()
        self._results.append(Result(job, flight.started_at, flight.headers, outcome, decision))

    def _forget(self, flight: "_Flight") -> None:
        job = flight.job
        if flight.launch == self._launches:
            self._newest -= 1
            self._is_awaited |= not self._newest
        left = self._under_way[job.lane] - 1
        if left:
            self._under_way[job.lane] = left
        else:
            del self._under_way[job.lane]
        self._again -= bool(job.attempts)
        if left <= self._awaited.get(job.lane, -1):
            del self._awaited[job.lane]
            self._is_awaited = True

    def _wind_down(self, stop: threading.Event) -> None:
        """Let requests end, for a while; write what came of them and give back the rest."""
        if self._aside.is_busy:
            self._launch(self._fetch(self._aside.fetch), stop)
        deadline = time.monotonic() + self._grace
        while self._transport.busy and time.monotonic() < deadline:
            self._collect(WRITE_DELAY)
        self._collect(0.0)
        broken_off = self._transport.abandon()
        for flight in broken_off:
            self._forget(flight)
        self._exchange(0)
        self._visits.end([flight.job for flight in broken_off])


class _Flight(NamedTuple):
    """A job that is being sent."""

    job: Job
    started_at: datetime
    headers: Sequence[str]
    launch: int  # in which it was started; see `Worker._launches`


def _stumbled(what: str, error: Exception) -> None:
    log.error("%s (%s).", what, type(error).__name__, exc_info=error)
