"""What each thing of this floor's is sealed for, so that it opens in its own place only."""

from uuid import UUID


def secret_context(subscription_id: UUID) -> str:
    """Return what a subscription's signing secrets are sealed for."""
    return f"subscription:{subscription_id}"


def headers_context(subscription_id: UUID) -> str:
    """Return what a subscription's own headers are sealed for."""
    return f"subscription headers:{subscription_id}"


def organization_context(organization_id: UUID) -> str:
    """Return what an organization's signing secret is sealed for."""
    return f"organization signing secret:{organization_id}"
