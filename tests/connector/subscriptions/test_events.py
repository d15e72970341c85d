import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import jsonschema
import pytest

from connector.subscriptions import events
from webhooks.health import Ailing
from webhooks.models import Subscription

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def ailing(percent: int) -> Ailing:
    subscription = Subscription(
        id=uuid4(),
        event_types="meeting.ended new_conversation",
        target_url="https://hooks.partner.example/secret-path",
    )
    return Ailing(subscription, NOW - timedelta(hours=20), percent, "HTTP 503", NOW)


@pytest.mark.parametrize("one", events.event_types(), ids=lambda one: one.name)
def test_samples_fit_their_schemas(one: object) -> None:
    assert isinstance(one, type(events.event_types()[0]))
    jsonschema.validate(one.sample, one.schema)
    assert one.sample["event_type"] == one.name
    assert one.needs == {"webhooks:manage"}


def test_a_warning_tells_how_much_time_has_passed_and_nothing_of_the_path() -> None:
    body = events.body(ailing(90))
    assert b"secret-path" not in body
    told = json.loads(body)
    assert told["event_type"] == "webhook.failing"
    assert told["percent"] == 90
    assert told["failing_since"] == "2025-12-31T16:00:00Z"
    assert told["subscription"]["target_host"] == "hooks.partner.example"
    assert told["subscription"]["event_types"] == ["meeting.ended", "new_conversation"]


def test_the_end_is_an_event_of_its_own() -> None:
    told = json.loads(events.body(ailing(100)))
    assert told["event_type"] == "webhook.disabled"
    assert "percent" not in told


def test_a_ping_says_that_nothing_has_happened() -> None:
    told = json.loads(events.ping(NOW))
    assert told == {
        "event_type": "test.ping",
        "event_label": "Test",
        "occurred_at": "2026-01-01T12:00:00Z",
        "message": "This is a test. Nothing has happened.",
    }
