"""Who may see an event: judged by what the key of a subscription may do at that moment.

An event says which operation scopes its body needs, and whose data it shows: its audience. The
audience hangs on the event's subject and is the present one: what turns private meanwhile is
private for what was told of it before, too.
"""

from collections.abc import Collection
from datetime import datetime
from functools import lru_cache
from uuid import UUID

from sqlalchemy import (
    BindParameter,
    Case,
    ColumnElement,
    and_,
    bindparam,
    case,
    delete,
    exists,
    insert,
    or_,
    select,
)
from sqlalchemy.orm import InstrumentedAttribute, Session

from keystore.models import Key, User
from keystore.scopes import Rights
from keystore.standing import Standing
from webhooks.models import Audience, AudiencePerson, DropReason, Event

_MEMBERS = select(AudiencePerson.audience_id, AudiencePerson.person).where(
    AudiencePerson.audience_id.in_(bindparam("audiences", expanding=True)),
    AudiencePerson.person.in_(bindparam("people", expanding=True)),
)


def show_to(
    session: Session,
    *,
    organization_id: UUID,
    subject: str,
    people: Collection[str],
    private: bool,
    attributed: str | None = None,
) -> int:
    """Say whose data events of a subject show, earlier ones too; in the caller's transaction.

    people: e-mail addresses as `keystore.models.User` has them. attributed: the one of them to
    whom it is put down, whose teams then decide for subscriptions of teams. Returns the audience's
    id, for `outbox.publish`. The caller sees to it that no two do this for one subject at once.
    """
    audience = session.scalars(
        select(Audience).where(
            Audience.organization_id == organization_id, Audience.subject == subject
        )
    ).one_or_none()
    if audience is None:
        audience = Audience(organization_id=organization_id, subject=subject)
        session.add(audience)
    audience.private, audience.attributed = private, attributed
    session.flush()
    mine = AudiencePerson.audience_id == audience.id
    before = set(session.scalars(select(AudiencePerson.person).where(mine)))
    if gone := before.difference(people):
        session.execute(delete(AudiencePerson).where(mine, AudiencePerson.person.in_(gone)))
    if new := set(people) - before:
        rows = [{"audience_id": audience.id, "person": one} for one in sorted(new)]
        session.execute(insert(AudiencePerson), rows)
    return audience.id


def takes_part(
    audience_id: InstrumentedAttribute[int | None] | BindParameter[int | None],
) -> Case[bool | None]:
    """Return the column that tells, for a personal key, whether its owner is of an audience.

    To be selected from keys, with their owners by an outer join; other keys cost no look-up.
    """
    member = exists().where(
        AudiencePerson.audience_id == audience_id, AudiencePerson.person == User.email
    )
    return case((Key.owner_id.is_not(None), member))


def members(session: Session, asked: Collection[tuple[int, str]]) -> Collection[tuple[int, str]]:
    """Return which of these (audience, person) there are, and perhaps others."""
    rows = session.connection().execute(
        _MEMBERS, {"audiences": [one for one, _ in asked], "people": [one for _, one in asked]}
    )
    return {(audience, person) for audience, person in rows}


@lru_cache(maxsize=1024)  # most deliveries of a batch ask the same
def objection(
    standing: Standing, needs: str, private: bool | None, is_in: bool | None, now: datetime
) -> DropReason | None:
    """Tell why a key may not get an event now; None when it may.

    needs: as in `Event.needs`. private: the audience's; None for an event without one, which shows
    nobody's data. is_in: what `takes_part` told.
    """
    if not standing.is_awake(now):
        return DropReason.KEY_ASLEEP
    rights = standing.rights()
    if rights is None:
        return DropReason.OWNER_LEFT
    if not needed(needs) <= rights.operations:
        return DropReason.SCOPE_LACKING
    if private is None:
        return None
    people = (rights.person,) if is_in and rights.person else ()
    return None if rights.sees(people, private=private) else DropReason.OUT_OF_SIGHT


@lru_cache(maxsize=256)
def needed(needs: str) -> frozenset[str]:
    """Read the operation scopes in `Event.needs`."""
    return frozenset(needs.split())


def in_sight(rights: Rights) -> ColumnElement[bool]:
    """Return the condition on events, with their audiences by an outer join, that data sets."""
    conditions: list[ColumnElement[bool]] = [Audience.id.is_not(None)]
    if not rights.data.sees_private:
        conditions.append(Audience.private.is_(False))
    if rights.person is not None:
        who = AudiencePerson.person == rights.person
        conditions.append(exists().where(AudiencePerson.audience_id == Audience.id, who))
    return or_(Event.audience_id.is_(None), and_(*conditions))
