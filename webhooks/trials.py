"""Trying a subscription out: one made-up event, sent at once, with all that was sent and came back.

It is no delivery: nothing is tried again, and it says nothing of the subscription's health.
"""

import json
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from keystore import audit
from keystore.audit import Actor
from keystore.clock import Clock
from keystore.db import writing
from keystore.vault import Vault
from webhooks import held, lanes
from webhooks.catalog import Catalog
from webhooks.envelope import Envelopes
from webhooks.errors import TooSoon, WebhooksError
from webhooks.exchange import Answer, Exchange
from webhooks.lanes import Endpoint

PING = "test.ping"
PAUSE = timedelta(seconds=5)  # between two trials of one subscription

_DEFAULT_BODY = {"type": PING}


@dataclass(frozen=True)
class Trial:
    """What was sent, with header lines as a log may have them, and what came of it."""

    url: str
    lines: list[str]
    body: bytes
    answer: Answer


class Trials:
    """Sends made-up events."""

    def __init__(self, vault: Vault, clock: Clock, catalog: Catalog, exchange: Exchange) -> None:
        self._envelopes = Envelopes(vault)
        self._clock = clock
        self._catalog = catalog
        self._exchange = exchange

    @audit.refusals("subscription.tried", of="subscription", errors=WebhooksError)
    def send(
        self,
        session: Session,
        subscription_id: UUID,
        *,
        organization_id: UUID,
        actor: Actor,
        only_of: UUID | None = None,
        event_type: str | None = None,
    ) -> Trial:
        """Send the sample of an event type, `test.ping` when none is named, and wait for the end.

        Signed like a delivery, without the same parts, and sent to the same place; also while the
        subscription is switched off. `only_of` as in `Subscriptions.list`. No transaction is open
        while the target is waited for. Raises KeyEnded, SubscriptionNotFound, SubscriptionEnded,
        UnknownEventType, TooSoon, Busy.
        """
        is_known = event_type is not None or PING in self._catalog
        kind = self._catalog.get(event_type or PING) if is_known else None
        sample = kind.sample if kind else _DEFAULT_BODY
        body = json.dumps(sample, ensure_ascii=False, separators=(",", ":")).encode()
        now = self._clock.now()
        with writing(session):
            subscription = held.hold(session, subscription_id, organization_id, actor, only_of)
            if subscription.tried_at is not None and now < subscription.tried_at + PAUSE:
                raise TooSoon(subscription.tried_at + PAUSE - now)
            subscription.tried_at = now
            endpoint = lanes.endpoint(session, subscription_id)
            if kind and (less := kind.cut(body, endpoint.without)) is not None:
                body = less
            audit.record(
                session,
                now,
                actor,
                "subscription.tried",
                organization_id=organization_id,
                subject_type="subscription",
                subject_id=subscription_id,
            )
        return self._sent(endpoint, body, round(now.timestamp()))

    def _sent(self, endpoint: Endpoint, body: bytes, timestamp: int) -> Trial:
        lines = self._envelopes.lines(endpoint, f"test_{uuid4().hex}", body, timestamp)
        answer = self._exchange.send(
            endpoint.organization_id, endpoint.target_url, lines.sent, body
        )
        return Trial(endpoint.target_url, lines.told, body, answer)
