"""What has been delivered, and when: dropped when it is old, a bit at a time.

An event goes with its deliveries, their attempts and all that hangs on it once it is older than is
kept and nothing of it is under way: no delivery of it waits, or ended since, and no recovery that
is running may still want it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import Table, and_, delete, exists, literal_column, or_, select
from sqlalchemy.orm import Session

from keystore.clock import Clock
from keystore.db import writing
from webhooks.models import Attempt, Delivery, Event, EventVariant, Recovery

EVENTS = 100  # in one step
DELIVERIES = 500  # in one step, however many one event has
#: Between two walks through all that is old.
PAUSE = timedelta(minutes=10)

_event = cast("Table", Event.__table__)
_delivery = cast("Table", Delivery.__table__)
_may_be_recovered = exists().where(
    Recovery.state == literal_column("'running'"),
    Recovery.organization_id == _event.c.organization_id,
    Recovery.since <= _event.c.created_at,
)
_has_deliveries = exists().where(_delivery.c.event_id == _event.c.id)


class _Place(NamedTuple):
    """How far a walk has come: behind this event."""

    created_at: datetime
    event_id: UUID


class Retention:
    """The walk of one worker through what is old."""

    def __init__(self, clock: Clock, keep: timedelta | None) -> None:
        """keep: how long everything is kept; None: for ever."""
        self._clock = clock
        self._keep = keep
        self._place: _Place | None = None
        self._next_walk: datetime | None = None

    def step(self, session: Session) -> int:
        """Drop a bit of what is old; return how many deliveries and events that were.

        Two short transactions, of which the first only reads: with nothing to drop nobody is kept
        from writing.
        """
        now = self._clock.now()
        if self._keep is None or (self._next_walk is not None and now < self._next_walk):
            return 0
        until = now - self._keep
        with session.begin():
            events = self._next_events(session, until)
        if not events:
            self._place, self._next_walk = None, now + PAUSE
            return 0
        ids = [event.id for event in events]
        with writing(session):
            deliveries = _drop_deliveries(session, ids, until)
            dropped = 0 if deliveries == DELIVERIES else _drop_events(session, ids)
        if deliveries < DELIVERIES:  # else there is more where these came from
            self._place = _Place(events[-1].created_at, events[-1].id)
        return deliveries + dropped

    def _next_events(self, session: Session, until: datetime) -> Sequence[Any]:
        old = _event.c.created_at < until
        if self._place is not None:
            at, last = self._place
            same = and_(_event.c.created_at == at, _event.c.id > last)
            old = and_(old, _event.c.created_at >= at, or_(_event.c.created_at > at, same))
        return session.execute(
            select(_event.c.id, _event.c.created_at)
            .where(old, ~_may_be_recovered)
            .order_by(_event.c.created_at, _event.c.id)
            .limit(EVENTS)
        ).all()


def _drop_deliveries(session: Session, event_ids: Sequence[UUID], until: datetime) -> int:
    """Drop what ended before a moment, with its attempts; what somebody else holds stays."""
    ended = session.scalars(
        select(_delivery.c.id)
        .where(_delivery.c.event_id.in_(event_ids), _delivery.c.finished_at < until)
        .order_by(_delivery.c.id)
        .limit(DELIVERIES)
        .with_for_update(skip_locked=True)
    ).all()
    if ended:
        session.execute(delete(Attempt).where(Attempt.delivery_id.in_(ended)))
        session.execute(delete(_delivery).where(_delivery.c.id.in_(ended)))
    return len(ended)


def _drop_events(session: Session, event_ids: Sequence[UUID]) -> int:
    """Drop the events of these that no delivery needs any more."""
    bare = session.scalars(
        select(_event.c.id)
        .where(_event.c.id.in_(event_ids), ~_has_deliveries)
        .order_by(_event.c.id)
        .with_for_update(skip_locked=True)
    ).all()
    if bare:
        session.execute(delete(EventVariant).where(EventVariant.event_id.in_(bare)))
        session.execute(delete(_event).where(_event.c.id.in_(bare), ~_has_deliveries))
    return len(bare)
