"""The delivery log: what the pages show. Reads only; one call is one read transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Row, Select, select
from sqlalchemy.orm import Session

from keystore.models import Key
from webhooks.errors import DeliveryNotFound
from webhooks.models import Attempt, Delivery, DeliveryState, Event, Subscription

PAGE_SIZE = 50


@dataclass(frozen=True)
class Entry:
    """A delivery with what it carries and where it goes."""

    delivery: Delivery
    event: Event
    subscription: Subscription


@dataclass(frozen=True)
class Page:
    """Some entries, newest first, and where the following ones begin."""

    entries: Sequence[Entry]
    next_before: int | None  # hand this to `deliveries` as `before`; None: there are no more


@dataclass(frozen=True)
class Story:
    """One delivery with all its attempts, oldest first."""

    entry: Entry
    attempts: Sequence[Attempt]


@dataclass(frozen=True)
class Subscriber:
    """A subscription with the key that made it."""

    subscription: Subscription
    key: Key


def deliveries(
    session: Session,
    organization_id: UUID,
    *,
    state: DeliveryState | None = None,
    before: int | None = None,
    size: int = PAGE_SIZE,
) -> Page:
    """Return one page of an organization's deliveries, optionally of one state only.

    Pages are cut by delivery id, so that what is added meanwhile moves nothing.
    """
    query = _entries(organization_id).order_by(Delivery.id.desc()).limit(size + 1)
    if state is not None:
        query = query.where(Delivery.state == state)
    if before is not None:
        query = query.where(Delivery.id < before)
    with session.begin():
        entries = [_entry(row) for row in session.execute(query)]
    more = len(entries) > size
    return Page(entries[:size], entries[size - 1].delivery.id if more else None)


def story(session: Session, delivery_id: int, *, organization_id: UUID) -> Story:
    """Return one delivery and its attempts. Raises DeliveryNotFound."""
    with session.begin():
        row = session.execute(
            _entries(organization_id).where(Delivery.id == delivery_id)
        ).one_or_none()
        if row is None:
            raise DeliveryNotFound
        attempts = session.scalars(
            select(Attempt).where(Attempt.delivery_id == delivery_id).order_by(Attempt.number)
        ).all()
    return Story(_entry(row), attempts)


def subscriptions(
    session: Session, organization_id: UUID, *, size: int = PAGE_SIZE
) -> Sequence[Subscriber]:
    """Return subscriptions with their keys: active ones first, then those that ended, newest first.

    At most `size` in all: the page shows what is of interest today.
    """
    with session.begin():
        rows = session.execute(
            select(Subscription, Key)
            .join(Key, Key.id == Subscription.key_id)
            .where(Subscription.organization_id == organization_id)
            .order_by(
                Subscription.is_active.desc(), Subscription.created_at.desc(), Subscription.id
            )
            .limit(size)
        )
        return [Subscriber(subscription, key) for subscription, key in rows]


def _entry(row: Row[Delivery, Event, Subscription]) -> Entry:
    delivery, event, subscription = row
    return Entry(delivery, event, subscription)


def _entries(organization_id: UUID) -> Select[Delivery, Event, Subscription]:
    return (
        select(Delivery, Event, Subscription)
        .join(Event, Event.id == Delivery.event_id)
        .join(Subscription, Subscription.id == Delivery.subscription_id)
        .where(Delivery.organization_id == organization_id)
    )
