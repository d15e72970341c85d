"""Taking deliveries from the table and putting their results back.

Everything here runs in a write transaction of the caller and none of it waits for a receiver. The
statements are built once: this is the busiest part of a worker beside the sending itself.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
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
from webhooks.fairness import Room
from webhooks.health import Health, News
from webhooks.models import (
    ERROR_LENGTH,
    Attempt,
    Delivery,
    DeliveryState,
    DropReason,
    Subscription,
)
from webhooks.outcome import Outcome
from webhooks.picking import FIRST_TRIES, RETRIES, Job, Picking
from webhooks.retry import Decision, Delivered, GiveUp, Gone, Retry


class Claim(NamedTuple):
    """What was taken, and whether there was more to take at that moment."""

    jobs: list[Job]
    more: bool
    lanes: int = 0  # from which it was taken
    emptied: Sequence[UUID] = ()  # of these, those in which nothing was left
    contended: bool = False  # whether others held all that was due


class Result(NamedTuple):
    """What came of one job."""

    job: Job
    started_at: datetime
    headers: Sequence[str]  # lines of the request
    outcome: Outcome
    decision: Decision


_delivery = cast("Table", Delivery.__table__)
_attempt = cast("Table", Attempt.__table__)
_in_ids = one_of(_delivery.c.id, bindparam("ids", type_=Many(BigInteger)))
_LEASE = Direct(
    update(_delivery)
    .where(_in_ids)
    .values(
        lease_owner=bindparam("owner"), lease_token=bindparam("token"), lease_until=bindparam("til")
    )
)
_NO_LEASE = {"lease_owner": None, "lease_token": None, "lease_until": None}
_DROP = (
    update(_delivery)
    .where(_in_ids)
    .values(
        state=DeliveryState.DROPPED,
        finished_at=bindparam("now"),
        dropped_because=bindparam("reason"),
    )
)
_PRESENT_TARGETS = (
    select(_delivery.c.id, _delivery.c.lease_token, Subscription.target_url)
    .join(Subscription, Subscription.id == _delivery.c.subscription_id)
    .where(_in_ids)
)
_HELD = Direct(
    select(
        _delivery.c.id,
        _delivery.c.lease_token,
        _delivery.c.throttles,
        type_coerce(_delivery.c.state, String),
        type_coerce(_delivery.c.dropped_because, String),
    )
    .where(_in_ids)
    .order_by(_delivery.c.id)
    .with_for_update()
)
_delivered = update(_delivery).values(
    state=DeliveryState.DELIVERED,
    attempts=_delivery.c.attempts + 1,
    finished_at=bindparam("now"),
    **_NO_LEASE,
)
_DELIVERED = Direct(_delivered.where(_in_ids))
#: One claim's, in one statement: what is still ours is delivered, and told.
_ONE_DELIVERED = Direct(
    _delivered.where(_in_ids, _delivery.c.lease_token == bindparam("held")).returning(
        _delivery.c.id
    )
)
_lease = cast_to(_delivery.c.id, String) + literal_column("' '") + _delivery.c.lease_token
_ours = (
    select(_delivery.c.id)
    .where(_in_ids, one_of(_lease, bindparam("leases", type_=Many(String))))
    .order_by(_delivery.c.id)
    .with_for_update()
)
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
        **_NO_LEASE,
    )
)
_IS_OURS = (
    _delivery.c.id == bindparam("row"),
    _delivery.c.lease_token == bindparam("held"),
)
_RELEASE = update(_delivery).where(*_IS_OURS).values(**_NO_LEASE)
_EXTEND = update(_delivery).where(*_IS_OURS).values(lease_until=bindparam("til"))
_LOST = (
    select(_delivery.c.id, _delivery.c.subscription_id)
    .where(_delivery.c.lease_until <= bindparam("now"))
    .with_for_update(skip_locked=True)
)
_ABANDONED = select(_delivery.c.id, _delivery.c.subscription_id).where(
    _delivery.c.lease_until.is_not(None), _delivery.c.lease_owner != bindparam("owner")
)
_SET_FREE = update(_delivery).where(_in_ids).values(**_NO_LEASE)
_columns = [column for column in _attempt.c if not column.primary_key]
_NAMES = [column.name for column in _columns]
_ATTEMPT = Direct(insert(_attempt), _NAMES)
#: Many attempts as one parameter, on PostgreSQL: no inserting one by one is as fast.
_rows = (
    func.json_to_recordset(cast_to(bindparam("rows", type_=Text), JSON))
    .table_valued(*[column(one.name, one.type) for one in _columns])
    .render_derived("rows", with_types=True)
)
_ATTEMPTS = Direct(insert(_attempt).from_select(_NAMES, select(*_rows.c)))
_done = _delivered.where(_delivery.c.id.in_(_ours)).returning(_delivery.c.id).cte("done")
#: Of several claims, and with their attempts; PostgreSQL can do all this at once.
_DELIVERED_AND_LOGGED = Direct(
    insert(_attempt)
    .from_select(_NAMES, select(*_rows.c).join(_done, _done.c.id == _rows.c.delivery_id))
    .returning(_attempt.c.delivery_id)
)
LANES_WORTH = 24  # deliveries that a lane should hold to be claimed alone with few others


def claim(
    session: Session,
    *,
    now: datetime,
    owner: str,
    lease: timedelta,
    room: Room,
    sparing: bool = True,
) -> Claim:
    """Take deliveries for the length of the lease: fairly by endpoint, mostly first tries first.

    What another worker is just taking is passed over. What its subscriber may not have any more, by
    what the key may do at this moment, is dropped instead, with the reason.
    sparing: to take a few lanes at first and others only if those held little, as what one worker
    holds, no other has. Where lanes hold little as a rule, all at once is half the work.
    """
    claims, more, passed, least = list[Claim](), False, room.full_lanes, room.total // 2
    for limit in (room.total // LANES_WORTH or 1, room.total) if sparing else (room.total,):
        if room.total <= least:
            break
        limit = min(limit, room.total)  # noqa: PLW2901 - cut to size
        turns = lanes.take_turns(session, now=now, limit=limit, passed=passed)
        if turns:
            claims.append(_serve(session, turns, room, now=now, owner=owner, until=now + lease))
            room = room.after(job.attempts for job in claims[-1].jobs)
            passed += [turn.endpoint.subscription_id for turn in turns]
        more = len(turns) == limit
        if not more:
            break
    return Claim(
        [job for one in claims for job in one.jobs],
        more or any(one.more for one in claims),
        sum(one.lanes for one in claims),
        [lane for one in claims for lane in one.emptied],
        contended=not claims and room.total > 0 and lanes.any_due(session, now, passed),
    )


def _serve(
    session: Session,
    turns: Sequence[lanes.Turn],
    room: Room,
    *,
    now: datetime,
    owner: str,
    until: datetime,
) -> Claim:
    """Take from these lanes what there is room for."""
    picking = Picking(session, turns, room, now)
    kinds = [(FIRST_TRIES, room.total)]
    if any(turn.has_retries for turn in turns):
        kinds.append((RETRIES, room.again))
    for statements, budget in reversed(kinds) if room.again_first else kinds:
        if budget and not picking.is_full:
            picking.pick(statements, budget)
    connection = session.connection()
    for reason, ids in picking.dropped.items():
        connection.execute(_DROP, {"ids": ids, "now": now, "reason": reason})
    if picking.jobs:
        ids = [job.delivery_id for job in picking.jobs]
        _LEASE.run(connection, ids=ids, owner=owner, token=picking.token, til=until)
    emptied = picking.send_lanes_on()
    return Claim(picking.jobs, picking.more, len(turns), emptied)


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
        for token, jobs in groupby((one.job for one in results), lambda job: job.token):
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


def release(session: Session, jobs: Sequence[Job], now: datetime) -> None:
    """Give jobs back that were never started; anyone may take them at once."""
    if jobs:
        lanes.call(session, dict.fromkeys((job.endpoint.subscription_id for job in jobs), now))
        session.connection().execute(_RELEASE, _held(jobs))


def extend(session: Session, jobs: Sequence[Job], until: datetime) -> None:
    """Keep jobs for longer; those that were lost meanwhile stay lost."""
    if jobs:
        session.connection().execute(_EXTEND, [one | {"til": until} for one in _held(jobs)])


def recall(session: Session, now: datetime) -> int:
    """Set free what workers hold whose leases have run out; return how many that were."""
    return _set_free(session, session.connection().execute(_LOST, {"now": now}).all(), now)


def inherit(session: Session, owner: str, now: datetime) -> int:
    """Set free what all others held: they are gone. Return how many that were."""
    return _set_free(session, session.connection().execute(_ABANDONED, {"owner": owner}).all(), now)


def _set_free(session: Session, rows: Sequence[Any], now: datetime) -> int:
    if rows:
        session.connection().execute(_SET_FREE, {"ids": [row.id for row in rows]})
        # Last, though lanes come first elsewhere: whoever has a lane does not wait for these rows.
        lanes.call(session, dict.fromkeys((row.subscription_id for row in rows), now))
    return len(rows)


def _held(jobs: Sequence[Job]) -> list[dict[str, object]]:
    """Return what tells that a job is ours, in the order in which everybody locks deliveries."""
    ordered = sorted(jobs, key=lambda job: job.delivery_id)
    return [{"row": job.delivery_id, "held": job.token} for job in ordered]


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
