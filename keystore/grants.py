"""What a key may do, on whose data, from where. Changing that leaves its credential as it is."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy.orm import Session

from keystore import audit, held, networks, ownership, scopes
from keystore.audit import Actor
from keystore.clock import Clock
from keystore.db import writing
from keystore.models import Key
from keystore.scopes import DataScope


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
