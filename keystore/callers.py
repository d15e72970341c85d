"""Keys that lay hands on keys: never on one that is more than themselves, nor to make it so.

A key sees, and may end, those whose rights are within its own. Changing one may mean to hold its
secret afterwards, so that one must not reach further in any way. Asked within the transaction, of
the calling key as it is then; what it has lost in the meantime it cannot hand on. Nor does anything
come of a credential that ended after its request was let in: with the key's row held, as whoever
ends one holds it, too, either the request was done before that or it is refused.
"""

import json
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Text, cast, select
from sqlalchemy.orm import Session

from keystore import rotation, scopes
from keystore.audit import Actor
from keystore.bounds import Bounds
from keystore.calls import Call
from keystore.errors import BeyondItself, CallerOver, NotYourKey
from keystore.models import AccessToken, Key, Role, Secret, User
from keystore.rotation import KeyLife
from keystore.scopes import DataScope, Owner, Rights


class _Calling(NamedTuple):
    """A calling key as it is stored at this moment."""

    bounds: Bounds
    owner_id: UUID | None
    rate_limit: int | None


def hold(session: Session, actor: Actor, *key_ids: UUID) -> None:
    """Hold the rows of these keys, and a calling key's own, until the end of the transaction.

    In one order, so that two keys that change each other do not wait in a circle.
    """
    own = [] if actor.kind != "key" or actor.uuid is None else [actor.uuid]
    for key_id in sorted({*key_ids, *own}):
        session.get(Key, key_id, populate_existing=True, with_for_update={"key_share": True})


def check_credential(session: Session, actor: Actor, organization_id: UUID) -> None:
    """Refuse whatever a key asks for with a credential that has ended since it was let in.

    Nobody ends it until the end of the transaction. Others than keys have none. To be called first,
    as whoever ends a key holds it before what depends on it. Raises CallerOver.
    """
    if actor.kind == "key":
        if actor.uuid is not None:
            # Shared: what a key asks for at the same time is not held up by each other.
            session.get(Key, actor.uuid, populate_existing=True, with_for_update={"read": True})
        _calling(session, actor, organization_id)


def check(session: Session, actor: Actor, key: Key, *, changes: bool) -> None:
    """Refuse to let a key see another one that may do more; with `changes`, that is more.

    Raises NotYourKey, for itself and for what stays in sight BeyondItself; as all here CallerOver.
    """
    calling, theirs = _calling(session, actor, key.organization_id), _granted(session, key)
    if actor.uuid != key.id and not calling.bounds.rights.cover(theirs.rights):
        raise NotYourKey
    if changes and (lack := calling.bounds.lacks(theirs)):
        raise BeyondItself(lack)


def check_reach(session: Session, actor: Actor, key: Key) -> None:
    """Refuse what a key would make of this one, if that reaches beyond itself.

    To be called before the change goes to the database: if the key changes itself, what counts is
    what it was. Raises BeyondItself.
    """
    calling = _calling(session, actor, key.organization_id)
    if lack := calling.bounds.lacks(_granted(session, key)):
        raise BeyondItself(lack)


def check_limit(session: Session, actor: Actor, organization_id: UUID, limit: int | None) -> None:
    """Refuse a rate limit above the calling key's own. Raises BeyondItself.

    None is the organization's: for whoever has that itself.
    """
    own = _calling(session, actor, organization_id).rate_limit
    if actor.call is None or (own is not None if limit is None else limit > actor.call.rate_limit):
        most = 0 if actor.call is None else actor.call.rate_limit
        raise BeyondItself(f"The key you call with has a limit of {most} a minute itself.")


def visible(session: Session, actor: Actor, organization_id: UUID) -> ColumnElement[bool]:
    """Return the condition for what `check` lets a calling key see."""
    calling = _calling(session, actor, organization_id)
    rights = calling.bounds.rights
    stored = cast(Key.scopes, Text)  # there are few different ones
    different = session.scalars(
        select(stored).where(Key.organization_id == organization_id).distinct()
    )
    within = [one for one in different if rights.operations.issuperset(json.loads(one))]
    condition: ColumnElement[bool] = stored.in_(within)
    if not rights.data.sees_private:
        condition &= Key.data_scope.in_([one for one in DataScope if not one.sees_private])
    if rights.person is not None:
        condition &= Key.owner_id == calling.owner_id
    return condition | (Key.id == actor.uuid)


def _calling(session: Session, actor: Actor, organization_id: UUID) -> _Calling:
    """Return what the calling key is.

    Raises CallerOver when it, or the credential that it has shown, is nothing any more.
    """
    call = actor.call
    if call is None:
        raise CallerOver
    # Columns, not the object: that one may be the very key that is being changed.
    row = session.execute(
        select(
            Key.scopes,
            Key.data_scope,
            Key.owner_id,
            Key.networks,
            Key.generation,
            Key.expires_at,
            Key.disabled_at,
            Key.deleted_at,
            Key.rate_limit,
            User.email,
            User.role,
            User.is_active,
            Secret.state,
            Secret.until,
            AccessToken.expires_at.label("token_expires_at"),
            AccessToken.revoked_at,
        )
        .join(Secret, Secret.key_id == Key.id)
        .outerjoin(
            AccessToken, (AccessToken.secret_id == Secret.id) & (AccessToken.id == call.token_id)
        )
        .outerjoin(User, User.id == Key.owner_id)
        .where(
            Key.id == actor.uuid,
            Key.organization_id == organization_id,
            Secret.id == call.secret_id,
        )
    ).one_or_none()
    if row is None or not _works(row, call):
        raise CallerOver
    owner = None if row.email is None else Owner(row.email, row.role is Role.ADMIN, row.is_active)
    rights = scopes.rights(frozenset(row.scopes), row.data_scope, owner)
    if rights is None:
        raise CallerOver
    now = rights.only(call.operations)
    bounds = Bounds(now, tuple(row.networks or ()), row.expires_at)
    return _Calling(bounds, row.owner_id, row.rate_limit)


def _works(row: Any, call: Call) -> bool:
    """Tell whether what was shown still opens its key, by the time of the request itself."""
    life = KeyLife(row.generation, row.expires_at, row.disabled_at, row.deleted_at)
    if not rotation.authenticates(row.state, row.until, life, call.at):
        return False
    if call.token_id is None:
        return True
    end = row.token_expires_at  # None: it is so long over that its row was removed
    return end is not None and call.at < end and row.revoked_at is None


def _granted(session: Session, key: Key) -> Bounds:
    """Return what a key may come to: all that was granted, whatever its person's role today."""
    owner = None if key.owner_id is None else session.get(User, key.owner_id)
    rights = Rights(frozenset(key.scopes), key.data_scope, None if owner is None else owner.email)
    return Bounds(rights, tuple(key.networks or ()), key.expires_at)
