"""Who wants which events where: subscribe, unsubscribe, end."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from random import SystemRandom
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, and_, select, union_all, update
from sqlalchemy.orm import Session

from keystore import audit
from keystore.audit import Actor
from keystore.clock import Clock
from keystore.credentials import SecretValue
from keystore.db import writing
from keystore.keys import Dependent
from keystore.models import Key
from keystore.vault import Vault
from webhooks import lanes, signing
from webhooks.addresses import Network
from webhooks.catalog import Catalog
from webhooks.errors import (
    BadTargetType,
    KeyEnded,
    ScopeLacking,
    SubscriptionNotFound,
    WebhooksError,
)
from webhooks.models import IS_PENDING, Delivery, DeliveryState, DropReason, Subscription
from webhooks.signing import Random
from webhooks.targets import check_target

ZAPIER = 1
ORGANIZATION = 2

# Why a subscription ended.
UNSUBSCRIBED = "unsubscribed"
KEY_DELETED = "key deleted"
TARGET_GONE = "target gone"  # it answered 410


@dataclass(frozen=True)
class Subscribed:
    """A new subscription with its signing secret: the only moment at which it can be read."""

    subscription: Subscription
    signing_secret: SecretValue


class Subscriptions:
    """The subscriptions of all organizations."""

    def __init__(
        self,
        vault: Vault,
        clock: Clock,
        catalog: Catalog,
        allow_networks: Sequence[Network] = (),
        random: Random | None = None,
    ) -> None:
        self._vault = vault
        self._clock = clock
        self._catalog = catalog
        self._allowed = tuple(allow_networks)
        self._random = random or SystemRandom()

    @audit.refusals("subscription.created", errors=WebhooksError)
    def subscribe(
        self,
        session: Session,
        *,
        organization_id: UUID,
        key_id: UUID,
        event_type: str,
        target_url: str,
        operations: frozenset[str],
        actor: Actor,
        target_type: int = ORGANIZATION,
    ) -> Subscribed:
        """Send events of one type to a URL from now on, as long as the key may see them.

        operations: the scopes of whoever asks, perhaps less than the key's. The same URL may
        subscribe twice, as platforms make a subscription per automation. Raises UnknownEventType,
        ScopeLacking, BadTarget, BadTargetType, KeyEnded.
        """
        wanted = self._catalog.get(event_type)
        if lacking := wanted.needs - operations:
            raise ScopeLacking(wanted.name, lacking)
        if target_type not in {ZAPIER, ORGANIZATION}:
            raise BadTargetType
        check_target(target_url, self._allowed)
        now = self._clock.now()
        subscription_id = uuid4()
        secret = signing.new_secret(self._random)
        subscription = Subscription(
            id=subscription_id,
            organization_id=organization_id,
            key_id=key_id,
            event_type=wanted.name,
            target_url=target_url,
            target_type=target_type,
            secret_sealed=self._vault.seal(secret, seal_context(subscription_id)),
            is_active=True,
            created_at=now,
        )
        with writing(session):
            # Held until the commit: who deletes the key meanwhile waits, and finds this one to end.
            alive = select(Key.id).where(Key.id == key_id, Key.deleted_at.is_(None))
            if session.scalars(alive.with_for_update(read=True)).first() is None:
                raise KeyEnded
            session.add(subscription)
            session.flush()
            lanes.open_lane(session, subscription_id)
            _record(session, now, actor, "subscription.created", subscription)
        return Subscribed(subscription, secret)

    @audit.refusals("subscription.ended", of="subscription", errors=WebhooksError)
    def unsubscribe(
        self,
        session: Session,
        subscription_id: UUID,
        *,
        organization_id: UUID,
        actor: Actor,
        only_of: UUID | None = None,
    ) -> Subscription:
        """End a subscription; once more is the same as once. `only_of` as in `list`.

        Raises SubscriptionNotFound.
        """
        with writing(session):
            subscription = _found(session, subscription_id, organization_id, only_of)
            which = Subscription.id == subscription_id
            end(session, which, UNSUBSCRIBED, now=self._clock.now(), actor=actor)
        return subscription

    def list(
        self, session: Session, organization_id: UUID, *, only_of: UUID | None = None
    ) -> Sequence[Subscription]:
        """Return an organization's active subscriptions, newest first.

        only_of: a key; then those alone that were made with it.
        """
        query = (
            select(Subscription)
            .where(Subscription.organization_id == organization_id, Subscription.is_active)
            .order_by(Subscription.created_at.desc(), Subscription.id)
        )
        if only_of is not None:
            query = query.where(Subscription.key_id == only_of)
        with session.begin():
            return session.scalars(query).all()

    def get(
        self,
        session: Session,
        subscription_id: UUID,
        *,
        organization_id: UUID,
        only_of: UUID | None = None,
    ) -> Subscription:
        """Return one subscription, also an ended one; `only_of` as in `list`.

        Raises SubscriptionNotFound.
        """
        with session.begin():
            return _found(session, subscription_id, organization_id, only_of)

    def of_key(self, session: Session, key: Key) -> Sequence[Dependent]:
        """Return what would end with a key: its active subscriptions by event type and host."""
        with session.begin():
            rows = session.execute(
                select(Subscription.event_type, Subscription.target_url).where(
                    Subscription.key_id == key.id, Subscription.is_active
                )
            ).all()
        counted = Counter((row.event_type, urlsplit(row.target_url).hostname) for row in rows)
        return [
            Dependent(f"{event_type} to {host}", count)
            for (event_type, host), count in sorted(counted.items())
        ]

    def end_for_key(self, session: Session, key: Key, actor: Actor) -> None:
        """End what was subscribed with a key that is being deleted; in the caller's transaction."""
        which = Subscription.key_id == key.id
        end(session, which, KEY_DELETED, now=self._clock.now(), actor=actor)


def seal_context(subscription_id: UUID) -> str:
    """Return what a signing secret is sealed for, so that it opens in its own row only."""
    return f"subscription:{subscription_id}"


def end(
    session: Session, which: ColumnElement[bool], reason: str, *, now: datetime, actor: Actor
) -> None:
    """End the active ones among some subscriptions and drop what waits for them.

    Runs in the caller's transaction. A request that is under way cannot be called back: its worker
    keeps the lease, so that it can record what came of it, and sends nothing more.
    """
    active = session.scalars(
        select(Subscription)
        .where(which, Subscription.is_active)
        .order_by(Subscription.id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).all()
    for subscription in active:
        subscription.is_active = False
        subscription.ended_at = now
        subscription.ended_reason = reason
        _record(session, now, actor, "subscription.ended", subscription, reason=reason)
    session.flush()
    # Everyone locks deliveries in the order of their ids, so that nobody waits in a circle.
    theirs = Delivery.subscription_id.in_([one.id for one in active])
    kinds = (lanes.IS_FIRST, lanes.IS_AGAIN, and_(IS_PENDING, Delivery.lease_until.is_not(None)))
    pending = union_all(*[select(Delivery.id).where(theirs, kind) for kind in kinds])
    waiting = (
        select(Delivery.id)
        .where(Delivery.id.in_(pending.scalar_subquery()))
        .order_by(Delivery.id)
        .with_for_update()
    )
    session.execute(
        update(Delivery)
        .where(Delivery.id.in_(waiting))
        .values(state=DeliveryState.DROPPED, finished_at=now, dropped_because=DropReason.ENDED),
        execution_options={"synchronize_session": False},
    )


def _found(
    session: Session, subscription_id: UUID, organization_id: UUID, only_of: UUID | None
) -> Subscription:
    subscription = session.get(Subscription, subscription_id, populate_existing=True)
    if subscription is None or subscription.organization_id != organization_id:
        raise SubscriptionNotFound
    if only_of is not None and subscription.key_id != only_of:
        raise SubscriptionNotFound
    return subscription


def _record(
    session: Session,
    now: datetime,
    actor: Actor,
    action: str,
    subscription: Subscription,
    **detail: object,
) -> None:
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
