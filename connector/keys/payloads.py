"""The bodies of the events about keys. None of them holds a secret, nor any part of one."""

from typing import Literal
from uuid import UUID

from pydantic import Field

from connector.meetings.payloads import Event
from connector.meetings.schemas import Email, Moment, Shape


class KeyShape(Shape):
    """The key that it is about, as it is right after."""

    id: UUID
    name: str
    client_key: str
    scopes: list[str]
    data_scope: str
    owner: Email | None = Field(
        description="The person whose data a personal key sees; null for all other keys"
    )
    generation: int = Field(description="How many secrets it has had, the present one included")
    disabled_at: Moment | None
    created_at: Moment
    expires_at: Moment | None


class AboutKey(Event):
    """What every event about a key tells."""

    occurred_at: Moment
    key: KeyShape


class KeyCreated(AboutKey):
    """The body of key.created."""

    event_type: Literal["key.created"] = "key.created"
    event_label: str | None = "Key created"


class KeyRegenerated(AboutKey):
    """The body of key.regenerated."""

    event_type: Literal["key.regenerated"] = "key.regenerated"
    event_label: str | None = "Key regenerated"
    former_secret_until: Moment | None = Field(
        description="The former secret works strictly before this moment; null: it is dead"
    )


class KeyExpiring(AboutKey):
    """The body of key.expiring."""

    event_type: Literal["key.expiring"] = "key.expiring"
    event_label: str | None = "Key about to expire"
    within_days: Literal[30, 7, 1] = Field(
        description="The nearest of these numbers of days before its expiry that has been reached"
    )


class KeyExpired(AboutKey):
    """The body of key.expired."""

    event_type: Literal["key.expired"] = "key.expired"
    event_label: str | None = "Key expired"


class KeyRevoked(AboutKey):
    """The body of key.revoked."""

    event_type: Literal["key.revoked"] = "key.revoked"
    event_label: str | None = "Key revoked"
    reason: Literal["deleted", "disabled"] = Field(
        description="Deleted is for good; what was disabled may be enabled again"
    )


class KeyEnabled(AboutKey):
    """The body of key.enabled."""

    event_type: Literal["key.enabled"] = "key.enabled"
    event_label: str | None = "Key enabled"


class KeyLeaked(AboutKey):
    """The body of key.leaked."""

    event_type: Literal["key.leaked"] = "key.leaked"
    event_label: str | None = "Key leaked"
    found: Literal["client_secret", "access_token"]
    found_generation: int = Field(description="Which of the key's secrets it is, or comes from")
    source: str = Field(description="What was searched, in the finder's words")
    url: str = Field(description="Where it was found; empty when nobody said")
    action: Literal["none", "retired", "killed"] = Field(description="What was done about it")
    until: Moment | None = Field(
        description="When retired: what was found works strictly before this moment"
    )


class QuotaNear(AboutKey):
    """The body of quota.near."""

    event_type: Literal["quota.near"] = "quota.near"
    event_label: str | None = "Quota nearly used up"
    limit: int = Field(description="Requests that the key may make in a window")
    used: int = Field(description="Those of them that were made")
    window_s: int = Field(description="Length of the window in seconds")
