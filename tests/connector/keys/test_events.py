"""The bodies of events about keys, and their types in the catalogue."""

import json
from datetime import timedelta
from uuid import UUID

import pytest
from jsonschema import Draft202012Validator

from connector.keys import events
from connector.keys.events import event_types
from keystore import key_events
from keystore.clock import ManualClock
from keystore.key_events import KeyEvent
from keystore.leak_models import Leaked, LeakReport
from keystore.models import Key
from keystore.rotation import LeakAction
from keystore.scopes import DataScope
from webhooks.catalog import EventType

NOW = ManualClock().now()
DAY = timedelta(days=1)
KEY = Key(
    id=UUID(int=7),
    name="Zürich “1”",
    client_key="khk" + "a" * 20,
    scopes=["meetings:read"],
    data_scope=DataScope.USER_FULL,
    generation=3,
    created_at=NOW - DAY,
    expires_at=None,
    disabled_at=NOW,
)


def leak(what: Leaked, action: LeakAction) -> LeakReport:
    until = NOW + DAY if action is LeakAction.RETIRED else None
    return LeakReport(what=what, generation=2, source="", url="", action=action, until=until)


HAPPENED: list[tuple[KeyEvent, dict[str, object]]] = [
    (key_events.Created(KEY, NOW), {"event_type": "key.created"}),
    (
        key_events.Regenerated(KEY, NOW, None),
        {"event_type": "key.regenerated", "former_secret_until": None},
    ),
    (
        key_events.Regenerated(KEY, NOW, NOW + DAY),
        {"event_type": "key.regenerated", "former_secret_until": "2026-01-02T00:00:00Z"},
    ),
    (key_events.Expiring(KEY, NOW, 30), {"event_type": "key.expiring", "within_days": 30}),
    (key_events.Expired(KEY, NOW), {"event_type": "key.expired"}),
    (key_events.Revoked(KEY, NOW, "disabled"), {"event_type": "key.revoked", "reason": "disabled"}),
    (key_events.Revoked(KEY, NOW, "deleted"), {"event_type": "key.revoked", "reason": "deleted"}),
    (key_events.Enabled(KEY, NOW), {"event_type": "key.enabled"}),
    (
        key_events.Leaked(KEY, NOW, leak(Leaked.SECRET, LeakAction.RETIRED)),
        {
            "event_type": "key.leaked",
            "found": "client_secret",
            "found_generation": 2,
            "source": "",
            "url": "",
            "action": "retired",
            "until": "2026-01-02T00:00:00Z",
        },
    ),
    (
        key_events.Leaked(KEY, NOW, leak(Leaked.TOKEN, LeakAction.NONE)),
        {
            "event_type": "key.leaked",
            "found": "access_token",
            "found_generation": 2,
            "source": "",
            "url": "",
            "action": "none",
            "until": None,
        },
    ),
    (
        key_events.QuotaNear(KEY, NOW, 60, 54),
        {"event_type": "quota.near", "limit": 60, "used": 54, "window_s": 60},
    ),
]


@pytest.mark.parametrize(("event", "tells"), HAPPENED, ids=lambda one: type(one).__name__)
def test_a_body_tells_of_the_key_and_of_what_happened(
    event: KeyEvent, tells: dict[str, object]
) -> None:
    written = events.body(event, "mel@northwind.example")
    body = json.loads(written)
    label = body.pop("event_label")
    assert body == tells | {
        "occurred_at": "2026-01-01T00:00:00Z",
        "key": {
            "id": str(KEY.id),
            "name": "Zürich “1”",
            "client_key": KEY.client_key,
            "scopes": ["meetings:read"],
            "data_scope": "user_full",
            "owner": "mel@northwind.example",
            "generation": 3,
            "disabled_at": "2026-01-01T00:00:00Z",
            "created_at": "2025-12-31T00:00:00Z",
            "expires_at": None,
        },
    }
    of_type = events.event_type(event)
    assert (of_type.name, of_type.title) == (body["event_type"], label)
    Draft202012Validator(of_type.schema).validate(json.loads(written))
    assert "Zürich" in written.decode(), "UTF-8, without escapes"


@pytest.mark.parametrize("event_type", event_types(), ids=lambda event_type: event_type.name)
def test_a_type_s_made_up_sample_satisfies_its_schema(event_type: EventType) -> None:
    Draft202012Validator.check_schema(event_type.schema)
    Draft202012Validator(event_type.schema).validate(event_type.sample)
    assert event_type.schema["additionalProperties"] is False
    assert event_type.needs == {"keys:manage", "webhooks:manage"}


def test_there_is_a_type_for_everything_that_is_told_of_keys() -> None:
    kinds = {
        one
        for one in vars(key_events).values()
        if isinstance(one, type) and issubclass(one, KeyEvent) and one is not KeyEvent
    }
    assert set(events.PAYLOADS) == kinds
    assert [one.name for one in event_types()] == [
        "key.created",
        "key.regenerated",
        "key.expiring",
        "key.expired",
        "key.revoked",
        "key.enabled",
        "key.leaked",
        "quota.near",
    ]


def test_samples_hold_nothing_that_looks_like_a_secret() -> None:
    told = json.dumps([one.sample for one in event_types()])
    assert not any(mark in told for mark in ("khs", "kht", "whsec_"))
