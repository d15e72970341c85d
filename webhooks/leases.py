"""Taking deliveries from the table and putting their results back.

Everything here runs in a write transaction of the caller and none of it waits for a receiver. The
statements are built once: this is the busiest part of a worker beside the sending itself.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast
from uuid import UUID, uuid4

import psycopg
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Select,
    String,
    Table,
    Uuid,
    bindparam,
    func,
    insert,
    join,
    select,
    true,
    update,
)
from sqlalchemy import cast as cast_to
from sqlalchemy.orm import Session

from keystore.audit import SYSTEM
from keystore.db import Many, one_of
from keystore.prepared import translated
from webhooks import fairness, lanes, subscriptions
from webhooks.audiences import members, objection
from webhooks.fairness import Room
from webhooks.health import Health, News
from webhooks.lanes import IS_AGAIN, IS_FIRST, Endpoint, Turn
from webhooks.models import (
    ERROR_LENGTH,
    Attempt,
    Audience,
    Delivery,
    DeliveryState,
    DropReason,
    Event,
    EventVariant,
    Lane,
    Subscription,
)
from webhooks.outcome import Outcome
from webhooks.retry import Decision, Delivered, GiveUp, Gone, Retry


class Job(NamedTuple):
    """A delivery that is ours for a while, with all that is needed to send it."""

    token: str  # of the lease
    delivery_id: int
    event_id: str  # its 32 hexadecimal digits
    body: bytes
    attempts: int  # made before
    throttles: int
    created_at: datetime  # when the event was published, or sent again by somebody's wish
    endpoint: Endpoint


class Claim(NamedTuple):
    """What was taken, and whether there was more to take at that moment."""

    jobs: list[Job]
    more: bool
    emptied: Sequence[UUID] = ()  # lanes in which nothing was left


class Result(NamedTuple):
    """What came of one job."""

    job: Job
    started_at: datetime
    headers: Sequence[str]  # lines of the request
    outcome: Outcome
    decision: Decision


class _Row(NamedTuple):
    """A delivery that waits, with its event."""

    subscription_id: UUID
    delivery_id: int
    event_id: str
    attempts: int
    throttles: int
    created_at: datetime
    body: bytes
    needs: str
    audience_id: int | None
    private: bool | None


_delivery = cast("Table", Delivery.__table__)
_attempt = cast("Table", Attempt.__table__)
_lane = cast("Table", Lane.__table__)
_in_lanes = one_of(_lane.c.subscription_id, bindparam("lanes", type_=Many(Uuid)))
_in_ids = one_of(_delivery.c.id, bindparam("ids", type_=Many(BigInteger)))


def _waiting(which: ColumnElement[bool], *, lateral: bool) -> Select[Any]:
    """Return the first few of what waits in each of some lanes, by the index made for it."""
    picked = (
        select(_delivery if lateral else _delivery.c.id)
        .where(
            _delivery.c.subscription_id == _lane.c.subscription_id,
            which,
            _delivery.c.due_at <= bindparam("now"),
        )
        .correlate(_lane)
        .order_by(_delivery.c.due_at, _delivery.c.id)
        .limit(bindparam("each"))
    )
    if lateral:
        of: FromClause = picked.with_for_update(skip_locked=True, of=_delivery).lateral("waiting")
        source = join(_lane, of, true())
    else:  # SQLite: it has no LATERAL, and looks each of these ids up at once
        of = _delivery
        source = join(_lane, of, _delivery.c.id.in_(picked))
    return (
        select(
            of.c.subscription_id,
            of.c.id,
            func.replace(cast_to(of.c.event_id, String), "-", ""),
            of.c.attempts,
            of.c.throttles,
            of.c.created_at,
            func.coalesce(EventVariant.body, Event.body),
            Event.needs,
            Event.audience_id,
            Audience.private,
        )
        .select_from(source)
        .join(Event, Event.id == of.c.event_id)
        .outerjoin(Audience, Audience.id == Event.audience_id)
        .outerjoin(
            EventVariant,
            (EventVariant.event_id == of.c.event_id) & (EventVariant.without == of.c.without),
        )
        .where(_in_lanes)
        .order_by(of.c.due_at, of.c.id)
    )


#: By whether the database is SQLite.
_FIRST_TRIES = {here: _waiting(IS_FIRST, lateral=not here) for here in (True, False)}
_RETRIES = {here: _waiting(IS_AGAIN, lateral=not here) for here in (True, False)}
_LEASE = (
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
_HELD = (
    select(_delivery.c.id, _delivery.c.lease_token, _delivery.c.state, _delivery.c.dropped_because)
    .where(_in_ids)
    .order_by(_delivery.c.id)
    .with_for_update()
)
_DELIVERED = (
    update(_delivery)
    .where(_in_ids)
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
_ATTEMPT = insert(_attempt)
AGAIN_PAUSE = timedelta(seconds=1)  # before a lane is looked at again whose retries found no room


def claim(session: Session, *, now: datetime, owner: str, lease: timedelta, room: Room) -> Claim:
    """Take deliveries for the length of the lease: fairly by endpoint, first tries first.

    What another worker is just taking is passed over. What its subscriber may not have any more, by
    what the key may do at this moment, is dropped instead, with the reason.
    """
    if room.total <= 0:
        return Claim([], more=False)
    turns = lanes.take_turns(session, now=now, limit=room.total, passed=room.full_lanes)
    if not turns:
        return Claim([], more=False)
    picking = _Picking(session, turns, room, now)
    picking.pick(_FIRST_TRIES, room.total)
    if room.again:
        picking.pick(_RETRIES, room.again)
    connection = session.connection()
    for reason, ids in picking.dropped.items():
        connection.execute(_DROP, {"ids": ids, "now": now, "reason": reason})
    if picking.jobs:
        lease_row = {"owner": owner, "token": picking.token, "til": now + lease}
        ids = [job.delivery_id for job in picking.jobs]
        connection.execute(_LEASE, {"ids": ids, **lease_row})
    emptied = picking.send_lanes_on()
    return Claim(picking.jobs, picking.more or len(turns) == room.total, emptied)


class _Share:
    """A lane whose turn it is, and what is taken from it."""

    def __init__(self, turn: Turn, each: int, room: Room, now: datetime) -> None:
        endpoint = turn.endpoint
        self.turn = turn
        self.taken = 0
        self.left_at: datetime | None = None  # its next turn, if more is due in it
        self._now = now
        self._bucket = fairness.bucket(endpoint.rate, endpoint.target_url)
        is_failing = endpoint.failing_since is not None
        self._space = room.for_lane(endpoint.subscription_id, is_failing=is_failing)
        self._most = min(each, self._space)
        if self._bucket is not None:
            self._most = min(self._most, self._bucket.tokens(turn.full_at, now))

    def take(self) -> bool:
        """Take one more, unless it has had its share."""
        if self.taken >= self._most:
            self.leave()
            return False
        self.taken += 1
        return True

    def leave(self, pause: timedelta = timedelta()) -> None:
        """Let the lane go to the end of the line, as it holds more."""
        self.left_at = self.left_at or self._now + pause

    @property
    def full_at(self) -> datetime | None:
        """When its bucket will be full again, if one was drawn from."""
        if self._bucket is None or not self.taken:
            return None
        return self._bucket.take(self.taken, self.turn.full_at, self._now)

    @property
    def next_turn(self) -> datetime | None:
        """When it is its turn again; None when nothing more is due."""
        if self.left_at is None or self._bucket is None:
            return self.left_at
        full_at = self.full_at or self.turn.full_at
        return max(self.left_at, self._bucket.next_at(full_at, self._now))

    @property
    def has_more(self) -> bool:
        """Whether more could be taken from it this moment."""
        return self.next_turn == self._now and self.taken < self._space


class _Picking:
    """What one claim takes from the lanes whose turn it is."""

    def __init__(self, session: Session, turns: Sequence[Turn], room: Room, now: datetime) -> None:
        self._session = session
        self._now = now
        self._each = max(1, room.total // len(turns))
        self._shares = {
            turn.endpoint.subscription_id: _Share(turn, self._each, room, now) for turn in turns
        }
        self.token = uuid4().hex
        self.jobs: list[Job] = []
        self.dropped = defaultdict[DropReason, list[int]](list)

    def pick(self, statements: Mapping[bool, Select[Any]], budget: int) -> None:
        """Take up to `budget` deliveries of one kind, and drop what may not be sent."""
        rows = self._rows(statements)
        together = self._people(rows)
        seen = Counter[_Share]()
        for row in rows:
            share = self._shares[row.subscription_id]
            turn = share.turn
            seen[share] += 1
            is_in = (row.audience_id, turn.standing.email) in together
            why = objection(turn.standing, row.needs, row.private, is_in, self._now)
            if why is not None or not turn.is_active:
                why = why if turn.is_active else None
                self.dropped[why or DropReason.ENDED].append(row.delivery_id)
            elif budget <= 0:
                share.leave(AGAIN_PAUSE)
            elif share.take():
                budget -= 1
                self.jobs.append(
                    Job(
                        self.token,
                        row.delivery_id,
                        row.event_id,
                        row.body,
                        row.attempts,
                        row.throttles,
                        row.created_at,
                        turn.endpoint,
                    )
                )
        for share, count in seen.items():
            if count == self._each:  # there may be more where these came from
                share.leave()

    @property
    def more(self) -> bool:
        """Whether there was more to take at this moment."""
        return any(share.has_more for share in self._shares.values())

    def send_lanes_on(self) -> list[UUID]:
        """Say when it is each lane's turn again; return those in which nothing was left."""
        full_at = {one: share.full_at for one, share in self._shares.items()}
        turns = {one: share.next_turn for one, share in self._shares.items()}
        lanes.drain(self._session, {one: at for one, at in full_at.items() if at is not None})
        lanes.requeue(
            self._session, [one for one, at in turns.items() if at == self._now], self._now
        )
        lanes.postpone(
            self._session, {one: at for one, at in turns.items() if at and at != self._now}
        )
        emptied = [one for one, at in turns.items() if at is None]
        lanes.run_dry(self._session, emptied, self._now)
        return emptied

    def _rows(self, statements: Mapping[bool, Select[Any]]) -> list[_Row]:
        connection = self._session.connection()
        statement = statements[connection.dialect.name == "sqlite"]
        wanted = {"lanes": list(self._shares), "each": self._each, "now": self._now}
        return [_Row._make(row) for row in connection.execute(statement, wanted)]

    def _people(self, rows: Sequence[_Row]) -> Collection[tuple[int, str]]:
        """Return which owners of personal keys are of which audiences."""
        asked = {
            (row.audience_id, email)
            for row in rows
            if row.audience_id is not None
            and (email := self._shares[row.subscription_id].turn.standing.email) is not None
        }
        return members(self._session, asked) if asked else set()


def settle(
    session: Session,
    results: Sequence[Result],
    *,
    now: datetime,
    health: Health,
    logged: bool = True,
) -> int:
    """Write attempts and what becomes of their deliveries; return how many were still ours.

    A result whose lease was lost to another worker changes nothing: that worker tells the story.
    health: takes note of how each subscription fares. logged: whether to write the attempts too,
    as ever, or only what becomes of the deliveries.
    """
    if not results:
        return 0
    gone = [one.job.endpoint.subscription_id for one in results if isinstance(one.decision, Gone)]
    if gone:
        which = Subscription.id.in_(gone)
        subscriptions.end(session, which, subscriptions.TARGET_GONE, now=now, actor=SYSTEM)
    health.note(session, _news(results), now)
    _call_for_retries(session, results, now)
    rows = session.execute(_HELD, {"ids": [one.job.delivery_id for one in results]}).all()
    held = {(row.id, row.lease_token): row for row in rows}
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
        _log(connection, [_attempt_row(one) for one in ours])
    return len(ours)


def release(session: Session, jobs: Sequence[Job], now: datetime) -> None:
    """Give jobs back that were never started; anyone may take them at once."""
    if jobs:
        lanes.call(session, dict.fromkeys((job.endpoint.subscription_id for job in jobs), now))
        session.connection().execute(_RELEASE, [_held(job) for job in jobs])


def extend(session: Session, jobs: Sequence[Job], until: datetime) -> None:
    """Keep jobs for longer; those that were lost meanwhile stay lost."""
    if jobs:
        session.connection().execute(_EXTEND, [_held(job) | {"til": until} for job in jobs])


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


def _held(job: Job) -> dict[str, object]:
    return {"row": job.delivery_id, "held": job.token}


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


def _undelivered(result: Result, held: Any, now: datetime) -> dict[str, object]:
    """Return what becomes of a delivery that did not arrive; it may have been dropped meanwhile."""
    decision = result.decision
    row: dict[str, object] = {"row": result.job.delivery_id, "free": 0, "due_at": now}
    row |= {"finished_at": now, "reason": None}
    if isinstance(decision, GiveUp):
        return row | {"state": DeliveryState.FAILED}
    if held.state is not DeliveryState.PENDING:
        return row | {"state": held.state, "reason": held.dropped_because}
    if isinstance(decision, Retry):
        due_at, free = now + decision.delay, int(decision.free)
        return row | {"state": held.state, "free": free, "due_at": due_at, "finished_at": None}
    return row | {"state": DeliveryState.DROPPED, "reason": DropReason.ENDED}


def _log(connection: Connection, rows: Sequence[dict[str, object]]) -> None:
    """Write attempts; on PostgreSQL as a stream, at a third of what so many inserts cost."""
    if connection.dialect.name != "postgresql":
        connection.execute(_ATTEMPT, rows)
        return
    cursor = connection.connection.cursor()
    try:
        with cursor.copy(f"COPY attempts ({', '.join(rows[0])}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(tuple(row.values()))
    except psycopg.Error as error:
        raise translated(error, connection.dialect) from error


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
