"""Putting down what came of deliveries that were taken: attempts, and what is to become of each.

As in `leases`, in a write transaction of the caller, by statements that are built once.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple, cast
from uuid import UUID

from sqlalchemy import (
    JSON,
    Connection,
    String,
    Table,
    Text,
    and_,
    bindparam,
    column,
    func,
    insert,
    literal_column,
    or_,
    select,
    type_coerce,
    update,
)
from sqlalchemy import cast as cast_to
from sqlalchemy.orm import Session

from keystore.audit import SYSTEM
from keystore.db import Many, one_of
from keystore.prepared import Direct
from webhooks import held, lanes
from webhooks.health import Health, News
from webhooks.leases import IN_IDS, NO_LEASE
from webhooks.models import (
    ERROR_LENGTH,
    Attempt,
    Delivery,
    DeliveryState,
    DropReason,
    Subscription,
)
from webhooks.outcome import Outcome
from webhooks.picking import Job
from webhooks.retry import Decision, Delivered, GiveUp, Gone, Retry


class Result(NamedTuple):
    """What came of one job."""

    job: Job
    started_at: datetime
    headers: Sequence[str]  # lines of the request
    outcome: Outcome
    decision: Decision


_delivery = cast("Table", Delivery.__table__)
_attempt = cast("Table", Attempt.__table__)
_PRESENT_TARGETS = (
    select(_delivery.c.id, _delivery.c.lease_token, Subscription.target_url)
    .join(Subscription, Subscription.id == _delivery.c.subscription_id)
    .where(IN_IDS)
)
_HELD = Direct(
    select(
        _delivery.c.id,
        _delivery.c.lease_token,
        _delivery.c.throttles,
        type_coerce(_delivery.c.state, String),
        type_coerce(_delivery.c.dropped_because, String),
    )
    .where(IN_IDS)
    .order_by(_delivery.c.id)
    .with_for_update()
)
_delivered = update(_delivery).values(
    state=DeliveryState.DELIVERED,
    attempts=_delivery.c.attempts + 1,
    finished_at=bindparam("now"),
    **NO_LEASE,
)
_DELIVERED = Direct(_delivered.where(IN_IDS))
_UNDELIVERED = Direct(
    update(_delivery)
    .where(_delivery.c.id == bindparam("row"))
    .values(
        state=bindparam("state"),
        attempts=_delivery.c.attempts + 1,
        throttles=_delivery.c.throttles + bindparam("free"),
        due_at=bindparam("due_at"),
        finished_at=bindparam("finished_at"),
        dropped_because=bindparam("reason"),
        **NO_LEASE,
    )
)
_columns = [one for one in _attempt.c if not one.primary_key]
_NAMES = [one.name for one in _columns]
_ATTEMPT = Direct(insert(_attempt), _NAMES)
#: Many attempts as one parameter, on PostgreSQL: no inserting one by one is as fast.
_rows = (
    func.json_to_recordset(cast_to(bindparam("rows", type_=Text), JSON))
    .table_valued(*[column(one.name, one.type) for one in _columns])
    .render_derived("rows", with_types=True)
)
_ATTEMPTS = Direct(insert(_attempt).from_select(_NAMES, select(*_rows.c)))
#: What one claim took, in one statement: what is still ours is delivered, and told.
_ONE_DELIVERED = Direct(
    _delivered.where(IN_IDS, _delivery.c.lease_token == bindparam("held")).returning(_delivery.c.id)
)
#: A delivery and its token in one text: in two lists, one might be taken for another's.
_lease = cast_to(_delivery.c.id, String) + literal_column("' '") + _delivery.c.lease_token
_ours = (
    select(_delivery.c.id)
    .where(IN_IDS, one_of(_lease, bindparam("leases", type_=Many(String))))
    .order_by(_delivery.c.id)  # as everybody locks deliveries
    .with_for_update()
)
_done = _delivered.where(_delivery.c.id.in_(_ours)).returning(_delivery.c.id).cte("done")
#: What several claims took, and with the attempts; PostgreSQL can do all this at once.
_DELIVERED_AND_LOGGED = Direct(
    insert(_attempt)
    .from_select(_NAMES, select(*_rows.c).join(_done, _done.c.id == _rows.c.delivery_id))
    .returning(_attempt.c.delivery_id)
)


def settle(
    session: Session,
    results: Sequence[Result],
    *,
    now: datetime,
    health: Health,
    logged: bool = True,
) -> int:
    """Write attempts and what becomes of their deliveries; return how many were still ours.

    A result whose lease was lost to another worker changes nothing: that worker tells the story. If
    a delivery's subscription has moved, what its former target said ends nothing and counts for no
    retry; nor does an attempt in the midst of which somebody wished the delivery sent again.
    health: takes note of how each subscription fares. logged: whether to write the attempts too,
    as ever, or only what becomes of the deliveries.
    """
    if not results:
        return 0
    connection, ids = session.connection(), [one.job.delivery_id for one in results]
    moved: Collection[int] = ()
    if not all(map(_is_as_ever, results)):
        telling, moved = _by_target(session, results)
        _end_those_gone(session, telling, now)
        health.note(session, _news(telling), now)
        _call_for_retries(session, results, now)
    is_simple = logged and len({*ids}) == len(ids)
    if is_simple and all(isinstance(one.decision, Delivered) for one in results):
        return _end_delivered(connection, results, now)
    ours = _end_any(session, results, moved, now)
    if logged:
        _log(connection, ours)
    return len(ours)


def _end_delivered(connection: Connection, results: Sequence[Result], now: datetime) -> int:
    """Write attempts whose deliveries have arrived, each in here once; return how many were ours.

    It is what nearly always happens, and takes the fewest statements.
    """
    if connection.dialect.name == "sqlite":
        left = set[int]()
        by_token = attrgetter("token")
        for token, jobs in groupby(sorted([one.job for one in results], key=by_token), by_token):
            ids = [job.delivery_id for job in jobs]
            rows = _ONE_DELIVERED.rows(connection, ids=ids, held=token, now=now)
            left.update(delivery_id for (delivery_id,) in rows)
        _log(connection, [one for one in results if one.job.delivery_id in left])
        return len(left)
    rows = _DELIVERED_AND_LOGGED.rows(
        connection,
        ids=[one.job.delivery_id for one in results],
        leases=[f"{one.job.delivery_id} {one.job.token}" for one in results],
        now=now,
        rows=_as_json(results),
    )
    return len(rows)


def _end_any(
    session: Session, results: Sequence[Result], moved: Collection[int], now: datetime
) -> Sequence[Result]:
    """Write what becomes of deliveries, whatever that is; return the results that were ours.

    moved: deliveries whose subscription has another target by now.
    """
    connection, ids = session.connection(), [one.job.delivery_id for one in results]
    stored = {
        (delivery_id, token): more for delivery_id, token, *more in _HELD.rows(connection, ids=ids)
    }
    ours = [one for one in results if (one.job.delivery_id, one.job.token) in stored]
    delivered = [one.job.delivery_id for one in ours if isinstance(one.decision, Delivered)]
    if delivered:
        _DELIVERED.run(connection, ids=delivered, now=now)
    if len(delivered) < len(ours):
        rows, anew = list[dict[str, object]](), set[UUID]()
        for one in ours:
            if not isinstance(one.decision, Delivered):
                throttles, *more = stored[one.job.delivery_id, one.job.token]
                is_anew = one.job.delivery_id in moved or throttles != one.job.throttles
                rows.append(_undelivered(one, more, now, is_anew=is_anew))
                if is_anew:
                    anew.add(one.job.endpoint.subscription_id)
        _UNDELIVERED.run_many(connection, rows)
        lanes.wake(session, sorted(anew), now)
    return ours


def _by_target(
    session: Session, results: Sequence[Result]
) -> tuple[Sequence[Result], Collection[int]]:
    """Return the results that tell of an endpoint, and the deliveries whose subscription has moved.

    What was lost to another worker is neither.
    """
    ids = [one.job.delivery_id for one in results]
    present = {
        (delivery_id, token): target_url
        for delivery_id, token, target_url in session.connection().execute(
            _PRESENT_TARGETS, {"ids": ids}
        )
    }
    telling, moved = list[Result](), set[int]()
    for one in results:
        target_url = present.get((one.job.delivery_id, one.job.token))
        if target_url == one.job.endpoint.target_url:
            telling.append(one)
        elif target_url is not None:
            moved.add(one.job.delivery_id)
    return telling, moved


def _end_those_gone(session: Session, results: Sequence[Result], now: datetime) -> None:
    gone = [one.job.endpoint for one in results if isinstance(one.decision, Gone)]
    if gone:
        # Once more, with their rows held: one may have moved this moment.
        which = or_(
            *[
                and_(
                    Subscription.id == one.subscription_id,
                    Subscription.target_url == one.target_url,
                )
                for one in gone
            ]
        )
        held.end(session, which, held.TARGET_GONE, now=now, actor=SYSTEM)


def _is_as_ever(result: Result) -> bool:
    """Tell whether an endpoint was well and is."""
    return result.outcome.delivered and result.job.endpoint.failing_since is None


def _news(results: Sequence[Result]) -> Iterator[News]:
    """Return what tells of an endpoint's health; who only asks for more time is well."""
    for one in results:
        outcome, endpoint = one.outcome, one.job.endpoint
        if not outcome.throttled and not isinstance(one.decision, Gone):
            yield News(
                endpoint.subscription_id,
                endpoint.failing_since,
                endpoint.warned_at,
                None if outcome.delivered else outcome.error or f"HTTP {outcome.status}",
            )


def _call_for_retries(session: Session, results: Sequence[Result], now: datetime) -> None:
    turns: dict[UUID, datetime] = {}
    for one in results:
        if isinstance(one.decision, Retry):
            lane, due_at = one.job.endpoint.subscription_id, now + one.decision.delay
            turns[lane] = min(due_at, turns.get(lane, due_at))
    lanes.call(session, turns)


def _undelivered(
    result: Result, stored: Sequence[str | None], now: datetime, *, is_anew: bool
) -> dict[str, object]:
    """Return what becomes of a delivery that did not arrive.

    stored: its state and why it was dropped, as it may have been meanwhile. is_anew: whether it is
    to be sent in any case, as if this attempt had not been.
    """
    state, dropped_because = stored
    decision = result.decision
    row: dict[str, object] = {"row": result.job.delivery_id, "free": 0, "due_at": now}
    row |= {"finished_at": now, "reason": None}
    if is_anew and state == DeliveryState.PENDING:
        return row | {"state": state, "free": 1, "finished_at": None}
    if isinstance(decision, GiveUp):
        return row | {"state": DeliveryState.FAILED}
    if state != DeliveryState.PENDING:
        return row | {"state": state, "reason": dropped_because}
    if isinstance(decision, Retry):
        due_at, free = now + decision.delay, int(decision.free)
        return row | {"state": state, "free": free, "due_at": due_at, "finished_at": None}
    return row | {"state": DeliveryState.DROPPED, "reason": DropReason.ENDED}


def _log(connection: Connection, results: Sequence[Result]) -> None:
    """Write attempts."""
    if not results:
        return
    if connection.dialect.name == "sqlite":
        _ATTEMPT.run_many(connection, map(_attempt_row, results))
    else:
        _ATTEMPTS.run(connection, rows=_as_json(results))


def _as_json(results: Sequence[Result]) -> str:
    """Return attempts as PostgreSQL reads them from one parameter."""
    return json.dumps([_attempt_row(one) for one in results], default=datetime.isoformat)


def _attempt_row(result: Result) -> dict[str, object]:
    outcome = result.outcome
    return {
        "delivery_id": result.job.delivery_id,
        "number": result.job.attempts + 1,
        "started_at": result.started_at,
        "duration_ms": outcome.duration_ms,
        "outcome": outcome.ending.value,
        "status": outcome.status,
        "error": outcome.error[:ERROR_LENGTH] if outcome.error else None,
        "request_headers": "\n".join(result.headers),
        # PostgreSQL's text holds every character but this one.
        "response_excerpt": outcome.excerpt.replace("\0", "\N{REPLACEMENT CHARACTER}"),
    }
