"""Settings -> Organization -> Developer: subscriptions, deliveries, and what became of each."""

from webhooks.pages.deliveries import blueprint

__all__ = ["blueprint"]
