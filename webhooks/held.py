"""A subscription that somebody is about to do something to: found, held, ended, written down.

Everything here runs in a transaction of the caller.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import Session

from keystore import audit, callers, standing
from keystore.audit import Actor
from keystore.errors import CallerOver
from keystore.models import Key, User
from keystore.scopes import Rights
from keystore.standing import Standing
from webhooks import lanes
from webhooks.errors import KeyEnded, RightsLacking, SubscriptionEnded, SubscriptionNotFound
from webhooks.models import DropReason, Subscription, SubscriptionType

# Why a subscription ended.
UNSUBSCRIBED = "unsubscribed"
KEY_DELETED = "key deleted"
TARGET_GONE = "target gone"  # it answered 410


def find(
    session: Session, subscription_id: UUID, organization_id: UUID, only_of: UUID | None = None
) -> Subscription:
    """Return a subscription, also an ended one.

    only_of: a key; then one that was made with it. Raises SubscriptionNotFound.
    """
    subscription = session.get(Subscription, subscription_id, populate_existing=True)
    return _theirs(subscription, organization_id, only_of)


def admit(session: Session, actor: Actor, organization_id: UUID) -> None:
    """Let a key go on with a change only if what it has shown still works, and until it is done.

    To be called first, as whoever ends a key holds it before its subscriptions. Raises KeyEnded.
    """
    try:
        callers.check_credential(session, actor, organization_id)
    except CallerOver:
        raise KeyEnded from None


def hold(
    session: Session,
    subscription_id: UUID,
    organization_id: UUID,
    actor: Actor,
    only_of: UUID | None = None,
) -> Subscription:
    """Return a subscription that has not ended, locked for a change; `only_of` as in `find`.

    Raises KeyEnded, SubscriptionNotFound, SubscriptionEnded.
    """
    admit(session, actor, organization_id)
    subscription = session.get(
        Subscription,
        subscription_id,
        populate_existing=True,
        with_for_update={"key_share": True},
    )
    subscription = _theirs(subscription, organization_id, only_of)
    if subscription.ended_at is not None:
        raise SubscriptionEnded
    return subscription


def cover(session: Session, subscription: Subscription, caller: Rights) -> None:
    """Raise RightsLacking unless somebody may all that the subscription's key may.

    Not only what its event types need: something of an earlier type may still be waiting.
    """
    row = session.execute(
        select(*standing.COLUMNS)
        .outerjoin(User, User.id == Key.owner_id)
        .where(Key.id == subscription.key_id)
    ).one()
    theirs = Standing._make(row).rights()
    if theirs is not None and not caller.cover(theirs):
        raise RightsLacking


def end(
    session: Session, which: ColumnElement[bool], reason: str, *, now: datetime, actor: Actor
) -> None:
    """End those among some subscriptions that have not ended, and drop what waits for them.

    A request that is under way cannot be called back: its worker keeps the lease, so that it can
    record what came of it, and sends nothing more.
    """
    active = session.scalars(
        select(Subscription)
        .where(which, Subscription.ended_at.is_(None))
        .order_by(Subscription.id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).all()
    for subscription in active:
        subscription.is_active = False
        subscription.ended_at = now
        subscription.ended_reason = reason
        record(session, now, actor, "subscription.ended", subscription, reason=reason)
    session.flush()
    session.execute(
        delete(SubscriptionType).where(
            SubscriptionType.subscription_id.in_([one.id for one in active])
        ),
        execution_options={"synchronize_session": False},
    )
    lanes.drop_waiting(session, [one.id for one in active], DropReason.ENDED, now)


def record(
    session: Session,
    now: datetime,
    actor: Actor,
    action: str,
    subscription: Subscription,
    **detail: object,
) -> None:
    """Write down in the audit what was done to a subscription."""
    audit.record(
        session,
        now,
        actor,
        action,
        organization_id=subscription.organization_id,
        subject_type="subscription",
        subject_id=subscription.id,
        event_type=subscription.event_type,
        **detail,
    )


def _theirs(
    subscription: Subscription | None, organization_id: UUID, only_of: UUID | None
) -> Subscription:
    if subscription is None or subscription.organization_id != organization_id:
        raise SubscriptionNotFound
    if only_of is not None and subscription.key_id != only_of:
        raise SubscriptionNotFound
    return subscription
