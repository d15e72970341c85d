"""Taking deliveries from the table and putting their results back.

Everything here runs in a write transaction of the caller and none of it waits for a receiver. The
statements are built once: this is the busiest part of a worker beside the sending itself.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, cast
from uuid import UUID, uuid4

from sqlalchemy import BindParameter, Table, bindparam, insert, or_, select, update
from sqlalchemy.orm import Session

from keystore import standing
from keystore.audit import SYSTEM
from keystore.models import Key, User
from keystore.standing import Standing
from webhooks import subscriptions
from webhooks.audiences import objection, takes_part
from webhooks.models import (
    ERROR_LENGTH,
    IS_PENDING,
    Attempt,
    Audience,
    Delivery,
    DeliveryState,
    DropReason,
    Event,
    Subscription,
)
from webhooks.outcome import Outcome
from webhooks.retry import Decision, Delivered, Gone, Retry


class Job(NamedTuple):
    """A delivery that is ours for a while, with all that is needed to send it."""

    token: str  # of the lease
    delivery_id: int
    event_id: UUID
    subscription_id: UUID
    target_url: str
    secret_sealed: bytes
    body: bytes
    attempts: int  # made before
    throttles: int


class Result(NamedTuple):
    """What came of one job."""

    job: Job
    started_at: datetime
    headers: Sequence[str]  # lines of the request
    outcome: Outcome
    decision: Decision


_delivery = cast("Table", Delivery.__table__)
_attempt = cast("Table", Attempt.__table__)
_event = cast("Table", Event.__table__)
_subscription = cast("Table", Subscription.__table__)
_STANDING = len(standing.COLUMNS)
_IS_DUE = (
    IS_PENDING,
    _delivery.c.due_at <= bindparam("now"),
    or_(_delivery.c.lease_until.is_(None), _delivery.c.lease_until <= bindparam("now")),
)
_ANY_DUE = select(_delivery.c.id).where(*_IS_DUE).limit(1)
_DUE = (
    select(
        _subscription.c.is_active,
        *standing.COLUMNS,
        _event.c.needs,
        Audience.private,
        takes_part(Event.audience_id),
        # From here on as in Job, without the token.
        _delivery.c.id,
        _delivery.c.event_id,
        _delivery.c.subscription_id,
        _subscription.c.target_url,
        _subscription.c.secret_sealed,
        _event.c.body,
        _delivery.c.attempts,
        _delivery.c.throttles,
    )
    .join(_event, _event.c.id == _delivery.c.event_id)
    .join(_subscription, _subscription.c.id == _delivery.c.subscription_id)
    .join(Key, Key.id == _subscription.c.key_id)
    .outerjoin(User, User.id == Key.owner_id)
    .outerjoin(Audience, Audience.id == _event.c.audience_id)
    .where(*_IS_DUE)
    .order_by(_delivery.c.due_at, _delivery.c.id)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True, of=_delivery)
)
_ids: BindParameter[Sequence[int]] = bindparam("ids", expanding=True)
_LEASE = (
    update(_delivery)
    .where(_delivery.c.id.in_(_ids))
    .values(
        lease_owner=bindparam("owner"), lease_token=bindparam("token"), lease_until=bindparam("til")
    )
)
_NO_LEASE = {"lease_owner": None, "lease_token": None, "lease_until": None}
_DROP = (
    update(_delivery)
    .where(_delivery.c.id.in_(_ids))
    .values(
        state=DeliveryState.DROPPED,
        finished_at=bindparam("now"),
        dropped_because=bindparam("reason"),
    )
)
_HELD = (
    select(_delivery.c.id, _delivery.c.lease_token, _delivery.c.state)
    .where(_delivery.c.id.in_(_ids))
    .order_by(_delivery.c.id)
    .with_for_update()
)
_DELIVERED = (
    update(_delivery)
    .where(_delivery.c.id.in_(_ids))
    .values(
        state=DeliveryState.DELIVERED,
        attempts=_delivery.c.attempts + 1,
        finished_at=bindparam("now"),
        **_NO_LEASE,
    )
)
_UNDELIVERED = (
    update(_delivery)
    .where(_delivery.c.id == bindparam("row"))
    .values(
        state=bindparam("state"),
        attempts=_delivery.c.attempts + 1,
        throttles=_delivery.c.throttles + bindparam("free"),
        due_at=bindparam("due_at"),
        finished_at=bindparam("finished_at"),
        **_NO_LEASE,
    )
)
_RELEASE = (
    update(_delivery)
    .where(_delivery.c.id == bindparam("row"), _delivery.c.lease_token == bindparam("held"))
    .values(**_NO_LEASE)
)
_ATTEMPT = insert(_attempt)


def any_due(session: Session, now: datetime) -> bool:
    """Tell, by a read, whether a claim would find anything."""
    return session.execute(_ANY_DUE, {"now": now}).first() is not None


def claim(
    session: Session, *, now: datetime, owner: str, lease: timedelta, limit: int
) -> list[Job]:
    """Take up to `limit` due deliveries, oldest first, for the length of the lease.

    Rows that another worker is just taking are passed over. What its subscriber may not have any
    more, by what the key may do at this moment, is dropped instead, with the reason.
    """
    if not limit:
        return []
    token = uuid4().hex
    jobs: list[Job] = []
    dropped = defaultdict[DropReason, list[int]](list)
    due = session.connection().execute(_DUE, {"now": now, "limit": limit}).all()
    for is_active, *row in due:
        needs, private, is_in, *job = row[_STANDING:]
        why = objection(Standing._make(row[:_STANDING]), needs, private, is_in, now)
        if is_active and why is None:
            jobs.append(Job(token, *job))
        else:
            dropped[(why if is_active else None) or DropReason.ENDED].append(job[0])
    for reason, ids in dropped.items():
        session.execute(_DROP, {"ids": ids, "now": now, "reason": reason})
    if jobs:
        ids = [job.delivery_id for job in jobs]
        session.execute(_LEASE, {"ids": ids, "owner": owner, "token": token, "til": now + lease})
    return jobs


def settle(
    session: Session, results: Sequence[Result], *, now: datetime, logged: bool = True
) -> int:
    """Write attempts and what becomes of their deliveries; return how many were still ours.

    A result whose lease was lost to another worker changes nothing: that worker tells the story.
    logged: whether to write the attempts too, as ever, or only what becomes of the deliveries.
    """
    if not results:
        return 0
    gone = [one.job.subscription_id for one in results if isinstance(one.decision, Gone)]
    if gone:
        # Before the deliveries: subscriptions are locked first everywhere.
        which = Subscription.id.in_(gone)
        subscriptions.end(session, which, subscriptions.TARGET_GONE, now=now, actor=SYSTEM)
    rows = session.execute(_HELD, {"ids": [one.job.delivery_id for one in results]}).all()
    held = {(row.id, row.lease_token): row.state for row in rows}
    ours = [one for one in results if (one.job.delivery_id, one.job.token) in held]
    delivered = [one.job.delivery_id for one in ours if isinstance(one.decision, Delivered)]
    if delivered:
        session.execute(_DELIVERED, {"ids": delivered, "now": now})
    undelivered = [
        _undelivered(one, held[one.job.delivery_id, one.job.token], now)
        for one in ours
        if not isinstance(one.decision, Delivered)
    ]
    connection = session.connection()
    if undelivered:
        connection.execute(_UNDELIVERED, undelivered)
    if ours and logged:
        connection.execute(_ATTEMPT, [_attempt_row(one) for one in ours])
    return len(ours)


def release(session: Session, jobs: Sequence[Job]) -> None:
    """Give jobs back that were never started; anyone may take them at once."""
    if jobs:
        session.connection().execute(
            _RELEASE, [{"row": job.delivery_id, "held": job.token} for job in jobs]
        )


def _undelivered(result: Result, state: DeliveryState, now: datetime) -> dict[str, object]:
    decision = result.decision
    row: dict[str, object] = {"row": result.job.delivery_id, "free": 0, "due_at": now}
    if state is not DeliveryState.PENDING:  # dropped while the request was under way
        return row | {"state": state, "finished_at": now}
    if isinstance(decision, Retry):
        return row | {
            "state": state,
            "free": int(decision.free),
            "due_at": now + decision.delay,
            "finished_at": None,
        }
    dropped = isinstance(decision, Gone)
    return row | {
        "state": DeliveryState.DROPPED if dropped else DeliveryState.FAILED,
        "finished_at": now,
    }


def _attempt_row(result: Result) -> dict[str, object]:
    outcome = result.outcome
    return {
        "delivery_id": result.job.delivery_id,
        "number": result.job.attempts + 1,
        "started_at": result.started_at,
        "duration_ms": outcome.duration_ms,
        "outcome": outcome.ending,
        "status": outcome.status,
        "error": outcome.error[:ERROR_LENGTH] if outcome.error else None,
        "request_headers": "\n".join(result.headers),
        # PostgreSQL's text holds every character but this one.
        "response_excerpt": outcome.excerpt.replace("\0", "\N{REPLACEMENT CHARACTER}"),
    }
