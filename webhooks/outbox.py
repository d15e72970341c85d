"""Events go in here, within the transaction that made them happen, so that neither can be lost."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import bindparam, insert, literal_column, select
from sqlalchemy.orm import Session

from webhooks.models import Delivery, DeliveryState, Event, Subscription


def publish(
    session: Session,
    *,
    organization_id: UUID,
    event_type: str,
    body: bytes,
    subject: str,
    now: datetime,
) -> Event:
    """Write an event and one delivery for each active subscription; in the caller's transaction.

    body: the JSON text that every receiver gets, byte for byte. subject: whatever the caller knows
    the event's object by. The event is kept without subscribers too, as a sample for later ones.
    """
    event = Event(
        id=uuid4(),
        organization_id=organization_id,
        type=event_type,
        body=body,
        subject=subject,
        created_at=now,
    )
    session.add(event)
    session.flush()
    session.connection().execute(
        _DELIVER,
        {
            "organization": organization_id,
            "event": event.id,
            "event_type": event_type,
            "moment": now,
        },
    )
    return event


def recent(session: Session, organization_id: UUID, event_type: str, limit: int) -> Sequence[Event]:
    """Return an organization's newest events of one type, newest first; one read transaction."""
    with session.begin():
        return session.scalars(
            select(Event)
            .where(Event.organization_id == organization_id, Event.type == event_type)
            .order_by(Event.created_at.desc(), Event.id)
            .limit(limit)
        ).all()


_columns = Delivery.__table__.c
_DELIVER = insert(Delivery).from_select(
    [
        "organization_id",
        "event_id",
        "subscription_id",
        "state",
        "attempts",
        "throttles",
        "created_at",
        "due_at",
    ],
    select(
        Subscription.organization_id,
        bindparam("event", type_=_columns.event_id.type),
        Subscription.id,
        literal_column(f"'{DeliveryState.PENDING}'"),
        literal_column("0"),
        literal_column("0"),
        bindparam("moment", type_=_columns.created_at.type),
        bindparam("moment", type_=_columns.created_at.type),
    )
    .where(
        Subscription.organization_id == bindparam("organization"),
        Subscription.event_type == bindparam("event_type"),
        Subscription.is_active,
    )
    .order_by(Subscription.created_at, Subscription.id),
)
