"""Teams of the organization: whose meetings a subscription can ask for."""

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from connector import auth
from connector.api import context
from keystore import access

bp = Blueprint("teams", __name__)


@bp.get("/teams/", strict_slashes=False)
@auth.scoped("webhooks:manage")
def index() -> ResponseReturnValue:
    """List uuid and name of each team by name, in a bare array as the contract's small lists."""
    with context.session() as session:
        found = access.services().teams.list(session, auth.principal().organization_id)
    return jsonify([{"uuid": str(one.team.id), "name": one.team.name} for one in found])
