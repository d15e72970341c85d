"""A dry run: what a key would see if the caller made it. Nothing is made, nothing is on record.

It tells no more than such a key would, and the caller may try only what it may make: how many
meetings there are beyond its own sight stays untold.
"""

from typing import Any

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from connector import auth
from connector.api import context, key_requests
from connector.api.key_fields import GRANT, Fields
from connector.api.key_requests import answered
from connector.api.key_shapes import shown_reach
from keystore import access

bp = Blueprint("key_trial", __name__)


@bp.post("/keys/try/", strict_slashes=False)
@auth.scoped("keys:manage")
@answered
def dry_run() -> ResponseReturnValue:
    """Tell how many meetings a key with these scopes would see, if the caller made it; make none.

    What is left out, but scopes, is as with the caller.
    """
    where, own = key_requests.where(), key_requests.item(auth.principal().key_id)
    fields = Fields(key_requests.body(), GRANT)
    data = fields.data_scope("data_scope", key_requests.like(own.key.data_scope))
    owner = fields.email("owner", own.owner if data.is_personal else None)
    given: dict[str, Any] = {
        "granted": frozenset(fields.texts("scopes")),
        "data": data,
        "allowed": own.key.networks or (),
        "expires_at": own.key.expires_at,
    }
    fields.check()
    owner_id, services = key_requests.person(owner), access.services()
    with context.session() as session:
        rights = services.grants.trial(session, owner_id=owner_id, **given, **where)
        reach = services.reach(session, where["organization_id"], rights)
    return jsonify(shown_reach(reach))
