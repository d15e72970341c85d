"""Events go in here, within the transaction that made them happen, so that neither can be lost."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import (
    BindParameter,
    Exists,
    bindparam,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session, aliased

from keystore import standing
from keystore.models import Key, User
from keystore.scopes import Rights
from keystore.standing import Standing
from keystore.team_models import TeamMember
from webhooks import lanes
from webhooks.audiences import in_sight, needed, objection, takes_part
from webhooks.catalog import EventType
from webhooks.models import (
    Audience,
    Delivery,
    DeliveryState,
    Event,
    Lane,
    Subscription,
    SubscriptionTeam,
    SubscriptionType,
)


def publish(
    session: Session,
    *,
    organization_id: UUID,
    event_type: EventType,
    body: bytes,
    subject: str,
    audience: int | None,
    now: datetime,
) -> Event:
    """Write an event and a delivery for each active subscription whose key may see it now.

    Runs in the caller's transaction. body: the JSON text that every receiver gets, byte for byte.
    subject: whatever the caller knows the event's object by. audience: from `audiences.show_to`,
    None for an event that shows nobody's data; scopes are asked for in any case. The event is kept
    without subscribers too, as a sample for later ones.
    """
    event = Event(
        id=uuid4(),
        organization_id=organization_id,
        type=event_type.name,
        body=body,
        subject=subject,
        needs=" ".join(sorted(event_type.needs)),
        audience_id=audience,
        created_at=now,
    )
    session.add(event)
    session.flush()
    connection = session.connection()
    wanted = {"organization": organization_id, "event_type": event_type.name, "audience": audience}
    keys = [
        key_id
        for key_id, private, is_in, *columns in connection.execute(_KEYS, wanted)
        if not objection(Standing._make(columns), event.needs, private, is_in, now)
    ]
    if keys:
        wanted |= {"keys": keys, "moment": now}
        connection.execute(_DELIVER, wanted | {"event": event.id})
        if connection.execute(_CALL, wanted).rowcount:
            lanes.ring(session)
    return event


def recent(
    session: Session, organization_id: UUID, event_type: str, limit: int, rights: Rights
) -> Sequence[Event]:
    """Return the newest events of one type that somebody with these rights may see, newest first.

    One read transaction.
    """
    with session.begin():
        found = session.scalars(
            select(Event)
            .outerjoin(Audience, Audience.id == Event.audience_id)
            .where(
                Event.organization_id == organization_id,
                Event.type == event_type,
                in_sight(rights),
            )
            .order_by(Event.created_at.desc(), Event.id)
            .limit(limit)
        ).all()
    return [event for event in found if needed(event.needs) <= rights.operations]


def in_team(audience_id: Any, subscription_id: Any) -> Exists:
    """Return whether somebody in a team that a subscription wants has it put down to them.

    What shows nobody's data is no meeting, and in no team.
    """
    attributed = aliased(User)
    return exists().where(
        Audience.id == audience_id,
        attributed.email == Audience.attributed,
        TeamMember.user_id == attributed.id,
        SubscriptionTeam.team_id == TeamMember.team_id,
        SubscriptionTeam.subscription_id == subscription_id,
    )


_audience: BindParameter[int | None] = bindparam("audience", type_=Event.audience_id.type)
_in_team = in_team(_audience, Subscription.id).correlate(Subscription)
#: As a list of ids and not as a join: SQLite would go through all subscriptions first.
_WANTED = (
    Subscription.id.in_(
        select(SubscriptionType.subscription_id).where(
            SubscriptionType.organization_id == bindparam("organization"),
            SubscriptionType.event_type == bindparam("event_type"),
        )
    ),
    Subscription.is_active,
    or_(Subscription.by_team.is_(False), _in_team),
)
#: The keys behind the subscriptions: few, however many subscriptions there are.
_KEYS = (
    select(
        Key.id,
        select(Audience.private).where(Audience.id == _audience).scalar_subquery(),
        takes_part(_audience),
        *standing.COLUMNS,
    )
    .outerjoin(User, User.id == Key.owner_id)
    .where(Key.id.in_(select(Subscription.key_id).where(*_WANTED)))
)
_columns = Delivery.__table__.c
#: Dressed so that no index fits: SQLite would rather go through all that a key has subscribed to.
_key_id = func.coalesce(Subscription.key_id, Subscription.key_id)
_MEANT = (*_WANTED, _key_id.in_(bindparam("keys", expanding=True, type_=Subscription.key_id.type)))
#: Lanes whose turn has come are left alone: who publishes waits for no worker.
_CALL = (
    update(Lane)
    .where(
        or_(Lane.turn_at.is_(None), Lane.turn_at > bindparam("moment")),
        Lane.subscription_id.in_(select(Subscription.id).where(*_MEANT)),
    )
    .values(turn_at=bindparam("moment"))
    .execution_options(synchronize_session=False)
)
_DELIVER = insert(Delivery).from_select(
    [
        "organization_id",
        "event_id",
        "subscription_id",
        "without",
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
        Subscription.without,
        literal_column(f"'{DeliveryState.PENDING}'"),
        literal_column("0"),
        literal_column("0"),
        bindparam("moment", type_=_columns.created_at.type),
        bindparam("moment", type_=_columns.created_at.type),
    )
    .where(*_MEANT)
    .order_by(Subscription.created_at, Subscription.id),
)
