"""How subscriptions fare: since when every attempt at one has failed."""

from collections.abc import Iterable
from datetime import datetime
from typing import cast
from uuid import UUID

from sqlalchemy import Table, bindparam, update
from sqlalchemy.orm import Session

from webhooks.models import Subscription

_subscription = cast("Table", Subscription.__table__)
_ids = bindparam("ids", expanding=True, type_=_subscription.c.id.type)
_FAILING = (
    update(_subscription)
    .where(_subscription.c.id.in_(_ids), _subscription.c.failing_since.is_(None))
    .values(failing_since=bindparam("now", type_=_subscription.c.failing_since.type))
)
_WELL = (
    update(_subscription)
    .where(_subscription.c.id.in_(_ids), _subscription.c.failing_since.is_not(None))
    .values(failing_since=None, warned_at=0)
)


def note(
    session: Session, news: Iterable[tuple[UUID, datetime | None, bool]], now: datetime
) -> None:
    """Take note of attempts, in their order: (subscription, failing since when, did it succeed).

    Runs in the caller's write transaction, and writes only where something changes: "since when" is
    what was known when the delivery was claimed.
    """
    latest = {one: (since, succeeded) for one, since, succeeded in news}
    failing = [one for one, (since, succeeded) in latest.items() if since is None and not succeeded]
    well = [one for one, (since, succeeded) in latest.items() if since is not None and succeeded]
    connection = session.connection()
    if failing:
        connection.execute(_FAILING, {"ids": sorted(failing), "now": now})
    if well:
        connection.execute(_WELL, {"ids": sorted(well)})
