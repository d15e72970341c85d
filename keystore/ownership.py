"""Whose keys somebody may lay hands on: an admin on all, a member on their own personal ones.

What a key may do with keys is in `keystore.callers`. People are looked at within the transaction of
the change, as they are then, so that somebody who was an admin when the page was opened is none any
more when it is sent.
"""

from enum import StrEnum
from uuid import UUID

from sqlalchemy import ColumnElement, true
from sqlalchemy.orm import Session

from keystore import callers
from keystore.audit import Actor
from keystore.errors import BeyondMembers, NotYourKey
from keystore.models import Key, Organization, Role, User
from keystore.scopes import OF_MEMBERS


class Doing(StrEnum):
    """What somebody wants with a key, as far as it makes a difference here."""

    LOOK = "look"
    END = "end"  # anything after which less of it works than before
    CHANGE = "change"
    WAKE = "wake"  # enable what was disabled


def check(session: Session, actor: Actor, key: Key, doing: Doing) -> None:
    """Refuse what somebody may not do with a key.

    What sees a person's meetings they may always look at and end; changing it takes the
    organization's leave, and what an admin has disabled only an admin wakes. Raises NotYourKey,
    BeyondMembers, BeyondItself.
    """
    if actor.kind == "key":
        callers.check(session, actor, key, changes=doing not in {Doing.LOOK, Doing.END})
    if actor.kind != "user":
        return
    person = _person(session, actor, key.organization_id)
    if person is None:
        raise NotYourKey
    if person.role is Role.ADMIN:
        return
    if key.owner_id != person.id:
        raise NotYourKey
    if doing in {Doing.LOOK, Doing.END}:
        return
    _check_leave(session, key.organization_id)
    if doing is Doing.WAKE and key.disabled_by != person.id:
        raise BeyondMembers("Somebody else has disabled this key; ask an admin to enable it.")


def check_grant(session: Session, actor: Actor, key: Key) -> None:
    """Refuse a new key, or new scopes of one, that somebody may not hand out.

    Raises BeyondMembers, BeyondItself.
    """
    check_reach(session, actor, key)
    if actor.kind != "user":
        return
    person = _person(session, actor, key.organization_id)
    if person is not None and person.role is Role.ADMIN:
        return
    _check_leave(session, key.organization_id)
    if person is None or not key.data_scope.is_personal or key.owner_id != person.id:
        raise BeyondMembers("A member's key sees that member's own meetings and no others.")
    if beyond := sorted(set(key.scopes) - OF_MEMBERS):
        raise BeyondMembers(f"Only an admin can let a key do this: {', '.join(beyond)}.")


def check_reach(session: Session, actor: Actor, key: Key) -> None:
    """Refuse what would reach beyond the calling key; people may change all of what they hold.

    To be called before the change goes to the database. Raises BeyondItself.
    """
    if actor.kind == "key":
        callers.check_reach(session, actor, key)


def check_limit(session: Session, actor: Actor, organization_id: UUID, limit: int | None) -> None:
    """Refuse a rate limit (None: the organization's) to all but admins, and keys with as much.

    Raises BeyondMembers, BeyondItself.
    """
    if actor.kind == "key":
        callers.check_limit(session, actor, organization_id, limit)
    else:
        check_admin(session, actor, organization_id)


def check_admin(session: Session, actor: Actor, organization_id: UUID) -> None:
    """Refuse what is for admins alone. Raises BeyondMembers."""
    if actor.kind == "key":
        raise BeyondMembers
    if actor.kind == "user":
        person = _person(session, actor, organization_id)
        if person is None or person.role is not Role.ADMIN:
            raise BeyondMembers


def hold_as_admin(session: Session, actor: Actor, organization_id: UUID) -> Organization:
    """Return an organization, held, for an admin to change. Raises BeyondMembers.

    Whoever has waited here for their own end as an admin does not get past it.
    """
    organization = hold(session, organization_id)
    check_admin(session, actor, organization_id)
    return organization


def hold(session: Session, organization_id: UUID) -> Organization:
    """Return an organization; until the end of the transaction nobody else holds it.

    Never against those who only refer to it, as every row of its log does: they may hold what
    this transaction wants next.
    """
    return session.get_one(
        Organization, organization_id, populate_existing=True, with_for_update={"key_share": True}
    )


def visible(session: Session, actor: Actor, organization_id: UUID) -> ColumnElement[bool]:
    """Return the condition for the keys that somebody sees.

    Raises NotYourKey for somebody who has left.
    """
    if actor.kind == "key":
        return callers.visible(session, actor, organization_id)
    if actor.kind != "user":
        return true()
    person = _person(session, actor, organization_id)
    if person is None:
        raise NotYourKey
    return true() if person.role is Role.ADMIN else Key.owner_id == person.id


def id_of(actor: Actor) -> UUID | None:
    """Return which person acts, if it is one."""
    return actor.uuid if actor.kind == "user" else None


def _person(session: Session, actor: Actor, organization_id: UUID) -> User | None:
    user_id = id_of(actor)
    user = None if user_id is None else session.get(User, user_id, populate_existing=True)
    there = user is not None and user.organization_id == organization_id and user.is_active
    return user if there else None


def _check_leave(session: Session, organization_id: UUID) -> None:
    organization = session.get(Organization, organization_id, populate_existing=True)
    if organization is None or not organization.members_make_keys:
        raise BeyondMembers(
            "Your organization does not let members have keys of their own. "
            "You can disable or delete yours, or ask an admin."
        )
