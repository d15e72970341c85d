"""Sending a subscription what it missed: starting the job, watching it, cancelling it."""

from functools import partial
from http import HTTPStatus
from typing import Any

from flask import Blueprint, jsonify, url_for
from flask.typing import ResponseReturnValue

from connector import auth
from connector.api import context
from connector.api.body import decoded
from connector.api.webhooks import only_of, refusing, uuid
from connector.meetings import moments
from connector.meetings.fields import as_uuid
from connector.problems import BadRequest, NotFound
from keystore import access
from webhooks import services
from webhooks.errors import RecoveryNotFound
from webhooks.models import Recovery

bp = Blueprint("recoveries", __name__)


@bp.post("/webhooks/<subscription_id>/recover/", strict_slashes=False)
@auth.scoped("webhooks:manage")
def recover(subscription_id: str) -> ResponseReturnValue:
    """Send again all that did not arrive `since` a moment; 202, and `Location` tells how far it is.

    Of what was published while the subscription was switched off, too.
    """
    body = decoded()
    if not isinstance(body, dict) or set(body) != {"since"}:
        raise BadRequest(f'Send a JSON object like {{"since": "{moments.EXAMPLE}"}}.')
    try:
        since = moments.window_start(body["since"] if isinstance(body["since"], str) else "")
    except ValueError as error:
        raise BadRequest(fields={"since": [str(error)]}) from None
    with refusing(), access.services().db.session() as session:
        begun = services.hooks().recoveries.start(
            session,
            uuid(subscription_id),
            since=since,
            organization_id=auth.principal().organization_id,
            actor=auth.actor(),
            only_of=only_of(),
        )
    answer = jsonify(_shape(begun))
    answer.status_code = HTTPStatus.ACCEPTED
    address = url_for(".show", subscription_id=begun.subscription_id, recovery_id=begun.id)
    answer.headers["Location"] = context.whole_url(address)
    return answer


@bp.get("/webhooks/<subscription_id>/recoveries/<recovery_id>/", strict_slashes=False)
@auth.scoped("webhooks:manage")
def show(subscription_id: str, recovery_id: str) -> ResponseReturnValue:
    """Tell how far a job is."""
    return _act(subscription_id, recovery_id, services.hooks().recoveries.get)


@bp.delete("/webhooks/<subscription_id>/recoveries/<recovery_id>/", strict_slashes=False)
@auth.scoped("webhooks:manage")
def cancel(subscription_id: str, recovery_id: str) -> ResponseReturnValue:
    """End a job early; what it has made due is sent all the same."""
    cancel = services.hooks().recoveries.cancel
    return _act(subscription_id, recovery_id, partial(cancel, actor=auth.actor()))


def _act(subscription_id: str, recovery_id: str, do: Any) -> ResponseReturnValue:
    wanted = as_uuid(recovery_id)
    if wanted is None:
        raise NotFound(RecoveryNotFound.detail)
    with refusing(), access.services().db.session() as session:
        found = do(
            session,
            uuid(subscription_id),
            wanted,
            organization_id=auth.principal().organization_id,
            only_of=only_of(),
        )
    return jsonify(_shape(found))


def _shape(recovery: Recovery) -> dict[str, Any]:
    finished = recovery.finished_at
    return {
        "id": str(recovery.id),
        "state": recovery.state.value,
        "since": moments.formatted(recovery.since),
        "until": moments.formatted(recovery.until),
        "progress": round(recovery.progress, 3),
        "events_seen": recovery.found,
        "deliveries_made": recovery.made,
        "finished_at": moments.formatted(finished) if finished else None,
    }
