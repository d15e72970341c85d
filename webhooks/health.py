"""How subscriptions fare: since when every attempt at one has failed, and what comes of it.

The time that a subscription may go on failing is that of one delivery with all its retries. At 50
and 90 % of it somebody is warned, and at its end the subscription is switched off: what waits for
it is put aside, to be sent when it is switched on again (see `recovery`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, cast
from uuid import UUID

from sqlalchemy import Table, Uuid, bindparam, select, update
from sqlalchemy.orm import Session

from keystore import audit
from keystore.audit import SYSTEM
from keystore.db import Many, one_of
from webhooks import lanes
from webhooks.models import DropReason, Subscription

WARNINGS = (50, 90)  # per cent of the time
OVER = 100
FAILING = "failing"  # why it was switched off


class News(NamedTuple):
    """What an attempt tells of a subscription, and what was known of it before."""

    subscription_id: UUID
    failing_since: datetime | None
    warned_at: int  # per cent
    failure: str | None  # what came of it, in a few words; None: it succeeded


@dataclass(frozen=True)
class Ailing:
    """A subscription that fails: a warning, or word that it was switched off (at 100 %)."""

    subscription: Subscription
    failing_since: datetime
    percent: int  # of the time for failing that is used up
    failure: str
    at: datetime

    @property
    def is_switched_off(self) -> bool:
        """Whether this was the end of it."""
        return self.percent >= OVER


#: Called in the transaction in which it is found out.
OnAiling = Callable[[Session, Ailing], None]

_subscription = cast("Table", Subscription.__table__)
_in_ids = one_of(_subscription.c.id, bindparam("ids", type_=Many(Uuid)))
_BEGIN = (
    update(_subscription)
    .where(_in_ids, _subscription.c.failing_since.is_(None))
    .values(failing_since=bindparam("now", type_=_subscription.c.failing_since.type))
)
_WELL = (
    update(_subscription)
    .where(_in_ids, _subscription.c.failing_since.is_not(None))
    .values(failing_since=None, warned_at=0)
)


def stage(failing_since: datetime, now: datetime, budget: timedelta) -> int:
    """Return the greatest per cent at which there is something to say: 0, 50, 90 or 100."""
    used = 100 * (now - failing_since) / budget
    return max((one for one in (*WARNINGS, OVER) if used >= one), default=0)


class Health:
    """Takes note of attempts, warns, and switches off."""

    def __init__(self, budget: timedelta, on_ailing: Sequence[OnAiling] = ()) -> None:
        """budget: how long a subscription may go on failing."""
        self._budget = budget
        self._on_ailing = on_ailing

    def note(self, session: Session, news: Iterable[News], now: datetime) -> None:
        """Take note of attempts, in their order; in the caller's write transaction.

        Writes only where something changes, by what was known when the deliveries were claimed.
        """
        latest = {one.subscription_id: one for one in news}
        failing = {one: last for one, last in latest.items() if last.failure is not None}
        begun = [one for one, last in failing.items() if last.failing_since is None]
        well = [one for one, last in latest.items() if last.failure is None and last.failing_since]
        connection = session.connection()
        if begun:
            connection.execute(_BEGIN, {"ids": sorted(begun), "now": now})
        if well:
            connection.execute(_WELL, {"ids": sorted(well)})
        for one, last in sorted(failing.items()):
            since = last.failing_since
            if since is not None and stage(since, now, self._budget) > last.warned_at:
                self._act(session, one, last.failure or "", now)

    def _act(self, session: Session, subscription_id: UUID, failure: str, now: datetime) -> None:
        """Warn of a subscription or switch it off, unless another worker has done so."""
        subscription = session.scalars(
            select(Subscription)
            .where(Subscription.id == subscription_id, Subscription.is_active)
            .with_for_update(key_share=True)
            .execution_options(populate_existing=True)
        ).one_or_none()
        if subscription is None or subscription.failing_since is None:
            return
        reached = stage(subscription.failing_since, now, self._budget)
        if reached <= subscription.warned_at:
            return
        subscription.warned_at = reached
        if reached >= OVER:
            switch_off(session, subscription, FAILING, now)
            audit.record(
                session,
                now,
                SYSTEM,
                "subscription.disabled",
                organization_id=subscription.organization_id,
                subject_type="subscription",
                subject_id=subscription.id,
                reason=FAILING,
            )
        session.flush()
        ailing = Ailing(subscription, subscription.failing_since, reached, failure, now)
        for tell in self._on_ailing:
            tell(session, ailing)


def switch_off(session: Session, subscription: Subscription, reason: str, now: datetime) -> None:
    """Send a subscription nothing more and put aside what waits; in the caller's transaction."""
    subscription.is_active = False
    subscription.disabled_at = now
    subscription.disabled_reason = reason
    session.flush()
    lanes.drop_waiting(session, [subscription.id], DropReason.SWITCHED_OFF, now)
