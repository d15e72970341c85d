"""Finding keys, those that are over among them: a page of a list, or one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from keystore import generations, ownership
from keystore.audit import Actor
from keystore.clock import Clock
from keystore.errors import KeyNotFound
from keystore.models import Key, User
from keystore.ownership import Doing
from keystore.rotation import KeyState


@dataclass(frozen=True)
class Item:
    """A key, what it is at this moment, and the e-mail address of the person it is tied to."""

    key: Key
    state: KeyState
    owner: str | None


@dataclass(frozen=True)
class Page:
    """Some keys, newest first, and how many there are in all."""

    items: Sequence[Item]
    count: int


class Inventory:
    """The keys of all organizations, to look at."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def page(
        self,
        session: Session,
        organization_id: UUID,
        *,
        actor: Actor,
        state: KeyState | None = None,
        page: int = 1,
        page_size: int = 100,
    ) -> Page:
        """Return the keys that somebody sees, of one state or all that are not deleted."""
        with session.begin():
            wanted = and_(
                Key.organization_id == organization_id,
                ownership.visible(session, actor, organization_id),
                self._is(state),
            )
            found = session.scalars(
                select(Key)
                .where(wanted)
                .order_by(Key.created_at.desc(), Key.id)
                .limit(page_size)
                .offset((page - 1) * page_size)
            ).all()
            count = session.scalar(select(func.count(Key.id)).where(wanted)) or 0
            owners = _owners(session, found)
        return Page([self._item(key, owners) for key in found], count)

    def get(self, session: Session, key_id: UUID, *, organization_id: UUID, actor: Actor) -> Item:
        """Return one key, also a deleted one. Raises KeyNotFound, also for one not to be seen."""
        with session.begin():
            key = session.get(Key, key_id, populate_existing=True)
            if key is None or key.organization_id != organization_id:
                raise KeyNotFound
            ownership.check(session, actor, key, Doing.LOOK)
            return self._item(key, _owners(session, [key]))

    def item(self, session: Session, key: Key) -> Item:
        """Return what is to be said of a key that a service has just handed out."""
        with session.begin():
            return self._item(key, _owners(session, [key]))

    def _item(self, key: Key, owners: Mapping[UUID, str]) -> Item:
        state = generations.life(key).state(self._clock.now())
        return Item(key, state, owners[key.owner_id] if key.owner_id else None)

    def _is(self, state: KeyState | None) -> ColumnElement[bool]:
        """Return the condition for a state; it says the same as `KeyLife.state`."""
        now = self._clock.now()
        live, expired = Key.deleted_at.is_(None), Key.expires_at <= now
        running = and_(live, or_(Key.expires_at.is_(None), Key.expires_at > now))
        return {
            None: live,
            KeyState.DELETED: Key.deleted_at.is_not(None),
            KeyState.EXPIRED: and_(live, expired),
            KeyState.DISABLED: and_(running, Key.disabled_at.is_not(None)),
            KeyState.ACTIVE: and_(running, Key.disabled_at.is_(None)),
        }[state]


def _owners(session: Session, found: Sequence[Key]) -> Mapping[UUID, str]:
    """Return the e-mail addresses of the people whom these keys are tied to."""
    ids = {key.owner_id for key in found if key.owner_id is not None}
    rows = session.execute(select(User.id, User.email).where(User.id.in_(ids)))
    return {row.id: row.email for row in rows}
