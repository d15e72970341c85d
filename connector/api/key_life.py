"""The life of a key and its secrets: regenerate, finish an overlap, sleep, wake; who still uses it.

Any key may read its own uses. A key that disables itself is asleep until somebody else wakes it.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from uuid import UUID

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from connector import auth
from connector.api import context, key_requests
from connector.api.key_fields import Fields
from connector.api.key_requests import answered
from connector.api.key_shapes import shown_secret
from connector.problems import BadRequest
from keystore import access, rotation
from keystore.models import Key, Secret
from keystore.rotation import KeyState

bp = Blueprint("key_life", __name__)


@bp.post("/keys/<key_id>/regenerate/", strict_slashes=False)
@auth.scoped("keys:manage")
@answered
def regenerate(key_id: str) -> ResponseReturnValue:
    """Replace a key's secret; the new one is in this answer and in no other.

    `{"overlap_seconds": 3600}` lets the old secret work that long (a day, if nothing is said);
    `{"compromised": true}` ends it now. Demands If-Match.
    """
    generation, overlap = key_requests.seen(), _overlap()
    with context.session() as session:
        issued = access.services().keys.regenerate(
            session,
            key_requests.target(key_id),
            generation=generation,
            overlap=overlap,
            **key_requests.where(),
        )
    return key_requests.shown(issued.key, client_secret=issued.client_secret.reveal())


@bp.post("/keys/<key_id>/finish/", strict_slashes=False)
@auth.scoped("keys:manage")
@answered
def finish(key_id: str) -> ResponseReturnValue:
    """End an overlap now: the retiring secret dies. Without one nothing happens."""
    return _act(key_id, access.services().keys.finish)


@bp.post("/keys/<key_id>/disable/", strict_slashes=False)
@auth.scoped("keys:manage")
@answered
def disable(key_id: str) -> ResponseReturnValue:
    """Put a key to sleep."""
    return _act(key_id, access.services().keys.disable)


@bp.post("/keys/<key_id>/enable/", strict_slashes=False)
@auth.scoped("keys:manage")
@answered
def enable(key_id: str) -> ResponseReturnValue:
    """Wake a key that was disabled."""
    return _act(key_id, access.services().keys.enable)


@bp.get("/keys/self/uses/", strict_slashes=False)
@auth.any_key
@answered
def own_uses() -> ResponseReturnValue:
    """Tell when the calling key was last used, and what depends on it."""
    return _uses(auth.principal().key_id)


@bp.get("/keys/<key_id>/uses/", strict_slashes=False)
@auth.scoped("keys:manage")
@answered
def uses(key_id: str) -> ResponseReturnValue:
    """Tell which of a key's secrets is still used, when last and from where; what depends on it."""
    return _uses(key_requests.target(key_id))


def _act(key_id: str, change: Callable[..., Key]) -> ResponseReturnValue:
    Fields(key_requests.body(), frozenset()).check()
    with context.session() as session:
        changed = change(session, key_requests.target(key_id), **key_requests.where())
    return key_requests.shown(changed)


def _overlap() -> timedelta:
    fields = Fields(key_requests.body(), frozenset({"overlap_seconds", "compromised"}))
    day = int(rotation.DEFAULT_OVERLAP.total_seconds())
    seconds, compromised = fields.number("overlap_seconds", day), fields.flag("compromised")
    fields.check()
    if compromised and "overlap_seconds" in fields:
        raise BadRequest("What is compromised ends now: leave overlap_seconds out.")
    if compromised:
        return rotation.NO_OVERLAP
    return rotation.DEFAULT_OVERLAP if seconds is None else timedelta(seconds=seconds)


def _uses(key_id: UUID) -> ResponseReturnValue:
    services, found = access.services(), key_requests.item(key_id)
    with context.session() as session:
        used = {one.generation: one for one in services.uses.of_key(session, key_id)}
        requests = services.uses.last_week(session, key_id)
        dependents = services.keys.dependents(session, found.key)
        secrets: Sequence[Secret] = ()
        if found.state is not KeyState.DELETED:
            secrets = services.keys.secrets(session, key_id, **key_requests.where())
    return jsonify(
        {
            "requests_last_7_days": requests,
            "secrets": [shown_secret(one, used.get(one.generation)) for one in secrets],
            "dependents": [{"what": one.what, "count": one.count} for one in dependents],
        }
    )
