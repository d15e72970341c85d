"""Planned spikes of a key: a window of time with a higher limit, never above the caller's own."""

from http import HTTPStatus
from uuid import UUID

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from connector import auth
from connector.api import context, key_requests
from connector.api.key_fields import Fields
from connector.api.key_requests import answered
from connector.api.key_shapes import shown_spike
from connector.meetings.fields import as_uuid
from connector.problems import NotFound
from keystore import access
from keystore.errors import SpikeNotFound

MEMBERS = frozenset({"starts_at", "ends_at", "rate_limit", "reason"})

bp = Blueprint("key_spikes", __name__)


@bp.get("/keys/self/spikes/", strict_slashes=False)
@auth.any_key
@answered
def own() -> ResponseReturnValue:
    """List the spikes of the calling key that are not over."""
    return _planned(auth.principal().key_id)


@bp.get("/keys/<key_id>/spikes/", strict_slashes=False)
@auth.scoped("keys:manage")
@answered
def index(key_id: str) -> ResponseReturnValue:
    """List the spikes that are not over, the first to begin first."""
    return _planned(key_requests.target(key_id))


@bp.post("/keys/<key_id>/spikes/", strict_slashes=False)
@auth.scoped("keys:manage")
@answered
def plan(key_id: str) -> ResponseReturnValue:
    """Plan a spike; without `starts_at` it begins now."""
    fields = Fields(key_requests.body(), MEMBERS)
    limit = fields.number("rate_limit", None) or 0
    reason = fields.text("reason")
    now = access.services().clock.now()
    starts_at = fields.moment("starts_at", now) or now
    ends_at = fields.moment("ends_at", None) or now  # which is refused: it must end after it begins
    fields.check()
    with context.session() as session:
        spike = access.services().rates.plan(
            session,
            key_requests.target(key_id),
            starts_at=starts_at,
            ends_at=ends_at,
            limit=limit,
            reason=reason,
            **key_requests.where(),
        )
    answer = jsonify(shown_spike(spike))
    answer.status_code = HTTPStatus.CREATED
    address = f"/v1/keys/{spike.key_id}/spikes/{spike.id}/"
    answer.headers["Location"] = context.whole_url(address)
    return answer


@bp.delete("/keys/<key_id>/spikes/<spike_id>/", strict_slashes=False)
@auth.scoped("keys:manage")
@answered
def cancel(key_id: str, spike_id: str) -> ResponseReturnValue:
    """Drop a planned spike, or end a running one now."""
    with context.session() as session:
        spike = access.services().rates.cancel(
            session,
            key_requests.target(key_id),
            spike_id=_uuid(spike_id),
            **key_requests.where(),
        )
    return jsonify(shown_spike(spike))


def _planned(key_id: UUID) -> ResponseReturnValue:
    with context.session() as session:
        found = access.services().rates.of(session, key_id, **key_requests.where()).planned
    return jsonify({"count": len(found), "results": [shown_spike(one) for one in found]})


def _uuid(text: str) -> UUID:
    uuid = as_uuid(text)
    if uuid is None:
        raise NotFound(SpikeNotFound.detail)
    return uuid
