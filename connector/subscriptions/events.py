"""What happened to a subscription, as the bytes that are pushed, and the event types for these."""

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from connector.meetings.payloads import Event, schema
from connector.subscriptions import payloads
from connector.subscriptions.payloads import SubscriptionShape
from webhooks.catalog import EventType
from webhooks.health import Ailing
from webhooks.models import Subscription

FAILING, DISABLED, PING = "webhook.failing", "webhook.disabled", "test.ping"

_KINDS: dict[str, tuple[type[Event], str]] = {
    FAILING: (
        payloads.WebhookFailing,
        "Sent when all attempts fail, at half and at nine tenths of the time until it is disabled.",
    ),
    DISABLED: (
        payloads.WebhookDisabled,
        "Sent when a subscription was switched off because every attempt at it had failed.",
    ),
    PING: (payloads.Ping, "Sent when somebody tries a subscription out."),
}


@cache
def event_types() -> tuple[EventType, ...]:
    """Return the event types of subscriptions, each with its schema and a made-up sample.

    They take the scope that managing subscriptions does, and no other.
    """
    samples = _samples()
    return tuple(
        EventType(
            name=name,
            title=samples[name]["event_label"],
            summary=summary,
            schema=schema(payload),
            sample=samples[name],
            scopes=frozenset(),
        )
        for name, (payload, summary) in _KINDS.items()
    )


def event_type(name: str) -> EventType:
    """Return one of them."""
    return next(one for one in event_types() if one.name == name)


def body(ailing: Ailing) -> bytes:
    """Return the body of webhook.failing or webhook.disabled as compact JSON in UTF-8."""
    told: dict[str, Any] = {
        "occurred_at": ailing.at,
        "subscription": _shape(ailing.subscription),
        "failing_since": ailing.failing_since,
        "last_failure": ailing.failure,
    }
    if ailing.is_switched_off:
        return _text(payloads.WebhookDisabled.model_validate(told))
    return _text(payloads.WebhookFailing.model_validate(told | {"percent": ailing.percent}))


def ping(now: datetime) -> bytes:
    """Return the body of test.ping."""
    return _text(payloads.Ping(occurred_at=now))


def _text(payload: Event) -> bytes:
    return json.dumps(payload.to_json(), ensure_ascii=False, separators=(",", ":")).encode()


def _shape(subscription: Subscription) -> SubscriptionShape:
    return SubscriptionShape(
        id=subscription.id,
        event_types=list(subscription.types),
        target_host=urlsplit(subscription.target_url).hostname or "",
    )


def _samples() -> dict[str, dict[str, Any]]:
    now = datetime(2026, 3, 12, 9, 30, tzinfo=UTC)
    subscription = Subscription(
        id=UUID("9b1f6c1e-51a7-4d57-8f0b-9d6b6f1f2a10"),
        event_types="meeting.ended",
        target_url="https://partner.example/hooks",
    )
    failing = Ailing(subscription, now - timedelta(hours=20), 50, "HTTP 503", now)
    over = Ailing(subscription, now - timedelta(hours=39), 100, "HTTP 503", now)
    return {
        FAILING: json.loads(body(failing)),
        DISABLED: json.loads(body(over)),
        PING: json.loads(ping(now)),
    }
