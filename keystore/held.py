"""A key's row, found for reading or held for a change, and what is written of the change."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from keystore import audit, generations
from keystore.audit import Actor
from keystore.errors import BadScopes, KeyExpired, KeyNotFound
from keystore.models import Key, User


def live(session: Session, key_id: UUID, organization_id: UUID) -> Key:
    """Return a key for reading. Raises KeyNotFound, also for another organization's."""
    return _found(session.get(Key, key_id, populate_existing=True), organization_id)


def to_change(session: Session, key_id: UUID, organization_id: UUID) -> Key:
    """Return a key to change; until the end of the transaction nobody else changes it.

    SQLite knows no row locks and needs none: there a writer is alone.
    """
    lock = {"key_share": True}
    key = session.get(Key, key_id, populate_existing=True, with_for_update=lock)
    return _found(key, organization_id)


def _found(key: Key | None, organization_id: UUID) -> Key:
    if key is None or key.organization_id != organization_id or key.deleted_at is not None:
        raise KeyNotFound
    return key


def usable(session: Session, key_id: UUID, organization_id: UUID) -> Key:
    """Return a key that still has a current secret; one without has expired before somebody's eyes.

    So an expired key stays expired, also for a process that starts after a clock was set back.
    """
    key = to_change(session, key_id, organization_id)
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
    """Write one audit event about a key in the caller's transaction."""
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
