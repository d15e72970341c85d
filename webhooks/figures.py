"""How much waits, for how long, and how subscriptions fare: read from the tables when asked.

One read transaction each. Whichever process is asked, the answer is about the whole installation.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import ColumnElement, Select, bindparam, case, func, select
from sqlalchemy.orm import Session

from webhooks.lanes import IS_AGAIN, IS_FIRST
from webhooks.models import Delivery, Subscription


class Backlog(NamedTuple):
    """The queue, at one moment."""

    pending: int  # all that is neither delivered nor given up
    due: int  # of these, to be sent by now, and nobody is sending it
    oldest_due: float  # for how many seconds the first of these has been due; 0 without any


class Condition(StrEnum):
    """How a subscription fares."""

    ACTIVE = "active"
    FAILING = "failing"  # active, and the last attempts have failed
    DISABLED = "disabled"
    ENDED = "ended"


_CONDITION = case(
    (Subscription.ended_at.is_not(None), Condition.ENDED),
    (Subscription.disabled_at.is_not(None), Condition.DISABLED),
    (Subscription.failing_since.is_not(None), Condition.FAILING),
    else_=Condition.ACTIVE,
)
_CONDITIONS = select(_CONDITION, func.count()).group_by(_CONDITION)


def _waiting(which: ColumnElement[bool]) -> Select[int, int | None, datetime | None]:
    """Return how many wait, how many of these are due, and since when, by the index made for it."""
    is_due = Delivery.due_at <= bindparam("now", type_=Delivery.due_at.type)
    return select(
        func.count(),
        func.sum(case((is_due, 1), else_=0)),
        func.min(Delivery.due_at),
    ).where(which)


_FIRST_TRIES, _RETRIES = _waiting(IS_FIRST), _waiting(IS_AGAIN)
_UNDER_WAY = select(func.count()).where(Delivery.lease_until.is_not(None))


def backlog(session: Session, now: datetime) -> Backlog:
    """Return how much waits; it is read from small indexes, however long the log has become."""
    with session.begin():
        under_way = session.scalar(_UNDER_WAY) or 0
        kinds = [session.execute(one, {"now": now}).one() for one in (_FIRST_TRIES, _RETRIES)]
    pending = under_way + sum(count for count, _, _ in kinds)
    oldest = min((since for _, _, since in kinds if since is not None), default=now)
    return Backlog(
        pending,
        due=sum(due or 0 for _, due, _ in kinds),
        oldest_due=max(0.0, (now - oldest).total_seconds()),
    )


def conditions(session: Session) -> Mapping[Condition, int]:
    """Return how many subscriptions there are of each condition."""
    with session.begin():
        found = {Condition(name): count for name, count in session.execute(_CONDITIONS)}
    return {one: found.get(one, 0) for one in Condition}
