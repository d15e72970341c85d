"""What a load balancer asks."""

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue
from sqlalchemy import text

from keystore import access

bp = Blueprint("health", __name__)


@bp.get("/healthz")
@access.public
def health() -> ResponseReturnValue:
    """Answer 200 while this process serves and its database answers."""
    with access.services().db.reader.connect() as connection:
        connection.execute(text("SELECT 1"))
    return jsonify({"status": "ok"})
