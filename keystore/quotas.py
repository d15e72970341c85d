"""Telling of keys that have nearly used up their rate limit, at most once an hour each.

A request only notes it, in memory; what is noted is told now and again beside the server. Whose
hour has not passed yet stands in the database, so that many processes tell one thing once.
"""

import logging
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from keystore import key_events
from keystore.clock import Clock, rising
from keystore.db import inserting, writing
from keystore.key_events import OnEvent, QuotaNear
from keystore.limits import Budget
from keystore.models import Key
from keystore.notice_models import QuotaNotice
from keystore.rotation import KeyLife, KeyState
from keystore.verification import VerifiedKey

NEAR_PERCENT = 90  # of the requests that a key may make in a window
EVERY = timedelta(hours=1)
MOST_QUIET = 10_000  # keys that one process remembers to be quiet about

log = logging.getLogger(__name__)


class _Near(NamedTuple):
    """The most that was used of a limit since somebody was told."""

    used: int
    limit: int


class Quotas:
    """What one process has noted of keys near their limits."""

    def __init__(self, clock: Clock, *, on_event: Sequence[OnEvent] = ()) -> None:
        self._clock = rising(clock)
        self._on_event = on_event
        self._lock = threading.Lock()
        self._near = dict[UUID, _Near]()
        self._quiet = dict[UUID, datetime]()  # until when

    def note(self, key: VerifiedKey, budget: Budget) -> None:
        """Take note of what a request has left of its key's limit; costs no database."""
        near = _Near(budget.limit - budget.remaining, budget.limit)
        if 100 * near.used < NEAR_PERCENT * near.limit:
            return
        quiet_until = self._quiet.get(key.key_id)
        if quiet_until is None or self._clock.now() >= quiet_until:
            with self._lock:
                self._near[key.key_id] = max(near, self._near.get(key.key_id, near))

    def tell(self, session: Session) -> int:
        """Tell of the keys that were noted, but for those told of in this hour; return how many.

        Each has a transaction of its own. What cannot be written now is for the next time.
        """
        with self._lock:
            noted, self._near = self._near, {}
        told = 0
        try:
            for key_id in list(noted):
                told += self._tell_one(session, key_id, noted[key_id])
                del noted[key_id]
        except SQLAlchemyError as error:
            log.warning("Keys near their limits are told of later: %s", error)
        finally:
            with self._lock:
                self._near = noted | self._near
        return told

    def _tell_one(self, session: Session, key_id: UUID, near: _Near) -> bool:
        now = self._clock.now()
        with session.begin():
            last = session.scalar(select(QuotaNotice.told_at).where(QuotaNotice.key_id == key_id))
        if last is not None and now < last + EVERY:
            self._be_quiet(key_id, last + EVERY)
            return False
        with writing(session):
            key = session.get_one(
                Key, key_id, with_for_update={"key_share": True}, populate_existing=True
            )
            life = KeyLife(key.generation, key.expires_at, key.disabled_at, key.deleted_at)
            is_first = life.state(now) is KeyState.ACTIVE and _claim(session, key_id, now)
            if is_first:
                key_events.tell(self._on_event, session, QuotaNear(key, now, near.limit, near.used))
        self._be_quiet(key_id, now + EVERY)
        return is_first

    def _be_quiet(self, key_id: UUID, until: datetime) -> None:
        if len(self._quiet) >= MOST_QUIET:
            self._quiet.clear()
        self._quiet[key_id] = until


def _claim(session: Session, key_id: UUID, now: datetime) -> bool:
    """Begin a key's hour, unless another process has just done so."""
    begun = session.scalar(
        inserting(session.get_bind().dialect, QuotaNotice)
        .values(key_id=key_id, told_at=now)
        .on_conflict_do_update(
            index_elements=[QuotaNotice.key_id],
            set_={"told_at": now},
            where=QuotaNotice.told_at <= now - EVERY,
        )
        .returning(QuotaNotice.key_id)
    )
    return begun is not None
