"""Who am I: what platforms call to test a connection and to label it."""

import json
from functools import lru_cache

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue

from connector import auth
from keystore.verification import VerifiedKey

bp = Blueprint("me", __name__)


@bp.get("/me/", strict_slashes=False)
@auth.any_key
def me() -> ResponseReturnValue:
    """Return the calling key and its organization.

    `organization_name` and `key_name` double what stands deeper, as some platforms can only build
    a connection's label from the top level.
    """
    return Response(_told(auth.principal()), mimetype="application/json")


@lru_cache(maxsize=4096)  # the same key asks again and again; whatever changes makes another
def _told(key: VerifiedKey) -> str:
    told = {
        "organization": {"id": str(key.organization_id), "name": key.organization_name},
        "key": {
            "id": str(key.key_id),
            "name": key.name,
            "client_key": key.client_key,
            "scopes": sorted(key.scopes),
            "data_scope": key.rights.data,
        },
        "organization_name": key.organization_name,
        "key_name": key.name,
    }
    return json.dumps(told, separators=(",", ":")) + "\n"
