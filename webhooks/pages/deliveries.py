"""The delivery log for an organization's admins."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from http import HTTPStatus
from statistics import median
from uuid import UUID

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue

from keystore import access
from keystore.access import actor, admin_only, services, the_visitor
from keystore.db import GREATEST
from keystore.pages.forms import ActForm
from webhooks import log
from webhooks.errors import DeliveryNotFound, WebhooksError
from webhooks.models import DeliveryState
from webhooks.pages import plot, words
from webhooks.pages import subscriptions as one_subscription
from webhooks.redelivery import Wish
from webhooks.services import hooks

FILTERS = ("event", "host", "from", "to", "subscription")
SHOWN_BODY = 100_000  # characters

blueprint = Blueprint(
    "webhooks",
    __name__,
    url_prefix="/settings/organization/developer",
    template_folder="templates",
    static_folder="static",
    static_url_path="/webhooks-static",
)
words.register(blueprint)
blueprint.register_blueprint(one_subscription.blueprint, name="subscription")


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
    """List deliveries, newest first: `?state=` picks one state, `?before=` an older page.

    `event`, `host`, `from`, `to` and `subscription` pick others.
    """
    state = _state(request.args.get("state"))
    before = request.args.get("before", type=int)
    before = None if before is None else max(0, min(before, GREATEST))
    kept = {name: text for name in FILTERS if (text := request.args.get(name, "").strip())}
    organization_id, now = the_visitor().organization.id, services().clock.now()
    with services().db.session() as session:
        page = log.deliveries(session, organization_id, _filter(state, kept), before=before)
    bars: Sequence[plot.Bar] = ()
    if before is None and not kept:
        with services().db.session() as session:
            since = now - timedelta(hours=plot.HOURS)
            bars = plot.bars(log.lately(session, organization_id, since), now)
    medians = [bar.median_ms for bar in bars if bar.median_ms is not None]
    return render_template(
        "webhooks/deliveries.html",
        page=page,
        state=state,
        states=DeliveryState,
        kept=kept,
        event_types=hooks().catalog.names,
        bars=bars,
        latency=median(medians) if medians else None,
        is_first=before is None,
        kept_days=keep.days if (keep := services().settings.delivery_retention) else None,
        now=now,
    )


@blueprint.post(f"/deliveries/<int(max={GREATEST}):delivery_id>/again/")
@admin_only
def redeliver(delivery_id: int) -> ResponseReturnValue:
    """Send one delivery again."""
    organization_id, said = the_visitor().organization.id, "It is sent again."
    try:
        with services().db.session() as session:
            story = log.story(session, delivery_id, organization_id=organization_id)
            hooks().redelivery.again(
                session,
                story.entry.subscription.id,
                Wish(ids=[delivery_id]),
                organization_id=organization_id,
                actor=actor(),
            )
    except DeliveryNotFound:
        abort(HTTPStatus.NOT_FOUND)
    except WebhooksError as error:
        said = error.detail
    flash(said)
    return redirect(url_for(".delivery", delivery_id=delivery_id), HTTPStatus.SEE_OTHER)


@blueprint.get(f"/deliveries/<int(max={GREATEST}):delivery_id>/")
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
        body=_readable(story.body),
        act=ActForm(),
        now=services().clock.now(),
    )


def _filter(state: DeliveryState | None, kept: Mapping[str, str]) -> log.Filter:
    """Read what somebody typed; what cannot be read picks nothing out."""
    try:
        subscription_id = UUID(kept["subscription"]) if "subscription" in kept else None
    except ValueError:
        abort(HTTPStatus.NOT_FOUND)
    return log.Filter(
        subscription_id,
        state,
        kept.get("event"),
        kept.get("host"),
        _moment(kept.get("from"), time.min),
        _moment(kept.get("to"), time.max),
    )


def _moment(day: str | None, of_day: time) -> datetime | None:
    try:
        return datetime.combine(date.fromisoformat(day or ""), of_day, UTC)
    except ValueError:
        return None


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
