"""The delivery log: what the pages show. Reads only; one call is one read transaction."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, false, func, or_, select
from sqlalchemy.orm import Session

from keystore.models import Key
from keystore.scopes import Rights
from webhooks.audiences import in_sight, needed
from webhooks.errors import DeliveryNotFound, SubscriptionNotFound
from webhooks.models import (
    Attempt,
    Audience,
    Delivery,
    DeliveryState,
    Event,
    EventVariant,
    Recovery,
    Subscription,
)

PAGE_SIZE = 50
PLOTTED = 5000  # deliveries that a plot is made of
RECOVERIES = 5  # that a page shows


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
    is_in_sight: bool  # whether whoever asks may see its body now
    body: bytes  # as it was sent last, or is to be sent


@dataclass(frozen=True)
class Subscriber:
    """A subscription with the key that made it."""

    subscription: Subscription
    key: Key


@dataclass(frozen=True)
class Filter:
    """Which deliveries somebody wants to see; what is None leaves all."""

    subscription_id: UUID | None = None
    state: DeliveryState | None = None
    event_type: str | None = None
    host: str | None = None  # of the target, with its port if it names one
    since: datetime | None = None  # published at this moment or later
    until: datetime | None = None  # ... or earlier


EVERYTHING = Filter()


def deliveries(
    session: Session,
    organization_id: UUID,
    wanted: Filter = EVERYTHING,
    *,
    before: int | None = None,
    size: int = PAGE_SIZE,
) -> Page:
    """Return one page of an organization's deliveries, or of those among them that are wanted.

    Pages are cut by delivery id, so that what is added meanwhile moves nothing.
    """
    query = _entries(organization_id).where(*_conditions(wanted))
    query = query.order_by(Delivery.id.desc()).limit(size + 1)
    if before is not None:
        query = query.where(Delivery.id < before)
    with session.begin():
        entries = [_entry(row) for row in session.execute(query)]
    more = len(entries) > size
    return Page(entries[:size], entries[size - 1].delivery.id if more else None)


def story(
    session: Session,
    delivery_id: int,
    *,
    organization_id: UUID,
    subscription_id: UUID | None = None,
    rights: Rights | None = None,
) -> Story:
    """Return one delivery, of one subscription if that is said, and its attempts.

    rights: of whoever asks; None for somebody who may see everything. Raises DeliveryNotFound.
    """
    query = _entries(organization_id).where(Delivery.id == delivery_id)
    if subscription_id is not None:
        query = query.where(Delivery.subscription_id == subscription_id)
    with session.begin():
        row = session.execute(query).one_or_none()
        if row is None:
            raise DeliveryNotFound
        entry = _entry(row)
        attempts = session.scalars(
            select(Attempt).where(Attempt.delivery_id == delivery_id).order_by(Attempt.number)
        ).all()
        is_in_sight = rights is None or _sees(session, rights, entry.event)
        return Story(entry, attempts, is_in_sight, _body(session, entry))


def _body(session: Session, entry: Entry) -> bytes:
    frozen = (entry.event.id, entry.delivery.without)
    variant = session.get(EventVariant, frozen) if entry.delivery.without else None
    return entry.event.body if variant is None else variant.body


def _sees(session: Session, rights: Rights, event: Event) -> bool:
    if not needed(event.needs) <= rights.operations:
        return False
    seen = (
        select(Event.id)
        .outerjoin(Audience, Audience.id == Event.audience_id)
        .where(Event.id == event.id, in_sight(rights))
    )
    return session.scalars(seen).first() is not None


@dataclass(frozen=True)
class SubscriptionStory:
    """A subscription with its key and its recoveries, newest first."""

    subscription: Subscription
    key: Key
    recoveries: Sequence[Recovery]


def subscription(
    session: Session, subscription_id: UUID, organization_id: UUID
) -> SubscriptionStory:
    """Return one subscription, also an ended one. Raises SubscriptionNotFound."""
    with session.begin():
        found = session.get(Subscription, subscription_id)
        if found is None or found.organization_id != organization_id:
            raise SubscriptionNotFound
        recoveries = session.scalars(
            select(Recovery)
            .where(Recovery.subscription_id == subscription_id)
            .order_by(Recovery.created_at.desc())
            .limit(RECOVERIES)
        ).all()
        return SubscriptionStory(found, session.get_one(Key, found.key_id), recoveries)


def lately(
    session: Session, organization_id: UUID, since: datetime
) -> Sequence[tuple[datetime, datetime | None, DeliveryState]]:
    """Return (published at, ended at, state) of deliveries since a moment, newest first.

    At most `PLOTTED`, so that it costs the same however long the log is.
    """
    query = (
        select(Delivery.created_at, Delivery.finished_at, Delivery.state)
        .where(Delivery.organization_id == organization_id)
        .order_by(Delivery.id.desc())
        .limit(PLOTTED)
    )
    with session.begin():
        rows = session.execute(query).all()
    return [(at, ended, state) for at, ended, state in rows if at >= since]


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


def _conditions(wanted: Filter) -> Iterator[ColumnElement[bool]]:
    if "\0" in (wanted.event_type or "") + (wanted.host or ""):
        yield false()  # no row can hold it, and PostgreSQL cannot be asked for it
        return
    if wanted.subscription_id is not None:
        yield Delivery.subscription_id == wanted.subscription_id
    if wanted.state is not None:
        yield Delivery.state == wanted.state
    if wanted.event_type is not None:
        yield Event.type == wanted.event_type
    if wanted.host is not None:
        # Subscriptions are few; which of them go there is found first.
        url = func.lower(Subscription.target_url)
        starts = [f"{scheme}://{wanted.host.lower()}" for scheme in ("https", "http")]
        yield Delivery.subscription_id.in_(
            select(Subscription.id).where(
                or_(
                    *[url == start for start in starts],
                    *[
                        url.startswith(start + end, autoescape=True)
                        for start in starts
                        for end in ("/", "?")
                    ],
                )
            )
        )
    if wanted.since is not None:
        yield Delivery.created_at >= wanted.since
    if wanted.until is not None:
        yield Delivery.created_at <= wanted.until


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
