"""Sending deliveries again that have ended: one, some, or those of a stretch of time.

The same event goes out under the same message id, with all of its retries before it again, and
its attempts are added to those in the log. What its subscriber may not have any more is dropped
when its turn comes, as with any other delivery.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast
from uuid import UUID

from sqlalchemy import BigInteger, Table, bindparam, literal_column, select, update
from sqlalchemy.orm import Session

from keystore import audit
from keystore.audit import Actor
from keystore.clock import Clock
from keystore.db import Many, one_of, writing
from webhooks import held, lanes
from webhooks.errors import DeliveryNotFound, SwitchedOff, WebhooksError
from webhooks.models import Delivery, DeliveryState, Subscription

MOST = 1000  # deliveries in one request; for more there is recovery

_delivery = cast("Table", Delivery.__table__)
_ids = one_of(_delivery.c.id, bindparam("ids", type_=Many(BigInteger)))
_AGAIN = (
    update(_delivery)
    .where(_ids, _delivery.c.state != literal_column("'pending'"))
    .values(
        state=DeliveryState.PENDING,
        due_at=bindparam("now", type_=_delivery.c.due_at.type),
        throttles=_delivery.c.attempts,
        finished_at=None,
        dropped_because=None,
    )
)


@dataclass(frozen=True)
class Wish:
    """Which of a subscription's deliveries: all that fit, or those with these ids among them."""

    ids: Sequence[int] | None = None
    state: DeliveryState | None = None
    since: datetime | None = None  # published at this moment or later
    until: datetime | None = None  # ... or earlier


class Redelivery:
    """Sends again, for all organizations."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    @audit.refusals("subscription.redelivered", of="subscription", errors=WebhooksError)
    def again(
        self,
        session: Session,
        subscription_id: UUID,
        wish: Wish,
        *,
        organization_id: UUID,
        actor: Actor,
        only_of: UUID | None = None,
    ) -> int:
        """Send ended deliveries of a subscription again; return how many, at most `MOST`.

        The oldest come first. Those that are under way or wait anyway are left alone. Raises
        DeliveryNotFound for an id that is none of the subscription's; KeyEnded,
        SubscriptionNotFound, SubscriptionEnded, SwitchedOff.
        """
        now = self._clock.now()
        with writing(session):
            subscription = held.hold(session, subscription_id, organization_id, actor, only_of)
            if not subscription.is_active:
                raise SwitchedOff
            found = _found(session, subscription, wish)
            count = make_due(session, subscription_id, found, now)
            audit.record(
                session,
                now,
                actor,
                "subscription.redelivered",
                organization_id=organization_id,
                subject_type="subscription",
                subject_id=subscription_id,
                count=count,
            )
        return count


def make_due(session: Session, subscription_id: UUID, ids: Sequence[int], now: datetime) -> int:
    """Let ended deliveries of one lane be due again; in the caller's transaction.

    Returns how many that were. That an earlier attempt failed costs them no retry.
    """
    if not ids:
        return 0
    lanes.call(session, {subscription_id: now})
    count = session.connection().execute(_AGAIN, {"ids": list(ids), "now": now}).rowcount
    lanes.ring(session)
    return int(count)


def _found(session: Session, subscription: Subscription, wish: Wish) -> Sequence[int]:
    query = select(_delivery.c.id).where(_delivery.c.subscription_id == subscription.id)
    if wish.ids is not None:
        wanted = set(wish.ids)
        found = set(session.scalars(query.where(_ids), {"ids": list(wanted)}))
        if wanted - found:
            raise DeliveryNotFound
    query = query.where(_delivery.c.state != DeliveryState.PENDING)
    if wish.ids is not None:
        query = query.where(_ids)
    if wish.state is not None:
        query = query.where(_delivery.c.state == wish.state)
    if wish.since is not None:
        query = query.where(_delivery.c.created_at >= wish.since)
    if wish.until is not None:
        query = query.where(_delivery.c.created_at <= wish.until)
    parameters = {} if wish.ids is None else {"ids": list(wish.ids)}
    return session.scalars(query.order_by(_delivery.c.id).limit(MOST), parameters).all()
