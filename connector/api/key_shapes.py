"""A key and what belongs to it, as the API and the command line show them; never with a secret."""

from datetime import datetime
from typing import Any

from connector.meetings import moments
from keystore.inventory import Item
from keystore.limit_models import Spike
from keystore.models import Secret
from keystore.rates import Standard
from keystore.scopes import Reach
from keystore.uses import Use


def shown_key(item: Item) -> dict[str, Any]:
    """Return a key's members."""
    key = item.key
    return {
        "id": str(key.id),
        "name": key.name,
        "client_key": key.client_key,
        "state": item.state,
        "scopes": key.scopes,
        "data_scope": key.data_scope,
        "owner": item.owner,
        "networks": key.networks or [],
        "rate_limit": key.rate_limit,
        "expires_at": moment(key.expires_at),
        "generation": key.generation,
        "created_at": moment(key.created_at),
        "secret_created_at": moment(key.secret_created_at),
        "disabled_at": moment(key.disabled_at),
        "deleted_at": moment(key.deleted_at),
    }


def shown_secret(secret: Secret, use: Use | None) -> dict[str, Any]:
    """Return what may be known of a secret, and when it was last used."""
    return {
        "generation": secret.generation,
        "state": secret.state,
        "created_at": moment(secret.created_at),
        "until": moment(secret.until),
        "last_used_at": moment(None if use is None else use.at),
        "address": use and use.address,
        "agent": use and use.agent,
    }


def shown_spike(spike: Spike) -> dict[str, Any]:
    """Return a planned spike's members."""
    return {
        "id": str(spike.id),
        "starts_at": moment(spike.starts_at),
        "ends_at": moment(spike.ends_at),
        "rate_limit": spike.rate_limit,
        "reason": spike.reason,
        "cancelled_at": moment(spike.cancelled_at),
    }


def shown_standard(standard: Standard) -> dict[str, Any]:
    """Return the limit of keys without one of their own, and where it comes from."""
    return {
        "rate_limit": standard.now,
        "chosen": standard.chosen,
        "installed": standard.installed,
    }


def shown_reach(reach: Reach) -> dict[str, Any]:
    """Return how much a key would see."""
    return {"meetings": reach.meetings, "private_meetings": reach.private}


def moment(at: datetime | None) -> str | None:
    """Write a moment, or null where there is none."""
    return None if at is None else moments.formatted(at)
