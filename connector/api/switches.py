"""Switching a subscription off and on again."""

from flask import Blueprint
from flask.typing import ResponseReturnValue

from connector import auth
from connector.api.webhooks import only_of, refusing, shown, uuid
from keystore import access
from webhooks import services

bp = Blueprint("switches", __name__)


@bp.post("/webhooks/<subscription_id>/disable/", strict_slashes=False)
@auth.scoped("webhooks:manage")
def disable(subscription_id: str) -> ResponseReturnValue:
    """Send a subscription nothing until it is switched on; again and again the same answer."""
    with refusing(), access.services().db.session() as session:
        found = services.hooks().switches.off(
            session,
            uuid(subscription_id),
            organization_id=auth.principal().organization_id,
            actor=auth.actor(),
            only_of=only_of(),
        )
    return shown(found)


@bp.post("/webhooks/<subscription_id>/enable/", strict_slashes=False)
@auth.scoped("webhooks:manage")
def enable(subscription_id: str) -> ResponseReturnValue:
    """Switch a subscription on again, whoever or whatever had switched it off."""
    with refusing(), access.services().db.session() as session:
        found = services.hooks().switches.on(
            session,
            uuid(subscription_id),
            organization_id=auth.principal().organization_id,
            actor=auth.actor(),
            only_of=only_of(),
        )
    return shown(found)
