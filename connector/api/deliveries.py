"""What became of a subscription's events: deliveries, their attempts, sending them again."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from flask import Blueprint, jsonify, request, url_for
from flask.typing import ResponseReturnValue

from connector import auth
from connector.api import context
from connector.api.body import decoded
from connector.api.parameters import Parameters
from connector.api.webhooks import only_of, refusing, uuid
from connector.meetings import moments
from connector.problems import BadRequest, NotFound
from keystore import access
from keystore.db import GREATEST
from webhooks import log, services
from webhooks.errors import DeliveryNotFound
from webhooks.log import Entry, Filter
from webhooks.models import Attempt, DeliveryState
from webhooks.redelivery import MOST, Wish

bp = Blueprint("deliveries", __name__)

PAGE_SIZE, MAX_PAGE_SIZE = 50, 100
_ID = re.compile(r"0*([1-9]\d{0,18})", re.ASCII)  # int() itself fails at thousands of digits
WISHES = ("ids", "state", "from_date", "to_date")
ENDED = tuple(state.value for state in DeliveryState if state is not DeliveryState.PENDING)


@bp.get("/webhooks/<subscription_id>/deliveries/", strict_slashes=False)
@auth.scoped("webhooks:manage")
def index(subscription_id: str) -> ResponseReturnValue:
    """List deliveries, newest first: `state`, `event_type`, `from_date` and `to_date` pick some.

    `next` leads to older ones; as new ones come in all the time, there is no count of them.
    """
    wanted = Parameters(request.args)
    state = wanted.choice("state", ("", *DeliveryState), "")
    size = wanted.page_size(PAGE_SIZE, MAX_PAGE_SIZE)
    event_type = wanted.text("event_type")
    since, until = wanted.open_window()
    before = wanted.before(GREATEST)
    wanted.check()
    only = Filter(
        _own(subscription_id),
        DeliveryState(state) if state else None,
        event_type,
        since=since,
        until=until,
    )
    with access.services().db.session() as session:
        page = log.deliveries(
            session, auth.principal().organization_id, only, before=before, size=size
        )
    following = None
    if page.next_before is not None:
        kept = {name: text for name, text in request.args.items() if name != "before"}
        path = url_for(".index", subscription_id=subscription_id)
        query = urlencode(kept | {"before": str(page.next_before)})
        following = context.whole_url(f"{path}?{query}")
    return jsonify({"next": following, "results": [_shape(entry) for entry in page.entries]})


@bp.get("/webhooks/<subscription_id>/deliveries/<delivery_id>/", strict_slashes=False)
@auth.scoped("webhooks:manage")
def show(subscription_id: str, delivery_id: str) -> ResponseReturnValue:
    """Show one delivery with its attempts; its body only to a key that may see it now.

    Nor is any other key shown what the receiver answered: many an answer is an echo.
    """
    own = _own(subscription_id)
    with refusing(), access.services().db.session() as session:
        story = log.story(
            session,
            _number(delivery_id),
            organization_id=auth.principal().organization_id,
            subscription_id=own,
            rights=auth.principal().rights,
        )
    body = story.body.decode("utf-8", "replace") if story.is_in_sight else None
    attempts = [_attempt(one, story.is_in_sight) for one in story.attempts]
    return jsonify(_shape(story.entry) | {"body": body, "attempts": attempts})


@bp.post("/webhooks/<subscription_id>/deliveries/<delivery_id>/redeliver/", strict_slashes=False)
@auth.scoped("webhooks:manage")
def redeliver(subscription_id: str, delivery_id: str) -> ResponseReturnValue:
    """Send one delivery again, under the same webhook-id; one that waits anyway is left alone."""
    return _again(subscription_id, Wish(ids=[_number(delivery_id)]))


@bp.post("/webhooks/<subscription_id>/redeliver/", strict_slashes=False)
@auth.scoped("webhooks:manage")
def redeliver_some(subscription_id: str) -> ResponseReturnValue:
    """Send a selection again: `ids`, or `state`, `from_date` and `to_date`, the oldest first.

    At most 1,000 in one request; the answer's `count` tells how many it was.
    """
    return _again(subscription_id, _wish(decoded()))


def _again(subscription_id: str, wish: Wish) -> ResponseReturnValue:
    with refusing(), access.services().db.session() as session:
        count = services.hooks().redelivery.again(
            session,
            uuid(subscription_id),
            wish,
            organization_id=auth.principal().organization_id,
            actor=auth.actor(),
            only_of=only_of(),
        )
    return jsonify({"count": count})


def _own(subscription_id: str) -> UUID:
    """Return the id of a subscription that the calling key may look at."""
    with refusing(), access.services().db.session() as session:
        found = services.hooks().subscriptions.get(
            session,
            uuid(subscription_id),
            organization_id=auth.principal().organization_id,
            only_of=only_of(),
        )
    return found.id


def _wish(body: object) -> Wish:
    if not isinstance(body, dict) or not body:
        raise BadRequest('Send a JSON object like {"ids": [1, 2]} or {"state": "failed"}.')
    wrong = {str(name): ["There is no such field."] for name in body if name not in WISHES}
    ids = body.get("ids")
    if ids is not None and not (
        isinstance(ids, list)
        and 0 < len(ids) <= MOST
        and all(type(one) is int and 0 < one <= GREATEST for one in ids)
    ):
        wrong["ids"] = [f"Give 1 to {MOST} ids of deliveries."]
    state = body.get("state")
    if state is not None and state not in ENDED:
        wrong["state"] = [f"Must be one of {', '.join(ENDED)}."]
    since = _moment(body, "from_date", wrong)
    until = _moment(body, "to_date", wrong)
    if wrong:
        raise BadRequest(fields=wrong)
    return Wish(ids, DeliveryState(state) if state else None, since, until)


def _moment(body: Mapping[str, Any], name: str, wrong: dict[str, list[str]]) -> datetime | None:
    text = body.get(name)
    read = moments.window_start if name == "from_date" else moments.window_end
    try:
        return None if text is None else read(text if isinstance(text, str) else "")
    except ValueError as error:
        wrong[name] = [str(error)]
        return None


def _number(text: str) -> int:
    found = _ID.fullmatch(text)
    if found is None or int(found[1]) > GREATEST:
        raise NotFound(DeliveryNotFound.detail)
    return int(found[1])


def _shape(entry: Entry) -> dict[str, Any]:
    delivery = entry.delivery
    return {
        "id": delivery.id,
        "webhook_id": f"evt_{delivery.event_id.hex}",
        "event_type": entry.event.type,
        "state": delivery.state.value,
        "dropped_because": delivery.dropped_because and delivery.dropped_because.value,
        "attempts_made": delivery.attempts,
        "created": moments.formatted(delivery.created_at),
        "due_at": moments.formatted(delivery.due_at),
        "finished_at": delivery.finished_at and moments.formatted(delivery.finished_at),
    }


def _attempt(attempt: Attempt, is_in_sight: bool) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "started_at": moments.formatted(attempt.started_at),
        "duration_ms": attempt.duration_ms,
        "outcome": attempt.outcome.value,
        "status": attempt.status,
        "error": attempt.error,
        "response_excerpt": attempt.response_excerpt if is_in_sight else None,
    }
