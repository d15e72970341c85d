"""Sending a subscription all that it missed since some moment: a saved job, done in small steps.

It goes through the events of the subscription's types in their order. What failed or was dropped is
due again; what never had a delivery, as the subscription was switched off, gets one. The lane is
filled no further than a bit, so that a job of a hundred thousand events is in nobody's way. Each
step is a transaction of its own that moves the job's cursor along, so a job goes on where a killed
worker left it, and nothing is done twice.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import (
    ColumnElement,
    and_,
    func,
    insert,
    literal_column,
    or_,
    select,
    text,
    union_all,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from keystore import audit
from keystore.audit import Actor
from keystore.clock import Clock
from keystore.db import writing
from webhooks import held, lanes, outbox, redelivery, variants
from webhooks.catalog import Catalog
from webhooks.errors import (
    AlreadyRecovering,
    RecoveryNotFound,
    SubscriptionNotFound,
    SwitchedOff,
    WebhooksError,
)
from webhooks.models import (
    Delivery,
    DeliveryState,
    Event,
    Recovery,
    RecoveryState,
    Subscription,
)

BATCH = 100  # events in one step
MOST_WAITING = 200  # deliveries in the lane; with so many the job waits
#: An event is looked at when it is this old: it may have been dated a while before it was written,
#: or by a machine whose clock is behind ours.
LAG = timedelta(seconds=5)
#: For how long a transaction that writes, an import say, is waited for. It may be about something
#: else altogether, and whoever holds it may have forgotten it.
LONGEST = timedelta(hours=1)

_UNDELIVERED = {DeliveryState.FAILED, DeliveryState.DROPPED}


class Recoveries:
    """The jobs of all organizations."""

    def __init__(self, clock: Clock, catalog: Catalog, keep: timedelta | None = None) -> None:
        """keep: how long events are kept; None: for ever."""
        self._clock = clock
        self._catalog = catalog
        self._keep = keep

    @audit.refusals("subscription.recovered", of="subscription", errors=WebhooksError)
    def start(
        self,
        session: Session,
        subscription_id: UUID,
        *,
        since: datetime,
        organization_id: UUID,
        actor: Actor,
        only_of: UUID | None = None,
    ) -> Recovery:
        """Begin to send what a subscription missed since a moment, up to now.

        The job's own `since` is later than the one asked for where there was no subscription yet,
        or where events are so old that they are not kept (see `retention`).
        `only_of` as in `Subscriptions.list`. Raises KeyEnded, SubscriptionNotFound,
        SubscriptionEnded, SwitchedOff, AlreadyRecovering.
        """
        now = self._clock.now()
        recovery = Recovery(
            id=uuid4(),
            organization_id=organization_id,
            subscription_id=subscription_id,
            since=min(since, now),
            until=now,
            state=RecoveryState.RUNNING,
            cursor_at=min(since, now),
            found=0,
            made=0,
            created_at=now,
            stepped_at=now,
        )
        try:
            with writing(session):
                found = held.hold(session, subscription_id, organization_id, actor, only_of)
                if not found.is_active:
                    raise SwitchedOff
                # What was before it is nothing that it missed.
                begin = max(recovery.since, found.created_at)
                if self._keep is not None:
                    begin = max(begin, now - self._keep)
                recovery.since = recovery.cursor_at = begin
                session.add(recovery)
                session.flush()
                audit.record(
                    session,
                    now,
                    actor,
                    "subscription.recovered",
                    organization_id=organization_id,
                    subject_type="subscription",
                    subject_id=subscription_id,
                    since=recovery.since.isoformat(),
                )
        except IntegrityError:
            raise AlreadyRecovering from None
        return recovery

    def get(
        self,
        session: Session,
        subscription_id: UUID,
        recovery_id: UUID,
        *,
        organization_id: UUID,
        only_of: UUID | None = None,
    ) -> Recovery:
        """Return a job with its progress. Raises RecoveryNotFound."""
        with session.begin():
            return _found(session, subscription_id, recovery_id, organization_id, only_of)

    @audit.refusals("subscription.recovery_cancelled", of="subscription", errors=WebhooksError)
    def cancel(
        self,
        session: Session,
        subscription_id: UUID,
        recovery_id: UUID,
        *,
        organization_id: UUID,
        actor: Actor,
        only_of: UUID | None = None,
    ) -> Recovery:
        """End a job early; what it has made due stays so. Once more is as once.

        Raises KeyEnded, RecoveryNotFound.
        """
        with writing(session):
            held.admit(session, actor, organization_id)
            found = _found(session, subscription_id, recovery_id, organization_id, only_of)
            session.refresh(found, with_for_update=True)
            if found.state is RecoveryState.RUNNING:
                now = self._clock.now()
                _end(found, RecoveryState.CANCELLED, now)
                audit.record(
                    session,
                    now,
                    actor,
                    "subscription.recovery_cancelled",
                    organization_id=organization_id,
                    subject_type="subscription",
                    subject_id=subscription_id,
                    since=found.since.isoformat(),
                )
        return found

    def step(self, session: Session) -> int:
        """Move the job on that waits longest; return how many deliveries that made due."""
        now = self._clock.now()
        with session.begin():
            any_running = session.scalars(select(Recovery.id).where(_IS_RUNNING).limit(1)).first()
        if any_running is None:
            return 0
        with writing(session):
            recovery = session.scalars(
                select(Recovery)
                .where(_IS_RUNNING)
                .order_by(Recovery.stepped_at, Recovery.id)
                .limit(1)
                .with_for_update(skip_locked=True)
                .execution_options(populate_existing=True)
            ).one_or_none()
            if recovery is None:  # another worker is at it
                return 0
            recovery.stepped_at = now
            return _move_on(session, recovery, self._catalog, now)


def _move_on(session: Session, recovery: Recovery, catalog: Catalog, now: datetime) -> int:
    subscription = session.get_one(
        Subscription,
        recovery.subscription_id,
        populate_existing=True,
        with_for_update={"key_share": True},
    )
    if not subscription.is_active:
        _end(recovery, RecoveryState.CANCELLED, now)
        return 0
    if _waiting(session, subscription.id, now) >= MOST_WAITING:
        return 0
    settled = now - _lag(session)
    events = _next_events(session, recovery, subscription, settled)
    made = _deliver(session, subscription, events, catalog, now)
    recovery.found += len(events)
    recovery.made += made
    if events:
        recovery.cursor_at, recovery.cursor_id = events[-1].created_at, events[-1].id
    if len(events) < BATCH and settled >= recovery.until:
        _end(recovery, RecoveryState.DONE, now)
    return made


def _lag(session: Session) -> timedelta:
    """Return the age from which on all events are to be seen; ask before they are read.

    On PostgreSQL others may be writing, and what they have published is seen when they commit. On
    SQLite nobody is, as this transaction has the one write lock.
    """
    if session.connection().dialect.name != "postgresql":
        return LAG
    writing_for: timedelta | None = session.scalar(_WRITING_FOR)
    return LAG + min(writing_for or timedelta(), LONGEST)


def _next_events(
    session: Session, recovery: Recovery, subscription: Subscription, settled: datetime
) -> Sequence[Event]:
    after: ColumnElement[bool] = Event.created_at >= recovery.cursor_at
    if recovery.cursor_id is not None:
        same = and_(Event.created_at == recovery.cursor_at, Event.id > recovery.cursor_id)
        after = or_(Event.created_at > recovery.cursor_at, same)
    query = (
        select(Event)
        .where(
            Event.organization_id == subscription.organization_id,
            Event.type.in_(subscription.types),
            after,
            Event.created_at <= min(recovery.until, settled),
        )
        .order_by(Event.created_at, Event.id)
        .limit(BATCH)
    )
    if subscription.by_team:
        query = query.where(outbox.in_team(Event.audience_id, subscription.id))
    return session.scalars(query).all()


def _deliver(
    session: Session,
    subscription: Subscription,
    events: Sequence[Event],
    catalog: Catalog,
    now: datetime,
) -> int:
    """Make due what a subscription does not have of these events."""
    theirs = and_(
        Delivery.subscription_id == subscription.id,
        Delivery.event_id.in_([event.id for event in events]),
    )
    known = {one.event_id: one for one in session.scalars(select(Delivery).where(theirs))}
    again = [one.id for one in known.values() if one.state in _UNDELIVERED]
    missing = [event for event in events if event.id not in known]
    if missing:
        lanes.call(session, {subscription.id: now})
        rows = [
            {
                "organization_id": subscription.organization_id,
                "event_id": event.id,
                "subscription_id": subscription.id,
                "without": subscription.without,
                "state": DeliveryState.PENDING,
                "attempts": 0,
                "throttles": 0,
                "created_at": event.created_at,
                "due_at": now,
            }
            for event in missing
        ]
        if subscription.without:
            for event in missing:
                whole = [(event.id, event.body)]
                variants.freeze(session, catalog.get(event.type), whole, [subscription.without])
        session.execute(insert(Delivery), rows)
        lanes.ring(session)
    return len(missing) + redelivery.make_due(session, subscription.id, again, now)


def _waiting(session: Session, subscription_id: UUID, now: datetime) -> int:
    """Count what could be sent now, as far as it matters; retries may not be due for a day."""
    theirs = (Delivery.subscription_id == subscription_id, Delivery.due_at <= now)
    some = union_all(
        *[select(Delivery.id).where(*theirs, which) for which in (lanes.IS_FIRST, lanes.IS_AGAIN)]
    ).limit(MOST_WAITING)
    return session.scalars(select(func.count()).select_from(some.subquery())).one()


def _end(recovery: Recovery, state: RecoveryState, now: datetime) -> None:
    recovery.state = state
    recovery.finished_at = now


def _found(
    session: Session,
    subscription_id: UUID,
    recovery_id: UUID,
    organization_id: UUID,
    only_of: UUID | None,
) -> Recovery:
    found = session.get(Recovery, recovery_id, populate_existing=True)
    if found is None or (found.organization_id, found.subscription_id) != (
        organization_id,
        subscription_id,
    ):
        raise RecoveryNotFound
    if only_of is not None:
        subscription = session.get_one(Subscription, subscription_id)
        if subscription.key_id != only_of:
            raise SubscriptionNotFound
    return found


_IS_RUNNING = Recovery.state == literal_column("'running'")
#: For how long the oldest transaction that writes has done so; an age, as the database's clock may
#: not be ours. Of other roles only members of pg_read_all_stats see any; our processes share one.
_WRITING_FOR = text(
    "SELECT max(clock_timestamp() - xact_start) FROM pg_stat_activity"
    " WHERE datname = current_database() AND backend_type = 'client backend'"
    " AND backend_xid IS NOT NULL AND pid <> pg_backend_pid()"
)
