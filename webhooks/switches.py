"""Switching subscriptions off and on again, by hand."""

from uuid import UUID

from sqlalchemy.orm import Session

from keystore import audit
from keystore.audit import Actor
from keystore.clock import Clock
from keystore.db import writing
from webhooks import health, held
from webhooks.errors import WebhooksError
from webhooks.models import Subscription

BY_HAND = "by hand"


class Switches:
    """The switches of all organizations' subscriptions."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    @audit.refusals("subscription.disabled", of="subscription", errors=WebhooksError)
    def off(
        self,
        session: Session,
        subscription_id: UUID,
        *,
        organization_id: UUID,
        actor: Actor,
        only_of: UUID | None = None,
    ) -> Subscription:
        """Send a subscription nothing until it is switched on again; once more is as once.

        What waits for it is put aside. `only_of` as in `Subscriptions.list`. Raises
        KeyEnded, SubscriptionNotFound, SubscriptionEnded.
        """
        with writing(session):
            found = held.hold(session, subscription_id, organization_id, actor, only_of)
            if found.disabled_at is None:
                now = self._clock.now()
                health.switch_off(session, found, BY_HAND, now)
                held.record(session, now, actor, "subscription.disabled", found)
        return found

    @audit.refusals("subscription.enabled", of="subscription", errors=WebhooksError)
    def on(
        self,
        session: Session,
        subscription_id: UUID,
        *,
        organization_id: UUID,
        actor: Actor,
        only_of: UUID | None = None,
    ) -> Subscription:
        """Send a subscription what happens from now on; once more is as once.

        What it missed is `recovery`'s to send. Raises as `off`.
        """
        with writing(session):
            found = held.hold(session, subscription_id, organization_id, actor, only_of)
            if found.disabled_at is not None:
                found.is_active = True
                found.disabled_at = found.disabled_reason = found.failing_since = None
                found.warned_at = 0
                session.flush()
                now = self._clock.now()
                held.record(session, now, actor, "subscription.enabled", found)
        return found
