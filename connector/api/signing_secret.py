"""What signs deliveries: the organization's secret, as in the contract, and each subscription's."""

from datetime import timedelta
from http import HTTPStatus

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from connector import auth
from connector.api import context, webhook_fields
from connector.api.body import decoded
from connector.api.key_fields import Fields
from connector.api.webhooks import only_of, refusing, shown, uuid
from connector.problems import BadRequest, Forbidden
from keystore.credentials import SecretValue
from webhooks import services, signing_secrets

bp = Blueprint("signing_secret", __name__)


@bp.get("/webhooks/signing-secret/", strict_slashes=False)
@auth.scoped("webhooks:manage")
def show() -> ResponseReturnValue:
    """Return the organization's signing secret, which keys `X-Avoma-Signature`; '' for none.

    It is for all subscriptions, so a personal key has no business with it.
    """
    _of_organization()
    with context.session() as session:
        found = services.hooks().signing_secrets.of_organization(
            session, auth.principal().organization_id
        )
    return _shape(found)


@bp.patch("/webhooks/signing-secret/", strict_slashes=False)
@auth.scoped("webhooks:manage")
def choose() -> ResponseReturnValue:
    """Store a chosen secret. The contract leaves open what '' does: it removes, as it reads."""
    _of_organization()
    body = decoded()
    if not isinstance(body, dict):
        raise BadRequest('Send a JSON object like {"signing_secret": "…"}.')
    fields = Fields(body, frozenset({"signing_secret"}))
    text = fields.text("signing_secret")
    fields.check()
    if not text:
        _remove()
        return _shape(None)
    with refusing(), context.session() as session:
        stored = services.hooks().signing_secrets.set_for_organization(
            session, text, organization_id=auth.principal().organization_id, actor=auth.actor()
        )
    return _shape(stored)


@bp.delete("/webhooks/signing-secret/", strict_slashes=False)
@auth.scoped("webhooks:manage")
def remove() -> ResponseReturnValue:
    """Remove the secret: deliveries have no `X-Avoma-Signature` from now on."""
    _of_organization()
    _remove()
    return "", HTTPStatus.NO_CONTENT


@bp.post("/webhooks/signing-secret/rotate/", strict_slashes=False)
@auth.scoped("webhooks:manage")
def renew() -> ResponseReturnValue:
    """Replace the secret by 64 random hexadecimal characters, at once."""
    _of_organization()
    with refusing(), context.session() as session:
        made = services.hooks().signing_secrets.renew_for_organization(
            session, organization_id=auth.principal().organization_id, actor=auth.actor()
        )
    return _shape(made)


@bp.post("/webhooks/<subscription_id>/rotate/", strict_slashes=False)
@auth.scoped("webhooks:manage")
def rotate(subscription_id: str) -> ResponseReturnValue:
    """Replace a subscription's own secret; the new one is in this answer and in no other.

    `{"overlap_seconds": 3600}`: for how long both sign, up to 7 days; a day, if nothing is said.
    """
    overlap = _overlap()
    with refusing(), context.session() as session:
        made = services.hooks().signing_secrets.rotate(
            session,
            uuid(subscription_id),
            organization_id=auth.principal().organization_id,
            caller=auth.principal().rights,
            actor=auth.actor(),
            only_of=only_of(),
            overlap=overlap,
        )
    return shown(made.subscription, made.signing_secret)


def _overlap() -> timedelta:
    body = webhook_fields.optional_body()
    fields = Fields(body, frozenset({"overlap_seconds"}))
    day = round(signing_secrets.OVERLAP.total_seconds())
    seconds = fields.number("overlap_seconds", day)
    fields.check()
    return timedelta(seconds=day if seconds is None else seconds)


def _remove() -> None:
    with refusing(), context.session() as session:
        services.hooks().signing_secrets.remove_from_organization(
            session, organization_id=auth.principal().organization_id, actor=auth.actor()
        )


def _of_organization() -> None:
    if auth.principal().rights.data.is_personal:
        raise Forbidden("Only a key of the organization has to do with its signing secret.")


def _shape(secret: SecretValue | None) -> ResponseReturnValue:
    return jsonify({"signing_secret": "" if secret is None else secret.reveal()})
