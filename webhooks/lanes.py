"""Whose turn it is: the lanes before the subscriptions, served in turn.

Everything here runs in a write transaction of the caller. Locks are taken in one order everywhere:
subscriptions, lanes, deliveries. Who claims waits for nobody: what another holds is passed over.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    FromClause,
    ScalarSelect,
    Table,
    Uuid,
    and_,
    bindparam,
    case,
    false,
    func,
    insert,
    literal_column,
    not_,
    or_,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy.orm import Session

from keystore import standing
from keystore.db import Many, one_of
from keystore.models import Key, User
from keystore.prepared import Direct
from keystore.standing import Standing
from webhooks.models import (
    IS_PENDING,
    Delivery,
    DeliveryState,
    DropReason,
    Lane,
    SigningSecret,
    Subscription,
)

CHANNEL = "keyhook_deliveries"  # of PostgreSQL's NOTIFY


class Endpoint(NamedTuple):
    """Where the deliveries of a lane go, and what a request to it is made of."""

    subscription_id: UUID
    organization_id: UUID
    target_url: str
    secret_sealed: bytes
    former_secret_sealed: bytes | None
    former_until: datetime | None
    headers_sealed: bytes | None
    contract_sealed: bytes | None  # the organization's secret
    rate: int | None  # deliveries a minute
    failing_since: datetime | None
    warned_at: int  # per cent of the time for failing
    without: str  # parts of bodies, as `Subscription.without` has them


class Turn(NamedTuple):
    """A lane whose turn it is; its row is ours until the end of the transaction."""

    endpoint: Endpoint
    standing: Standing  # of the key that subscribed
    is_active: bool
    full_at: datetime | None
    has_retries: bool  # whether any are due


_lane = cast("Table", Lane.__table__)
_delivery = cast("Table", Delivery.__table__)
_subscription = cast("Table", Subscription.__table__)
_in_ids = one_of(_lane.c.subscription_id, bindparam("ids", type_=Many(Uuid)))
_signing_secret = cast("Table", SigningSecret.__table__)
_now = bindparam("now", type_=_lane.c.turn_at.type)
_turn = bindparam("turn", type_=_lane.c.turn_at.type)
#: As the partial indexes have it, word for word.
IS_READY = and_(_delivery.c.state == literal_column("'pending'"), _delivery.c.lease_token.is_(None))
IS_FIRST = and_(IS_READY, _delivery.c.attempts == literal_column("0"))
IS_AGAIN = and_(IS_READY, _delivery.c.attempts > literal_column("0"))


def looked_up(name: str, columns: Iterable[Any], by: ColumnElement[bool]) -> FromClause:
    """Return one row to be joined to others, found by a unique key of its own table.

    For PostgreSQL: told that a table is small it would read all of it, and go on to do so as it
    grows, until it counts the rows again. The limit keeps it from that.
    """
    return select(*columns).where(by).limit(1).lateral(name)


def _endpoint(subscription: FromClause, signing_secret: FromClause) -> list[ColumnElement[Any]]:
    elsewhere = {
        "subscription_id": subscription.c.id,
        "contract_sealed": signing_secret.c.sealed,
    }
    return [
        elsewhere[name] if name in elsewhere else subscription.c[name] for name in Endpoint._fields
    ]


def _first_due(which: ColumnElement[bool], lane: ColumnElement[UUID]) -> ScalarSelect[datetime]:
    """Return when the first of what waits in a lane is due; NULL: nothing waits.

    By an index, lane by lane. PostgreSQL may answer an EXISTS by reading what is due in all lanes.
    """
    return (
        select(func.min(_delivery.c.due_at))
        .where(_delivery.c.subscription_id == lane, which)
        .scalar_subquery()
    )


_ENDPOINT = _endpoint(_subscription, _signing_secret)
_IS_NEXT = (
    _lane.c.turn_at <= _now,
    not_(one_of(_lane.c.subscription_id, bindparam("passed", type_=Many(Uuid)))),
)
_ANY_DUE = Direct(select(_lane.c.subscription_id).where(*_IS_NEXT).limit(1))
#: The lanes alone, in the order of their index. Where an event has just called thousands at once,
#: both databases would otherwise look up everything about all of them and sort it, for a few.
_next = (
    select(_lane)
    .where(*_IS_NEXT)
    .order_by(_lane.c.turn_at)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
    .subquery("next")
)
_own = (
    _next.c.full_at,
    func.coalesce(_first_due(IS_AGAIN, _next.c.subscription_id) <= _now, false()),
)
_joined = (
    select(*_ENDPOINT, *standing.COLUMNS, _subscription.c.is_active, *_own)
    .select_from(_next)
    .join(_subscription, _subscription.c.id == _next.c.subscription_id)
    .join(Key, Key.id == _subscription.c.key_id)
    .outerjoin(User, User.id == Key.owner_id)
    .outerjoin(
        _signing_secret, _signing_secret.c.organization_id == _subscription.c.organization_id
    )
)
_its = looked_up("subscription", _subscription.c, _subscription.c.id == _next.c.subscription_id)
_key = looked_up("key", [*standing.OF_KEY, Key.owner_id], Key.id == _its.c.key_id)
_owner = looked_up("owner", standing.OF_OWNER, User.id == _key.c.owner_id)
_sealed = looked_up(
    "sealed",
    [_signing_secret.c.sealed],
    _signing_secret.c.organization_id == _its.c.organization_id,
)
_looked_up = select(
    *_endpoint(_its, _sealed), *[*_key.c][:-1], *_owner.c, _its.c.is_active, *_own
).select_from(
    _next.join(_its, true()).join(_key, true()).outerjoin(_owner, true()).outerjoin(_sealed, true())
)
#: By whether the database is SQLite. The columns are a Turn's: those of its endpoint, those of the
#: key's standing, and the rest.
_NEXT = {
    True: Direct(_joined.order_by(_next.c.turn_at)),
    False: Direct(_looked_up.order_by(_next.c.turn_at)),
}
_AT = len(_ENDPOINT)
_REST = _AT + len(standing.COLUMNS)
_REQUEUE = Direct(update(_lane).where(_in_ids).values(turn_at=_turn))
_THIS = _lane.c.subscription_id == bindparam("lane")
_POSTPONE = update(_lane).where(_THIS).values(turn_at=_turn)
_DRAIN = Direct(
    update(_lane).where(_THIS).values(full_at=bindparam("full", type_=_lane.c.full_at.type))
)
_next_retry = _first_due(IS_AGAIN, _lane.c.subscription_id)
_RUN_DRY = Direct(
    update(_lane)
    .where(_in_ids)
    .values(turn_at=case((_next_retry <= _now, _now), else_=_next_retry))
)
_ONE_ENDPOINT = (
    select(*_ENDPOINT)
    .join(_subscription, _subscription.c.id == _lane.c.subscription_id)
    .outerjoin(
        _signing_secret, _signing_secret.c.organization_id == _subscription.c.organization_id
    )
    .where(_THIS)
)
_IS_LATER = or_(_lane.c.turn_at.is_(None), _lane.c.turn_at > _turn)
_CALL_ONE = update(_lane).where(_THIS, _IS_LATER).values(turn_at=_turn)
_wake = (
    update(_lane)
    .where(
        _lane.c.subscription_id.in_(
            select(_lane.c.subscription_id)
            .where(_in_ids, _IS_LATER)
            .with_for_update(skip_locked=True)
        )
    )
    .values(turn_at=_turn)
)
_WAKE = Direct(_wake)
_notify = select(func.pg_notify(CHANNEL, ""))
_NOTIFY = Direct(_notify)
#: What `wake` does on PostgreSQL; of lanes whose turn has come, nothing. It takes ids and turn.
WAKING = _notify.add_cte(_wake.cte("woken"))
_WAKE_AND_NOTIFY = Direct(WAKING)
_LOCK = (
    select(_lane.c.subscription_id)
    .where(_in_ids)
    .order_by(_lane.c.subscription_id)
    .with_for_update()
)
_FORGOTTEN = select(_lane.c.subscription_id).where(
    or_(_lane.c.turn_at.is_(None), _lane.c.turn_at > _now),
    or_(*[_first_due(which, _lane.c.subscription_id) <= _now for which in (IS_FIRST, IS_AGAIN)]),
)
_FORGOTTEN_AMONG = _FORGOTTEN.where(_in_ids)


def open_lane(session: Session, subscription_id: UUID) -> None:
    """Give a new subscription its lane."""
    session.execute(insert(_lane).values(subscription_id=subscription_id))


def endpoint(session: Session, subscription_id: UUID) -> Endpoint:
    """Return where the deliveries of a subscription go, and what requests to it are made of."""
    return Endpoint._make(session.execute(_ONE_ENDPOINT, {"lane": subscription_id}).one())


def any_due(session: Session, now: datetime, passed: Collection[UUID] = ()) -> bool:
    """Tell, by a read, whether it is any lane's turn, but for some."""
    return bool(_ANY_DUE.rows(session.connection(), now=now, passed=list(passed)))


def take_turns(
    session: Session, *, now: datetime, limit: int, passed: Collection[UUID] = ()
) -> list[Turn]:
    """Return the lanes that wait longest, but for some, and hold their rows."""
    connection = session.connection()
    statement = _NEXT[connection.dialect.name == "sqlite"]
    rows = statement.rows(connection, now=now, limit=limit, passed=list(passed))
    return [
        Turn(Endpoint._make(row[:_AT]), Standing._make(row[_AT:_REST]), *row[_REST:])
        for row in rows
    ]


def requeue(session: Session, subscription_ids: Sequence[UUID], at: datetime) -> None:
    """Send lanes that hold more to the end of the line."""
    if subscription_ids:
        _REQUEUE.run(session.connection(), ids=subscription_ids, turn=at)


def postpone(session: Session, turns: Mapping[UUID, datetime]) -> None:
    """Let lanes wait that hold more, but may not send it yet."""
    if turns:
        rows = [{"lane": one, "turn": at} for one, at in turns.items()]
        session.connection().execute(_POSTPONE, rows)


def drain(session: Session, full_at: Mapping[UUID, datetime]) -> None:
    """Write down when the buckets from which something was taken are full again."""
    if full_at:
        rows = [{"lane": one, "full": at} for one, at in full_at.items()]
        _DRAIN.run_many(session.connection(), rows)


def run_dry(session: Session, subscription_ids: Sequence[UUID], now: datetime) -> None:
    """Let lanes without anything due wait for their next retry, if there is one."""
    if subscription_ids:
        _RUN_DRY.run(session.connection(), ids=subscription_ids, now=now)


def wake(session: Session, subscription_ids: Sequence[UUID], now: datetime) -> None:
    """Say that it is the turn of lanes in which first tries have come to wait, and wake workers.

    Waits for nobody, so that no two who publish can wait for each other; see `call_forgotten`.
    """
    if subscription_ids:
        connection = session.connection()
        statement = _WAKE if connection.dialect.name == "sqlite" else _WAKE_AND_NOTIFY
        statement.run(connection, ids=subscription_ids, turn=now)


def call(session: Session, turns: Mapping[UUID, datetime]) -> None:
    """Say when it will be a lane's turn at the latest; for deliveries that are no first tries.

    Waits for whoever serves one of these lanes at the moment, so that this is not overwritten.
    """
    if turns:
        connection = session.connection()
        connection.execute(_LOCK, {"ids": list(turns)}).all()
        connection.execute(_CALL_ONE, [{"lane": one, "turn": at} for one, at in turns.items()])


def ring(session: Session) -> None:
    """Wake whoever listens, at the commit; SQLite's workers look by themselves."""
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        _NOTIFY.run(connection)


def call_forgotten(session: Session, now: datetime, among: Collection[UUID] | None = None) -> int:
    """Call the lanes that nobody calls though something is due in them; return how many.

    Publishing does not wait for a worker that is just finding a lane empty, so the worker may have
    the last word. Who emptied lanes looks at these again a moment later (among: them alone), when
    whoever was just publishing has mostly committed; and now and then workers look at all. A lane
    that somebody has this moment is left to them.
    """
    statement = _FORGOTTEN if among is None else _FORGOTTEN_AMONG
    asked = {"now": now} if among is None else {"now": now, "ids": list(among)}
    forgotten = session.connection().execute(statement, asked).scalars().all()
    if forgotten:
        _WAKE.run(session.connection(), ids=forgotten, turn=now)
    return len(forgotten)


def drop_waiting(
    session: Session, subscription_ids: Sequence[UUID], reason: DropReason, now: datetime
) -> None:
    """Drop all that waits for some subscriptions, what is under way included."""
    # Everyone locks deliveries in the order of their ids, so that nobody waits in a circle.
    theirs = _delivery.c.subscription_id.in_(subscription_ids)
    kinds = (IS_FIRST, IS_AGAIN, and_(IS_PENDING, _delivery.c.lease_until.is_not(None)))
    pending = union_all(*[select(_delivery.c.id).where(theirs, kind) for kind in kinds])
    waiting = (
        select(_delivery.c.id)
        # Once more: whoever had it under way may have settled it while we waited for its row.
        .where(_delivery.c.id.in_(pending.scalar_subquery()), IS_PENDING)
        .order_by(_delivery.c.id)
        .with_for_update()
    )
    session.connection().execute(
        update(_delivery)
        .where(_delivery.c.id.in_(waiting))
        .values(state=DeliveryState.DROPPED, finished_at=now, dropped_because=reason)
    )
