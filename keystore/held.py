"""A key's row, found for reading or held for a change, and what is written of the change."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from keystore import audit, callers, generations, ownership, repeats
from keystore.audit import Actor
from keystore.errors import BadScopes, GenerationConflict, KeyExpired, KeyNotFound
from keystore.models import Key, User
from keystore.ownership import Doing


def live(session: Session, key_id: UUID, organization_id: UUID, actor: Actor) -> Key:
    """Return a key for reading. Raises KeyNotFound, also for one that the actor may not see."""
    key = _found(session.get(Key, key_id, populate_existing=True), organization_id)
    ownership.check(session, actor, key, Doing.LOOK)
    return key


def to_change(
    session: Session,
    key_id: UUID,
    organization_id: UUID,
    actor: Actor,
    doing: Doing = Doing.CHANGE,
) -> Key:
    """Return a key to change; until the end of the transaction nobody else changes it.

    SQLite knows no row locks and needs none: there a writer is alone. Raises KeyNotFound,
    BeyondMembers for what only an admin may do, BeyondItself for what the calling key may not,
    GenerationConflict, NameReused, and Repeated for what was done before.
    """
    callers.hold(session, actor, key_id)
    repeats.check(session, actor)
    key = _found(session.get(Key, key_id), organization_id)
    ownership.check(session, actor, key, doing)
    if actor.call is not None and actor.call.seen not in {None, key.generation}:
        raise GenerationConflict
    return key


def to_add(session: Session, actor: Actor) -> None:
    """Hold a calling key before it makes another one. Raises NameReused and Repeated."""
    callers.hold(session, actor)
    repeats.check(session, actor)


def _found(key: Key | None, organization_id: UUID) -> Key:
    if key is None or key.organization_id != organization_id or key.deleted_at is not None:
        raise KeyNotFound
    return key


def usable(
    session: Session,
    key_id: UUID,
    organization_id: UUID,
    actor: Actor,
    doing: Doing = Doing.CHANGE,
) -> Key:
    """Return a key that still has a current secret; one without has expired before somebody's eyes.

    So an expired key stays expired, also for a process that starts after a clock was set back.
    """
    key = to_change(session, key_id, organization_id, actor, doing)
    if generations.current(session, key_id) is None:
        raise KeyExpired
    return key


def grant(key: Key) -> dict[str, object]:
    """Return what a key was granted, for the audit."""
    return {
        "scopes": key.scopes,
        "data_scope": key.data_scope,
        "owner_id": key.owner_id and str(key.owner_id),
    }


def hold_owner(session: Session, owner_id: UUID | None) -> None:
    """Keep a person from leaving until the end of the transaction.

    To be called before any key is held: whoever lets people leave takes them in the same order, so
    that nobody waits in a circle, and no key slips through that is becoming theirs at that moment.
    """
    if owner_id is not None:
        session.get(User, owner_id, populate_existing=True, with_for_update={"read": True})


def check_owner(session: Session, key: Key) -> None:
    """Refuse a personal key without a person of its organization, and a person for another key.

    Raises BadScopes.
    """
    if not key.data_scope.is_personal:
        if key.owner_id is not None:
            raise BadScopes(f"The data scope {key.data_scope} is tied to nobody; name no person.")
        return
    owner = None if key.owner_id is None else session.get(User, key.owner_id)
    if owner is None or owner.organization_id != key.organization_id or not owner.is_active:
        raise BadScopes(f"The data scope {key.data_scope} needs a person of your organization.")


def record(
    session: Session, now: datetime, actor: Actor, action: str, key: Key, **detail: object
) -> None:
    """Write one audit event about a key in the caller's transaction, and by whose named request."""
    repeats.note(session, actor, key)
    audit.record(
        session,
        now,
        actor,
        action,
        organization_id=key.organization_id,
        subject_type="key",
        subject_id=key.id,
        **detail,
    )
