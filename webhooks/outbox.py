"""Events go in here, within the transaction that made them happen, so that neither can be lost."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BindParameter,
    Exists,
    FromClause,
    Insert,
    Select,
    Table,
    Text,
    Uuid,
    bindparam,
    column,
    exists,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
)
from sqlalchemy import cast as cast_to
from sqlalchemy.orm import Session, aliased

from keystore import standing
from keystore.db import Many, one_from, one_of, unseen
from keystore.models import Key, User
from keystore.prepared import Direct
from keystore.scopes import Rights
from keystore.standing import Standing
from keystore.team_models import TeamMember
from webhooks import lanes, variants
from webhooks.audiences import in_sight, needed, objection, takes_part
from webhooks.catalog import EventType
from webhooks.event_ids import new_event_id
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

    Runs in the caller's transaction. body: the JSON text that every receiver gets, byte for byte,
    but for those who do without some parts of it (see `variants`).
    subject: whatever the caller knows the event's object by. audience: from `audiences.show_to`,
    None for an event that shows nobody's data; scopes are asked for in any case. The event is kept
    without subscribers too, as a sample for later ones.
    """
    columns = {
        "id": new_event_id(now),
        "organization_id": organization_id,
        "type": event_type.name,
        "body": body,
        "subject": subject,
        "needs": " ".join(sorted(event_type.needs)),
        "audience_id": audience,
        "created_at": now,
    }
    event = Event(**columns)
    connection = session.connection()
    wanted = {"organization": organization_id, "event_type": event_type.name, "audience": audience}
    is_sqlite = connection.dialect.name == "sqlite"
    if is_sqlite:
        _HAPPENED.run(connection, **columns)
        rows = _WANTED[audience is None].rows(connection, **wanted)
    else:
        rows = _HAPPENED_AND_WANTED[audience is None].rows(connection, **columns, **wanted)
    meant, withouts, asleep = list[UUID](), list[str](), list[UUID]()
    for one, turn_at, without, private, is_in, *key in rows:
        if objection(Standing._make(key), event.needs, private, is_in, now) is None:
            meant.append(one)
            withouts.append(without)
            if turn_at is None or turn_at > now:  # else its turn has come, and it is left alone
                asleep.append(one)
    if choices := {*withouts} - {""}:
        variants.freeze(session, event_type, [(event.id, body)], choices)
    told = {"organization": organization_id, "event": event.id, "moment": now, "ids": meant}
    if is_sqlite:
        if meant:
            _DELIVER[True].run(connection, **told)
        lanes.wake(session, asleep, now)
    elif asleep:
        _DELIVER_AND_WAKE.run(connection, **told, withouts=withouts, turn=now)
    elif meant:
        _DELIVER[False].run(connection, **told, withouts=withouts)
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
_private = select(Audience.private).where(Audience.id == _audience).scalar_subquery()
_in_team = in_team(_audience, Subscription.id).correlate(Subscription)
_in_its_teams = or_(Subscription.by_team.is_(False), _in_team)


_organization = bindparam("organization", type_=SubscriptionType.organization_id.type)
_event_type = bindparam("event_type", type_=SubscriptionType.event_type.type)
_of_this_type = (
    select(SubscriptionType.subscription_id)
    .where(
        SubscriptionType.organization_id == unseen(_organization),
        SubscriptionType.event_type == unseen(_event_type),
    )
    # As the index has them, which is then what they are looked up in.
    .order_by(*SubscriptionType.__table__.primary_key)
    .scalar_subquery()
)


def _wanted(*, of_nobody: bool) -> Select[Any]:
    """Return the subscriptions that want an event, each with its lane's turn and its key."""
    return (
        select(
            Subscription.id,
            Lane.turn_at,
            Subscription.without,
            null() if of_nobody else _private,
            null() if of_nobody else takes_part(_audience),
            *standing.COLUMNS,
        )
        .select_from(Subscription)
        .join(Lane, Lane.subscription_id == Subscription.id)
        .join(Key, Key.id == Subscription.key_id)
        .outerjoin(User, User.id == Key.owner_id)
        .where(
            one_from(Subscription.id, _of_this_type),
            Subscription.is_active,
            Subscription.by_team.is_(False) if of_nobody else _in_its_teams,
        )
    )


#: By whether it shows nobody's data; this is the busiest part of publishing.
_WANTED = {of_nobody: Direct(_wanted(of_nobody=of_nobody)) for of_nobody in (True, False)}
_event = cast("Table", Event.__table__)
_happened = insert(_event).values(
    {one.name: bindparam(one.name, type_=one.type) for one in _event.c}
)
_HAPPENED = Direct(_happened)
#: Both at once, as PostgreSQL can: it saves one of three times to and fro.
_HAPPENED_AND_WANTED = {
    of_nobody: Direct(_wanted(of_nobody=of_nobody).add_cte(_happened.cte("happened")))
    for of_nobody in (True, False)
}
_delivery = cast("Table", Delivery.__table__)
_columns = _delivery.c


def _deliver(meant: FromClause) -> Insert:
    """Return how a delivery of an event is written for each of these subscriptions."""
    moment = bindparam("moment", type_=_columns.created_at.type)
    given = {
        "organization_id": bindparam("organization", type_=_columns.organization_id.type),
        "event_id": bindparam("event", type_=_columns.event_id.type),
        "subscription_id": meant.c.id,
        "without": meant.c.without,
        "state": literal_column(f"'{DeliveryState.PENDING}'"),
        "attempts": literal_column("0"),
        "throttles": literal_column("0"),
        "created_at": moment,
        "due_at": moment,
    }
    return insert(_delivery).from_select([*given], select(*given.values()).select_from(meant))


_ids = bindparam("ids", type_=Many(Uuid))
_theirs = select(Subscription.id, Subscription.without).where(one_of(Subscription.id, _ids))
_told = func.unnest(
    cast_to(_ids, ARRAY(Uuid)), cast_to(bindparam("withouts", type_=Many(Text)), ARRAY(Text))
).table_valued(column("id", Uuid), column("without", Text))
_deliver_told = _deliver(_told.render_derived())
#: By whether the database is SQLite. To PostgreSQL we tell what we know of them from before.
_DELIVER = {True: Direct(_deliver(_theirs.subquery())), False: Direct(_deliver_told)}
#: And wakes those of their lanes that sleep. What new rows refer to is locked at the end of a
#: statement, so subscriptions come after lanes here; that waits only for who changes or deletes the
#: id of one, and nobody does.
_DELIVER_AND_WAKE = Direct(lanes.WAKING.add_cte(_deliver_told.cte("delivered")))
