"""What a key may do, on whose data, from where. Changing that leaves its credential as it is."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from keystore import audit, held, networks, ownership, scopes
from keystore.audit import Actor
from keystore.clock import Clock
from keystore.db import writing
from keystore.models import Key, Role, User
from keystore.scopes import DataScope, Owner, Rights


class Grants:
    """Changes to what keys may do; each counts from the next request on."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    @audit.refusals("key.scopes_changed")
    def rescope(
        self,
        session: Session,
        key_id: UUID,
        *,
        organization_id: UUID,
        granted: frozenset[str] | None = None,
        data: DataScope | None = None,
        owner_id: UUID | None = None,
        actor: Actor,
    ) -> Key:
        """Give a key these scopes instead of those it has; owner_id as in Keys.create.

        What is left out stays as it is, a personal key's person too. A legacy key may stay one; no
        other becomes one. Raises BadScopes, BeyondMembers, BeyondItself, KeyNotFound, KeyExpired.
        """
        granted = None if granted is None else scopes.parse(granted)
        with writing(session):
            held.hold_owner(session, owner_id)
            key = held.usable(session, key_id, organization_id, actor)
            data = data or key.data_scope
            if data is not key.data_scope:
                scopes.parse_data(data)
            if owner_id is None and data.is_personal:
                owner_id = key.owner_id
            before = held.grant(key)
            key.scopes = key.scopes if granted is None else sorted(granted)
            key.data_scope, key.owner_id = data, owner_id
            after = held.grant(key)
            if after != before:
                held.check_owner(session, key)
                ownership.check_grant(session, actor, key)
                held.record(
                    session,
                    self._clock.now(),
                    actor,
                    "key.scopes_changed",
                    key,
                    before=before,
                    after=after,
                )
        return key

    @audit.refusals("key.networks_changed")
    def set_networks(
        self,
        session: Session,
        key_id: UUID,
        *,
        organization_id: UUID,
        allowed: Iterable[str],
        actor: Actor,
    ) -> Key:
        """Let a key be used from these networks only; from none given: from anywhere.

        Raises BadNetworks, KeyNotFound, KeyExpired.
        """
        after = networks.parse(allowed) or None
        with writing(session):
            key = held.usable(session, key_id, organization_id, actor)
            before, key.networks = key.networks, after
            if before != after:
                ownership.check_reach(session, actor, key)
                held.record(
                    session,
                    self._clock.now(),
                    actor,
                    "key.networks_changed",
                    key,
                    before={"networks": before},
                    after={"networks": after},
                )
        return key

    def trial(
        self,
        session: Session,
        *,
        organization_id: UUID,
        granted: frozenset[str],
        data: DataScope,
        owner_id: UUID | None = None,
        allowed: Iterable[str] = (),
        expires_at: datetime | None = None,
        actor: Actor,
    ) -> Rights:
        """Return what a key with this grant might do, without making one; all as in Keys.create.

        Nobody finds out by it what a key of their making could not show them. Raises BadScopes,
        BadNetworks, BeyondMembers, BeyondItself.
        """
        key = Key(
            organization_id=organization_id,
            scopes=sorted(scopes.parse(granted)),
            data_scope=scopes.parse_data(data),
            owner_id=owner_id,
            networks=networks.parse(allowed) or None,
            expires_at=expires_at,
        )
        with session.begin():
            held.check_owner(session, key)
            ownership.check_grant(session, actor, key)
            user = None if owner_id is None else session.get_one(User, owner_id)
            owner = user and Owner(user.email, user.role is Role.ADMIN, user.is_active)
        found = scopes.rights(frozenset(key.scopes), key.data_scope, owner)
        return found or Rights(frozenset(), data)  # who has left shows nothing
