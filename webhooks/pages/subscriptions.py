"""One subscription for an organization's admins: how it fares, its switch, and what it missed."""

from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from uuid import UUID

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from keystore.access import actor, admin_only, services, the_visitor
from keystore.pages.forms import ActForm
from webhooks import log
from webhooks.errors import RecoveryNotFound, SubscriptionNotFound, WebhooksError
from webhooks.services import hooks

#: How far back a recovery may be asked to go, by a person: label by hours.
STRETCHES = {1: "the last hour", 24: "the last day", 24 * 7: "the last 7 days"}

blueprint = Blueprint("subscriptions", __name__, url_prefix="/subscriptions/<uuid:subscription_id>")


@blueprint.get("/")
@admin_only
def show(subscription_id: UUID) -> ResponseReturnValue:
    """Show a subscription with its health and what was recovered of late."""
    try:
        with services().db.session() as session:
            story = log.subscription(session, subscription_id, the_visitor().organization.id)
    except SubscriptionNotFound:
        abort(HTTPStatus.NOT_FOUND)
    return render_template(
        "webhooks/subscription.html",
        subscription=story.subscription,
        key=story.key,
        recoveries=story.recoveries,
        act=ActForm(),
        stretches=STRETCHES,
        now=services().clock.now(),
    )


@blueprint.post("/on/")
@admin_only
def switch_on(subscription_id: UUID) -> ResponseReturnValue:
    """Switch it on again."""
    return _do(hooks().switches.on, subscription_id, "Switched on. What it missed can be sent now.")


@blueprint.post("/off/")
@admin_only
def switch_off(subscription_id: UUID) -> ResponseReturnValue:
    """Switch it off."""
    return _do(hooks().switches.off, subscription_id, "Switched off. Nothing is sent to it.")


@blueprint.post("/recover/")
@admin_only
def recover(subscription_id: UUID) -> ResponseReturnValue:
    """Begin to send what it missed."""
    hours = request.form.get("hours", type=int)
    if hours not in STRETCHES:
        abort(HTTPStatus.BAD_REQUEST)
    since = services().clock.now() - timedelta(hours=hours)
    said = "On its way. This page shows how far it is."
    return _do(hooks().recoveries.start, subscription_id, said, since=since)


@blueprint.post("/recoveries/<uuid:recovery_id>/cancel/")
@admin_only
def cancel(subscription_id: UUID, recovery_id: UUID) -> ResponseReturnValue:
    """End a recovery early."""
    try:
        with services().db.session() as session:
            hooks().recoveries.cancel(
                session,
                subscription_id,
                recovery_id,
                organization_id=the_visitor().organization.id,
                actor=actor(),
            )
    except RecoveryNotFound:
        abort(HTTPStatus.NOT_FOUND)
    flash("Cancelled. What is on its way already is sent.")
    return _back(subscription_id)


def _do(
    act: Callable[..., object], subscription_id: UUID, said: str, **more: object
) -> ResponseReturnValue:
    try:
        with services().db.session() as session:
            act(
                session,
                subscription_id,
                organization_id=the_visitor().organization.id,
                actor=actor(),
                **more,
            )
    except SubscriptionNotFound:
        abort(HTTPStatus.NOT_FOUND)
    except WebhooksError as error:
        said = error.detail
    flash(said)
    return _back(subscription_id)


def _back(subscription_id: UUID) -> ResponseReturnValue:
    return redirect(url_for(".show", subscription_id=subscription_id), HTTPStatus.SEE_OTHER)
