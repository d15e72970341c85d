"""What can go wrong on this floor. Each error's text is one sentence that says what to do."""

from datetime import timedelta
from math import ceil


class WebhooksError(Exception):
    """Something the caller asked for cannot be done; nothing was changed."""

    detail = "This cannot be done."

    def __init__(self, detail: str | None = None) -> None:
        if detail is not None:
            self.detail = detail
        super().__init__(self.detail)


class UnknownEventType(WebhooksError):
    """The catalogue has no event type of this name."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"{name[:64]!r} is not an event type; use one of {', '.join(known)}.")


class BadTarget(WebhooksError):
    """A target URL that we would never send to."""


class BadChoice(WebhooksError):
    """Something that a subscriber cannot choose; `field`: what it is about."""

    def __init__(self, field: str, detail: str) -> None:
        self.field = field
        super().__init__(detail)


class BadTargetType(WebhooksError):
    """A target type that does not exist."""

    detail = "The target type is 1 (Zapier) or 2 (organization)."


class KeyEnded(WebhooksError):
    """The key that calls, or the secret or token that it has shown, ended a moment ago."""

    detail = "The key, its secret or its token has ended."


class ScopeLacking(WebhooksError):
    """The key lacks operation scopes that the event type needs; `scope`: which."""

    def __init__(self, event_type: str, lacking: frozenset[str]) -> None:
        self.scope = " ".join(sorted(lacking))
        super().__init__(f"Events of type {event_type} need a key with the scope {self.scope}.")


class RightsLacking(WebhooksError):
    """Somebody would turn what another key may see to where that key did not send it."""

    detail = "The key that subscribed may see more than yours; use that one, or one like it."


class SubscriptionEnded(WebhooksError):
    """It has ended, which is final."""

    detail = "The subscription has ended; subscribe again."


class NotConfirmed(WebhooksError):
    """Whoever is at the target did not say that they want events; nothing was changed."""

    def __init__(self, how: str) -> None:
        super().__init__(f"The target did not confirm, when asked by {how}, that it wants events.")


class TooSoon(WebhooksError):
    """It was tried out a moment ago; `seconds`: how long to wait."""

    def __init__(self, wait: timedelta) -> None:
        self.seconds = max(1, ceil(wait.total_seconds()))
        super().__init__(f"It was tried out a moment ago; try again in {self.seconds} s.")


class Busy(WebhooksError):
    """Too many others wait for the answers of their targets."""

    detail = "The server waits for other targets at the moment; try again in a few seconds."
    seconds = 5


class SubscriptionNotFound(WebhooksError):
    """No subscription of this organization has this id."""

    detail = "There is no such subscription."


class DeliveryNotFound(WebhooksError):
    """No delivery of this organization has this id."""

    detail = "There is no such delivery."


class SwitchedOff(WebhooksError):
    """It is sent nothing at the moment."""

    detail = "The subscription is switched off; switch it on first."


class AlreadyRecovering(WebhooksError):
    """What it missed is being sent already."""

    detail = "What this subscription missed is being sent already; wait for it, or cancel it."


class RecoveryNotFound(WebhooksError):
    """No recovery of this subscription has this id."""

    detail = "There is no such recovery."
