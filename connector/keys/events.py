"""What happened to a key, as the bytes that are pushed, and the event types for the catalogue."""

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from connector.keys import payloads
from connector.keys.payloads import AboutKey, KeyShape
from connector.meetings.payloads import schema
from keystore import key_events, scopes
from keystore.key_events import KeyEvent
from keystore.leak_models import Leaked, LeakReport
from keystore.limits import WINDOW_S
from keystore.models import Key
from keystore.rotation import LeakAction
from keystore.scopes import DataScope
from webhooks.catalog import EventType

#: Whoever is told of keys could as well look at them.
NEEDS = frozenset({"keys:manage"})

PAYLOADS: dict[type[KeyEvent], type[AboutKey]] = {
    key_events.Created: payloads.KeyCreated,
    key_events.Regenerated: payloads.KeyRegenerated,
    key_events.Expiring: payloads.KeyExpiring,
    key_events.Expired: payloads.KeyExpired,
    key_events.Revoked: payloads.KeyRevoked,
    key_events.Enabled: payloads.KeyEnabled,
    key_events.Leaked: payloads.KeyLeaked,
    key_events.QuotaNear: payloads.QuotaNear,
}
_SUMMARIES: dict[type[KeyEvent], str] = {
    key_events.Created: "Sent when a key was added.",
    key_events.Regenerated: "Sent when somebody has replaced a key's secret.",
    key_events.Expiring: "Sent 30, 7 and 1 days before a key expires, or at once when its expiry "
    "is moved nearer than that; after an outage only for the nearest of these.",
    key_events.Expired: "Sent when a key has expired, which is for good.",
    key_events.Revoked: "Sent when somebody has deleted or disabled a key, or its person has left.",
    key_events.Enabled: "Sent when a key that was disabled works again.",
    key_events.Leaked: "Sent when a working secret or token of a key was found in the open.",
    key_events.QuotaNear: "Sent when a key has used 90 % of its requests a minute, at most once "
    "an hour.",
}


@cache
def event_types() -> tuple[EventType, ...]:
    """Return the event types of keys, each with its schema and a made-up sample."""
    made_up = {type(event): json.loads(body(event, None)) for event in _samples()}
    return tuple(
        EventType(
            name=made_up[kind]["event_type"],
            title=made_up[kind]["event_label"],
            summary=_SUMMARIES[kind],
            schema=schema(payload),
            sample=made_up[kind],
            scopes=NEEDS,
        )
        for kind, payload in PAYLOADS.items()
    )


def event_type(event: KeyEvent) -> EventType:
    """Return the type of an event."""
    return dict(zip(PAYLOADS, event_types(), strict=True))[type(event)]


def body(event: KeyEvent, owner: str | None) -> bytes:
    """Return the body of an event as compact JSON in UTF-8."""
    told = {"occurred_at": event.at, "key": _shape(event.key, owner), **_detail(event)}
    payload = PAYLOADS[type(event)].model_validate(told)
    return json.dumps(payload.to_json(), ensure_ascii=False, separators=(",", ":")).encode()


def _shape(key: Key, owner: str | None) -> KeyShape:
    return KeyShape(
        id=key.id,
        name=key.name,
        client_key=key.client_key,
        scopes=key.scopes,
        data_scope=key.data_scope,
        owner=owner,
        generation=key.generation,
        disabled_at=key.disabled_at,
        created_at=key.created_at,
        expires_at=key.expires_at,
    )


def _detail(event: KeyEvent) -> dict[str, Any]:
    """Return what is told by events of this kind alone."""
    match event:
        case key_events.Regenerated():
            return {"former_secret_until": event.former_until}
        case key_events.Expiring():
            return {"within_days": event.within_days}
        case key_events.Revoked():
            return {"reason": event.how}
        case key_events.Leaked(report=report):
            is_secret = report.what is Leaked.SECRET
            return {
                "found": "client_secret" if is_secret else "access_token",
                "found_generation": report.generation,
                "source": report.source,
                "url": report.url,
                "action": report.action.value,
                "until": report.until,
            }
        case key_events.QuotaNear():
            return {"limit": event.limit, "used": event.used, "window_s": WINDOW_S}
    return {}


def _samples() -> tuple[KeyEvent, ...]:
    """Return one made-up event of each kind."""
    now = datetime(2026, 3, 12, 9, 30, tzinfo=UTC)
    key = Key(
        id=UUID("4f7c1a52-9d3b-4e0e-8a55-2b3c1f9a7a21"),
        name="Zapier",
        client_key="khk0sample0client0key00",
        scopes=sorted(scopes.DEFAULT),
        data_scope=DataScope.ORG_FULL,
        generation=2,
        created_at=now - timedelta(days=100),
        expires_at=now + timedelta(days=7),
    )
    report = LeakReport(
        what=Leaked.SECRET,
        generation=1,
        source="content",
        url="https://github.com/northwind/scripts/blob/main/.env",
        action=LeakAction.RETIRED,
        until=now + timedelta(days=1),
    )
    return (
        key_events.Created(key, now),
        key_events.Regenerated(key, now, now + timedelta(days=1)),
        key_events.Expiring(key, now, 7),
        key_events.Expired(key, now + timedelta(days=7)),
        key_events.Revoked(key, now, "deleted"),
        key_events.Enabled(key, now),
        key_events.Leaked(key, now, report),
        key_events.QuotaNear(key, now, 60, 54),
    )
