"""Counting requests against the limits of keys, exact over all processes on one database.

Each key has one row with its log (see keystore.window). To count, a process reads the row, works
out what it may take, and writes the log back if nobody has changed it meanwhile; else it begins
anew. Whoever is beaten to it was beaten by a grant, and there is only a limit of those.

A key with a high limit gets a lease, so that most of its requests ask no database; a key that was
refused is refused without asking until its next request can pass, though not for longer than the
time of a lease. Both are forgotten when the limit changes.

A log that cannot be written keeps nobody out: the process goes on with what it can read and what
it has granted by itself since, and writes that down as soon as it can again. Until then each
process counts alone. After a power cut the grants of the last moments may be forgotten. Where
processes have clocks of their own, windows are as exact as the clocks agree.
"""

import logging
import threading
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, literal_column, select, update
from sqlalchemy.exc import InternalError, OperationalError

from keystore import window
from keystore.clock import Clock
from keystore.db import Database, inserting
from keystore.limit_models import MOST_PLANNED, KeyWindow, Spike
from keystore.verification import VerifiedKey
from keystore.window import Grant, Grants, Log

MOST_HELD = 10_000  # keys, before those are forgotten that have not called for a while
RETRY = timedelta(seconds=1)  # after a log could not be written
WINDOW_S = window.WINDOW // window.SECOND
LEASE = timedelta(microseconds=window.LEASE)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)

_READ = select(KeyWindow.log).where(KeyWindow.key_id == bindparam("key"))
_CHANGE = (
    update(KeyWindow)
    .where(KeyWindow.key_id == bindparam("key"), KeyWindow.log == bindparam("former"))
    .values(log=bindparam("new"))
    .returning(KeyWindow.key_id)
)
# As no key may have more that are not over, the last to end are all that can matter.
_SPIKES = (
    select(Spike.starts_at, Spike.ends_at, Spike.rate_limit)
    .where(Spike.key_id == bindparam("key"), Spike.cancelled_at.is_(None))
    .order_by(Spike.ends_at.desc())
    .limit(literal_column(str(MOST_PLANNED)))
    .offset(literal_column("0"))  # SQLAlchemy says it for SQLite in any case, as a parameter
)

log = logging.getLogger(__name__)


class Budget(NamedTuple):
    """Whether a request may pass, and what its key has left."""

    allowed: bool
    limit: int  # requests in a window
    remaining: int
    reset_s: int  # until there is more; of a refused one: until the next can pass
    window_s: int


class _Held:
    """What this process may do with one key without asking."""

    __slots__ = (
        "beyond",
        "changes",
        "grant",
        "key",
        "left",
        "limit",
        "lock",
        "since",
        "until",
        "waiting",
    )

    def __init__(self, key_id: UUID) -> None:
        self.key = key_id.hex
        self.lock = threading.Lock()
        self.limit = 0  # the one that all this is about
        self.since = self.until = LONG_AGO
        self.grant = Grant(0, 0, 0)  # of none: the key is refused
        self.left = 0  # of the grant
        self.beyond = 0  # of the limit, outside of the grant
        self.changes = LONG_AGO  # when there will be more
        self.waiting: Grants = ()  # what was granted and could not be written


class Limits:
    """The budgets of all keys, as this process sees them."""

    def __init__(self, db: Database, clock: Clock, default: int) -> None:
        """Count on this database, by a clock that may go back; default is in requests a minute."""
        self._clock = clock
        self._default = default
        self._held: dict[UUID, _Held] = {}
        self._most_held = MOST_HELD
        self._retry_at: datetime | None = None  # not before then is a log written again
        first = inserting(db.engine.dialect, KeyWindow).values(
            key_id=bindparam("key"), log=bindparam("new")
        )
        self._read = db.counting(_READ)
        self._change = db.counting(_CHANGE)
        self._insert = db.counting(first.on_conflict_do_nothing().returning(KeyWindow.key_id))
        self._spikes = db.prepared(_SPIKES)

    def take(self, key: VerifiedKey) -> Budget:
        """Count one request of a key, or refuse it; a refused one does not count.

        Both of a key's secrets, its tokens and all processes share one budget.
        """
        held = self._held.get(key.key_id) or self._hold(key.key_id)
        with held.lock:
            now = self._clock.now()
            limit = self._limit(key, now)
            current = held.since <= now < held.until and held.limit == limit
            if not current or (held.left == 0 and held.grant.size):
                self._ask(held, limit, now)
            allowed = held.left > 0
            held.left -= allowed
            wait = max(0, ceil((held.changes - now).total_seconds()))
            return Budget(allowed, limit, held.beyond + held.left, wait, WINDOW_S)

    def used(self, key_id: UUID) -> int:
        """Return how many requests of a key count now; what processes have leased is among them."""
        return window.used(window.at(_parsed(self._stored(key_id.hex)), _micros(self._clock.now())))

    def _limit(self, key: VerifiedKey, now: datetime) -> int:
        base = key.rate_limit or self._default
        if key.spikes_until is None or now >= key.spikes_until:
            return base
        planned = self._spikes(key=key.key_id.hex)
        active: list[int] = [
            one.rate_limit for one in planned if one.starts_at <= now < one.ends_at
        ]
        return max([base, *active])

    def _ask(self, held: _Held, limit: int, now: datetime) -> None:
        """Take a grant from the log, and give back what is left of the one before."""
        while True:
            stored = self._stored(held.key)
            former = _parsed(stored)
            present = window.at(window.add(former, held.waiting), _micros(now))
            present = window.give_back(present, held.grant, held.left)
            grant, after = window.take(present, limit, window.share(limit))
            # What only the passing of time has changed need not be written.
            news = grant.size or held.left or held.waiting or after.era != former.era
            if not news or self._write(held, stored, after, grant, now):
                break
        held.limit, held.since, held.grant, held.left = limit, now, grant, grant.size
        held.beyond = max(0, limit - window.used(after))
        held.until = now + LEASE
        if grant.size:
            held.changes = _moment(after.grants[0][0])
        else:
            held.changes = _moment(window.free_at(after, limit))
            held.until = min(held.until, held.changes)

    def _write(
        self, held: _Held, former: str | None, after: Log, grant: Grant, now: datetime
    ) -> bool:
        """Write a log; return False if it is not the former one any more."""
        if self._retry_at is None or now >= self._retry_at or now < self._retry_at - RETRY:
            try:
                written = self._replace(held.key, former, window.dump(after))
            except (OperationalError, InternalError) as error:  # locked, away; read-only
                if self._retry_at is None:
                    log.warning("Limits are counted by each process for itself: %s", error.orig)
                self._retry_at = now + RETRY
            else:
                if self._retry_at is not None:
                    log.warning("Limits are counted by all processes together again.")
                    self._retry_at = None
                if written:
                    held.waiting = ()
                return written
        waiting = (*held.waiting, (grant.until, grant.size))
        held.waiting = tuple(one for one in waiting if one[0] > after.seen and one[1])
        return True

    def _stored(self, key: str) -> str | None:
        rows = self._read(key=key)
        return str(rows[0].log) if rows else None

    def _replace(self, key: str, former: str | None, new: str) -> bool:
        if former is None:
            return bool(self._insert(key=key, new=new))
        return bool(self._change(key=key, former=former, new=new))

    def _hold(self, key_id: UUID) -> _Held:
        """Make room for a key; forget those that nothing of what is here concerns any more."""
        if len(self._held) >= self._most_held:
            idle = self._clock.now() - timedelta(microseconds=window.WINDOW + window.LEASE)
            for other, held in list(self._held.items()):
                if held.until <= idle:
                    self._held.pop(other, None)
            self._most_held = max(MOST_HELD, 2 * len(self._held))
        return self._held.setdefault(key_id, _Held(key_id))


def _parsed(stored: str | None) -> Log:
    return window.EMPTY if stored is None else window.parse(stored)


def _micros(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def _moment(micros: int) -> datetime:
    return EPOCH + timedelta(microseconds=micros)
