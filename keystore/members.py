"""Whether members have keys of their own, and what becomes of somebody's keys when they leave."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from keystore import audit, ownership
from keystore.audit import Actor
from keystore.clock import Clock
from keystore.db import writing
from keystore.errors import NoSuchPerson
from keystore.models import Key, Organization, Role, User


@dataclass(frozen=True, slots=True)
class Stake:
    """The keys that have to do with a person who may leave."""

    person: User
    stop: Sequence[Key]  # personal keys: they show this person's meetings
    stay: Sequence[Key]  # the organization's, made by this person


class Members:
    """Members' keys, seen from the organization."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    @audit.refusals("organization.members_keys_changed")
    def set_policy(
        self, session: Session, *, organization_id: UUID, allowed: bool, actor: Actor
    ) -> None:
        """Let members have personal keys, or no longer. Keys that there are go on working.

        Raises BeyondMembers for anybody but an admin.
        """
        with writing(session):
            organization = ownership.hold_as_admin(session, actor, organization_id)
            before, organization.members_make_keys = organization.members_make_keys, allowed
            if before is not allowed:
                audit.record(
                    session,
                    self._clock.now(),
                    actor,
                    "organization.members_keys_changed",
                    organization_id=organization_id,
                    subject_type="organization",
                    subject_id=organization_id,
                    before={"members_make_keys": before},
                    after={"members_make_keys": allowed},
                )

    def hold_keys(self, session: Session, user: User) -> bool:
        """Tell whether somebody has to do with keys: an admin, whoever may have one or has one."""
        if user.role is Role.ADMIN:
            return True
        with session.begin():
            organization = session.get_one(Organization, user.organization_id)
            owned = select(Key.id).where(Key.owner_id == user.id, Key.deleted_at.is_(None)).limit(1)
            return organization.members_make_keys or session.scalar(owned) is not None

    def count_keys(self, session: Session, organization_id: UUID) -> int:
        """Return how many live keys belong to members."""
        with session.begin():
            return (
                session.scalar(
                    select(func.count(Key.id))
                    .join(User, User.id == Key.owner_id)
                    .where(
                        Key.organization_id == organization_id,
                        Key.deleted_at.is_(None),
                        User.role == Role.MEMBER,
                    )
                )
                or 0
            )

    def stake(self, session: Session, user_id: UUID, *, organization_id: UUID) -> Stake:
        """Return which keys stop and which stay when somebody leaves. Raises NoSuchPerson."""
        with session.begin():
            person = session.get(User, user_id)
            if person is None or person.organization_id != organization_id:
                raise NoSuchPerson
            live = (
                select(Key)
                .where(Key.organization_id == organization_id, Key.deleted_at.is_(None))
                .order_by(Key.name)
            )
            stay = live.where(Key.created_by == user_id, Key.owner_id.is_(None))
            return Stake(
                person,
                stop=session.scalars(live.where(Key.owner_id == user_id)).all(),
                stay=session.scalars(stay).all(),
            )
