"""Taking deliveries from the table, for a while.

Everything here runs in a write transaction of the caller and none of it waits for a receiver. The
statements are built once: this is among the busiest parts of a worker beside the sending itself.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import BigInteger, Table, bindparam, select, update
from sqlalchemy.orm import Session

from keystore.db import Many, one_of
from keystore.prepared import Direct
from webhooks import lanes
from webhooks.fairness import Room
from webhooks.models import Delivery, DeliveryState
from webhooks.picking import FIRST_TRIES, RETRIES, Job, Picking


class Claim(NamedTuple):
    """What was taken, and whether there was more to take at that moment."""

    jobs: list[Job]
    more: bool
    served: int = 0  # lanes that had their turn
    emptied: Sequence[UUID] = ()  # of these, those in which there was nothing to take
    lingering: int = 0  # those from which all was taken, and which are looked at once more
    awaiting: Sequence[str] = ()  # those whose endpoints have all they may have
    contended: bool = False  # whether others held all that was due


LANES_WORTH = 24  # deliveries that a lane should hold to be claimed alone with few others

_delivery = cast("Table", Delivery.__table__)
#: Which deliveries a statement is about: those whose ids it is given.
IN_IDS = one_of(_delivery.c.id, bindparam("ids", type_=Many(BigInteger)))
NO_LEASE = {"lease_owner": None, "lease_token": None, "lease_until": None}
_LEASE = Direct(
    update(_delivery)
    .where(IN_IDS)
    .values(
        lease_owner=bindparam("owner"), lease_token=bindparam("token"), lease_until=bindparam("til")
    )
)
_DROP = (
    update(_delivery)
    .where(IN_IDS)
    .values(
        state=DeliveryState.DROPPED,
        finished_at=bindparam("now"),
        dropped_because=bindparam("reason"),
    )
)
_IS_OURS = (
    _delivery.c.id == bindparam("row"),
    _delivery.c.lease_token == bindparam("held"),
)
_RELEASE = update(_delivery).where(*_IS_OURS).values(**NO_LEASE)
_EXTEND = update(_delivery).where(*_IS_OURS).values(lease_until=bindparam("til"))
_LOST = (
    select(_delivery.c.id, _delivery.c.subscription_id)
    .where(_delivery.c.lease_until <= bindparam("now"))
    .with_for_update(skip_locked=True)
)
_ABANDONED = select(_delivery.c.id, _delivery.c.subscription_id).where(
    _delivery.c.lease_until.is_not(None), _delivery.c.lease_owner != bindparam("owner")
)
_SET_FREE = update(_delivery).where(IN_IDS).values(**NO_LEASE)


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
        sum(one.served for one in claims),
        [lane for one in claims for lane in one.emptied],
        sum(one.lingering for one in claims),
        [lane for one in claims for lane in one.awaiting],
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
    picking.send_lanes_on()
    return Claim(
        picking.jobs,
        picking.more,
        len(turns),
        picking.emptied,
        len(picking.lingering),
        picking.awaiting,
    )


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
