"""The limit of the organization's keys that have none of their own, to read.

No key changes it, whatever its scopes: that would change other keys, and often the very one that
calls, beyond what they are. An admin does so on the page, or an operator at the shell.
"""

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from connector import auth
from connector.api import context
from connector.api.key_requests import answered
from connector.api.key_shapes import shown_standard
from keystore import access

bp = Blueprint("key_limit", __name__)


@bp.get("/keys/limit/", strict_slashes=False)
@auth.scoped("keys:manage")
@answered
def show() -> ResponseReturnValue:
    """Tell how many requests a minute a key makes whose `rate_limit` is null."""
    with context.session() as session:
        standard = access.services().rates.standard(session, auth.principal().organization_id)
    return jsonify(shown_standard(standard))
