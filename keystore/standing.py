"""How a key stands at this moment, from columns that others read along with what hangs on it."""

import json
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from sqlalchemy import Text, cast

from keystore import scopes
from keystore.models import Key, Role, User
from keystore.rotation import KeyLife, KeyState
from keystore.scopes import DataScope, Owner, Rights

OF_KEY = (
    cast(Key.scopes, Text),
    Key.data_scope,
    Key.generation,
    Key.expires_at,
    Key.disabled_at,
    Key.deleted_at,
)
OF_OWNER = (User.email, User.role, User.is_active)
#: To be selected from keys, with their owners by an outer join; in the order of a Standing.
COLUMNS = (*OF_KEY, *OF_OWNER)


class Standing(NamedTuple):
    """As much of a key and of its owner as decides what it may do now."""

    scopes: str  # as JSON
    data_scope: DataScope
    generation: int
    expires_at: datetime | None
    disabled_at: datetime | None
    deleted_at: datetime | None
    email: str | None  # from here on None when it has no owner
    role: Role | None
    is_active: bool | None

    def is_awake(self, now: datetime) -> bool:
        """Tell whether the key works at a moment, as far as it is up to the key itself."""
        life = KeyLife(self.generation, self.expires_at, self.disabled_at, self.deleted_at)
        return life.state(now) is KeyState.ACTIVE

    def rights(self) -> Rights | None:
        """Return what it may do, as `scopes.rights`: None when its owner has left."""
        return _rights(self.scopes, self.data_scope, self.email, self.role, self.is_active)


@lru_cache(maxsize=4096)
def _rights(
    granted: str, data: DataScope, email: str | None, role: Role | None, is_active: bool | None
) -> Rights | None:
    owner = None if email is None else Owner(email, role is Role.ADMIN, bool(is_active))
    return scopes.rights(frozenset(json.loads(granted)), data, owner)
