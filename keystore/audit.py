"""Who did what, when: one row per change, in the same transaction as the change."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from keystore.models import AuditEvent


@dataclass(frozen=True)
class Actor:
    """Somebody who does something: a signed-in person, a key, the command line, or ourselves."""

    kind: Literal["user", "key", "cli", "system"]
    label: str  # e-mail address, key name, login name of the shell
    id: str | None = None
    address: str | None = None  # the network address they came from


SYSTEM = Actor("system", "keyhook")


def record(
    session: Session,
    now: datetime,
    actor: Actor,
    action: str,
    *,
    organization_id: UUID,
    subject_type: str,
    subject_id: UUID,
    **detail: Any,
) -> None:
    """Write one audit event in the caller's transaction. The detail never holds a secret."""
    session.add(
        AuditEvent(
            organization_id=organization_id,
            at=now,
            actor_kind=actor.kind,
            actor_id=actor.id,
            actor_label=actor.label,
            address=actor.address,
            action=action,
            subject_type=subject_type,
            subject_id=str(subject_id),
            detail=detail,
        )
    )


def events(session: Session, organization_id: UUID) -> Sequence[AuditEvent]:
    """Return an organization's audit events, oldest first; one read transaction."""
    with session.begin():
        return session.scalars(
            select(AuditEvent)
            .where(AuditEvent.organization_id == organization_id)
            .order_by(AuditEvent.id)
        ).all()
