"""The delivery log for an organization's admins. Nothing here changes anything."""

import json
from contextlib import suppress
from http import HTTPStatus

from flask import Blueprint, abort, render_template, request
from flask.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue

from keystore import access
from keystore.access import admin_only, services, the_visitor
from webhooks import log
from webhooks.errors import DeliveryNotFound
from webhooks.models import DeliveryState
from webhooks.pages import words

SHOWN_BODY = 100_000  # characters
GREATEST_ID = 2**63 - 1  # no database can be asked for a greater one

blueprint = Blueprint(
    "webhooks",
    __name__,
    url_prefix="/settings/organization/developer",
    template_folder="templates",
    static_folder="static",
    static_url_path="/webhooks-static",
)
words.register(blueprint)


@blueprint.record_once
def _declare_static_files_public(state: BlueprintSetupState) -> None:
    views = state.app.view_functions
    views["webhooks.static"] = access.public(views["webhooks.static"])


@blueprint.get("/subscriptions/")
@admin_only
def subscriptions() -> ResponseReturnValue:
    """List who wants which events where."""
    with services().db.session() as session:
        subscribers = log.subscriptions(session, the_visitor().organization.id)
    return render_template("webhooks/subscriptions.html", subscribers=subscribers)


@blueprint.get("/deliveries/")
@admin_only
def deliveries() -> ResponseReturnValue:
    """List deliveries, newest first: `?state=` picks one state, `?before=` an older page."""
    state = _state(request.args.get("state"))
    before = request.args.get("before", type=int)
    before = None if before is None else min(before, GREATEST_ID)
    with services().db.session() as session:
        page = log.deliveries(
            session, the_visitor().organization.id, log.Filter(state=state), before=before
        )
    return render_template(
        "webhooks/deliveries.html",
        page=page,
        state=state,
        states=DeliveryState,
        is_first=before is None,
        now=services().clock.now(),
    )


@blueprint.get(f"/deliveries/<int(max={GREATEST_ID}):delivery_id>/")
@admin_only
def delivery(delivery_id: int) -> ResponseReturnValue:
    """Show one delivery with its attempts, and the body that each of them sent."""
    organization_id = the_visitor().organization.id
    try:
        with services().db.session() as session:
            story = log.story(session, delivery_id, organization_id=organization_id)
    except DeliveryNotFound:
        abort(HTTPStatus.NOT_FOUND)
    return render_template(
        "webhooks/delivery.html",
        story=story,
        body=_readable(story.entry.event.body),
        now=services().clock.now(),
    )


def _state(name: str | None) -> DeliveryState | None:
    if not name:
        return None
    try:
        return DeliveryState(name)
    except ValueError:
        abort(HTTPStatus.NOT_FOUND)


def _readable(body: bytes) -> str:
    """Return a body with its JSON indented; anything else as it is."""
    text = body.decode("utf-8", "replace")
    with suppress(ValueError, RecursionError):
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    text = text.encode("utf-8", "replace").decode()  # JSON can spell half a character
    return text if len(text) <= SHOWN_BODY else text[:SHOWN_BODY] + "\n…"
