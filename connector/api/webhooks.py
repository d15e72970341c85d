"""Subscriptions: who wants which event where. Platforms call this when a flow goes on or off."""

from http import HTTPStatus
from typing import Any
from uuid import UUID

from flask import Blueprint, jsonify, url_for
from flask.typing import ResponseReturnValue

from connector import auth
from connector.api.body import decoded
from connector.meetings.fields import as_uuid
from connector.problems import BadRequest, NotFound
from keystore import access
from keystore.credentials import SecretValue
from webhooks import services
from webhooks.errors import KeyEnded, ScopeLacking, SubscriptionNotFound, WebhooksError
from webhooks.models import Subscription

bp = Blueprint("webhooks", __name__)

TARGET_TYPES = {1: "Zapier", 2: "organization"}
FIELDS = ("event_type", "target_url", "target_type")


@bp.get("/webhooks/", strict_slashes=False)
@auth.scoped("webhooks:manage")
def index() -> ResponseReturnValue:
    """List active subscriptions, newest first: the organization's, or a personal key's own."""
    with access.services().db.session() as session:
        found = services.hooks().subscriptions.list(
            session, auth.principal().organization_id, only_of=_only_of()
        )
    return jsonify({"count": len(found), "results": [shape(one) for one in found]})


@bp.post("/webhooks/", strict_slashes=False)
@auth.scoped("webhooks:manage")
def subscribe() -> ResponseReturnValue:
    """Subscribe one URL to one event type.

    201 with `Location` (Power Automate unsubscribes there) and `id` (Zapier keeps it). The signing
    secret is in this answer and in no other.
    """
    body = _body()
    try:
        with access.services().db.session() as session:
            made = services.hooks().subscriptions.subscribe(
                session,
                organization_id=auth.principal().organization_id,
                key_id=auth.principal().key_id,
                event_type=body["event_type"],
                target_url=body["target_url"],
                target_type=body["target_type"],
                operations=auth.principal().scopes,
                actor=auth.actor(),
            )
    except KeyEnded as error:
        raise auth.refusal() from error
    except ScopeLacking as error:
        raise auth.insufficient(error.scope, error.detail) from error
    except WebhooksError as error:
        raise BadRequest(error.detail) from error
    answer = jsonify(shape(made.subscription, made.signing_secret))
    answer.status_code = HTTPStatus.CREATED
    address = url_for("api.webhooks.show", subscription_id=made.subscription.id)
    answer.headers["Location"] = access.services().settings.base_url + address
    answer.headers["Cache-Control"] = "no-store"
    return answer


@bp.get("/webhooks/<subscription_id>/", strict_slashes=False)
@auth.scoped("webhooks:manage")
def show(subscription_id: str) -> ResponseReturnValue:
    """Return one subscription, also when it has ended."""
    with access.services().db.session() as session:
        try:
            found = services.hooks().subscriptions.get(
                session,
                _uuid(subscription_id),
                organization_id=auth.principal().organization_id,
                only_of=_only_of(),
            )
        except SubscriptionNotFound as error:
            raise NotFound(error.detail) from error
    return jsonify(shape(found))


@bp.delete("/webhooks/<subscription_id>/", strict_slashes=False)
@auth.scoped("webhooks:manage")
def unsubscribe(subscription_id: str) -> ResponseReturnValue:
    """End a subscription; again and again the same answer.

    200 with the subscription, as Zapier's shorthand requests cannot read an empty 204.
    """
    with access.services().db.session() as session:
        try:
            ended = services.hooks().subscriptions.unsubscribe(
                session,
                _uuid(subscription_id),
                organization_id=auth.principal().organization_id,
                actor=auth.actor(),
                only_of=_only_of(),
            )
        except SubscriptionNotFound as error:
            raise NotFound(error.detail) from error
    return jsonify(shape(ended))


def _only_of() -> UUID | None:
    """Return the calling key when it is a personal one: it has no say in what others set up."""
    key = auth.principal()
    return key.key_id if key.rights.data.is_personal else None


def _uuid(text: str) -> UUID:
    uuid = as_uuid(text)
    if uuid is None:
        raise NotFound(SubscriptionNotFound.detail)
    return uuid


def shape(subscription: Subscription, signing_secret: SecretValue | None = None) -> dict[str, Any]:
    """Return the contract's Webhook object, with `id` as the platforms want it."""
    known = {
        "uuid": str(subscription.id),
        "id": str(subscription.id),
        "event_type": subscription.event_type,
        "target_type": subscription.target_type,
        "target_url": subscription.target_url,
        "is_active": subscription.is_active,
    }
    return known if signing_secret is None else known | {"signing_secret": signing_secret.reveal()}


def _body() -> dict[str, Any]:
    """Return the three fields of a subscription; raises BadRequest naming each wrong one."""
    body = decoded()
    if not isinstance(body, dict):
        raise BadRequest(
            'Send a JSON object like {"event_type": "new_conversation", "target_url": "https://…"}.'
        )
    wrong = {
        name: ["Give a text."]
        for name in ("event_type", "target_url")
        if not isinstance(body.get(name), str)
    }
    target_type = body.get("target_type")
    if target_type is None:
        # The contract's default is 2, and its one event for platforms is made for 1.
        target_type = 1 if body.get("event_type") == "new_conversation" else 2
    if type(target_type) is not int or target_type not in TARGET_TYPES:
        wrong["target_type"] = ["Choose 1 (Zapier) or 2 (organization)."]
    if unknown := [name for name in body if name not in FIELDS]:
        wrong |= {str(name): ["There is no such field."] for name in unknown}
    if wrong:
        raise BadRequest(fields=wrong)
    return {**body, "target_type": target_type}
