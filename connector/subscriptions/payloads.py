"""The bodies of the events about subscriptions themselves."""

from typing import Literal
from uuid import UUID

from pydantic import Field

from connector.meetings.payloads import Event
from connector.meetings.schemas import Moment, Shape


class SubscriptionShape(Shape):
    """The subscription that it is about."""

    id: UUID
    event_types: list[str]
    target_host: str = Field(description="Where it goes; the whole address may be a secret")


class AboutSubscription(Event):
    """What every event about a subscription that fails tells."""

    occurred_at: Moment
    subscription: SubscriptionShape
    failing_since: Moment
    last_failure: str = Field(description="What came of the last attempt, as a sentence")


class WebhookFailing(AboutSubscription):
    """The body of webhook.failing."""

    event_type: Literal["webhook.failing"] = "webhook.failing"
    event_label: str | None = "Webhook failing"
    percent: Literal[50, 90] = Field(
        description="How much of the time has passed after which it is switched off"
    )


class WebhookDisabled(AboutSubscription):
    """The body of webhook.disabled."""

    event_type: Literal["webhook.disabled"] = "webhook.disabled"
    event_label: str | None = "Webhook switched off"


class Ping(Event):
    """The body of test.ping."""

    event_type: Literal["test.ping"] = "test.ping"
    event_label: str | None = "Test"
    occurred_at: Moment
    message: str = "This is a test. Nothing has happened."
