"""How much waits, for how long, and how subscriptions fare: read from the tables when asked.

One read transaction each. Whichever process is asked, the answer is about the whole installation.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from webhooks.lanes import IS_READY
from webhooks.models import IS_PENDING, Delivery, Subscription


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


_PENDING = select(func.count()).select_from(Delivery).where(IS_PENDING)
_CONDITION = case(
    (Subscription.ended_at.is_not(None), Condition.ENDED),
    (Subscription.disabled_at.is_not(None), Condition.DISABLED),
    (Subscription.failing_since.is_not(None), Condition.FAILING),
    else_=Condition.ACTIVE,
)
_CONDITIONS = select(_CONDITION, func.count()).group_by(_CONDITION)


def backlog(session: Session, now: datetime) -> Backlog:
    """Return how much waits; indexes over what is pending answer, however long the log is."""
    is_due = (IS_READY, Delivery.due_at <= now)
    with session.begin():
        pending = session.scalar(_PENDING) or 0
        due = session.scalar(select(func.count()).select_from(Delivery).where(*is_due)) or 0
        oldest = session.scalar(select(func.min(Delivery.due_at)).where(*is_due))
    return Backlog(pending, due, 0.0 if oldest is None else (now - oldest).total_seconds())


def conditions(session: Session) -> Mapping[Condition, int]:
    """Return how many subscriptions there are of each condition."""
    with session.begin():
        found = {Condition(name): count for name, count in session.execute(_CONDITIONS)}
    return {one: found.get(one, 0) for one in Condition}
