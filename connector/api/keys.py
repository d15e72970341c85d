"""Keys that manage keys: list, make, show, change, delete. See `keystore.callers` for the bounds.

What the caller may not see is not there: 404. Reading oneself (`self`) takes no scope, as a client
must be able to find out who it is and when its secret ends. Anything else takes `keys:manage`, also
regenerating oneself: a secret that leaks must not be enough to lock its owner out.
"""

from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any
from uuid import UUID

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from connector import auth
from connector.api import context, key_requests, paging
from connector.api.key_fields import GRANT, Fields
from connector.api.key_requests import answered
from connector.api.key_shapes import shown_key
from connector.api.parameters import Parameters
from connector.problems import BadRequest
from keystore import access
from keystore.errors import KeyNotFound
from keystore.models import Key
from keystore.rotation import KeyState
from keystore.scopes import DataScope

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 100
#: What one request changes: each is a change of its own, with its own entry in the audit log.
CHANGES = ({"name"}, {"expires_at"}, {"networks"}, {"rate_limit"}, GRANT)
MEMBERS = frozenset().union(*CHANGES)

bp = Blueprint("keys", __name__)


@bp.get("/keys/", strict_slashes=False)
@auth.scoped("keys:manage")
@answered
def index() -> ResponseReturnValue:
    """List the keys that the caller could have made, newest first, a page at a time."""
    parameters = Parameters(request.args)
    state = parameters.choice("state", ["", *map(str, KeyState)], "")
    page, size = parameters.page(), parameters.page_size(DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
    parameters.check()
    with context.session() as session:
        found = access.services().inventory.page(
            session,
            auth.principal().organization_id,
            actor=key_requests.actor(),
            state=KeyState(state) if state else None,
            page=page,
            page_size=size,
        )
    results = [shown_key(one) for one in found.items]
    return jsonify(paging.of_members(results, found.count, page, size))


@bp.post("/keys/", strict_slashes=False)
@auth.scoped("keys:manage")
@answered
def create() -> ResponseReturnValue:
    """Make a key that is no more than the caller; the secret is in this answer and in no other.

    What is left out, but name and scopes, is as with the caller.
    """
    where, own = key_requests.where(), key_requests.item(auth.principal().key_id)
    fields = Fields(key_requests.body(), MEMBERS)
    data = fields.data_scope("data_scope", key_requests.like(own.key.data_scope))
    owner = fields.email("owner", own.owner if data.is_personal else None)
    given: dict[str, Any] = {
        "name": fields.text("name"),
        "granted": frozenset(fields.texts("scopes")),
        "data": data,
        "expires_at": fields.moment("expires_at", own.key.expires_at),
        "allowed": fields.texts("networks", tuple(own.key.networks or ())),
        "rate_limit": _limit(fields, own.key.rate_limit),
    }
    fields.check()
    if "rate_limit" in fields:
        access.services().rates.check(given["rate_limit"])
    owner_id = key_requests.person(owner)
    with context.session() as session:
        issued = access.services().keys.create(session, owner_id=owner_id, **given, **where)
    answer = key_requests.shown(issued.key, client_secret=issued.client_secret.reveal())
    answer.status_code = HTTPStatus.CREATED
    answer.headers["Location"] = context.whole_url(f"/v1/keys/{issued.key.id}/")
    answer.headers["Cache-Control"] = "no-store"
    return answer


@bp.get("/keys/self/", strict_slashes=False)
@auth.any_key
@answered
def show_self() -> ResponseReturnValue:
    """Return the calling key."""
    return key_requests.answer(key_requests.item(auth.principal().key_id))


@bp.get("/keys/<key_id>/", strict_slashes=False)
@auth.scoped("keys:manage")
@answered
def show(key_id: str) -> ResponseReturnValue:
    """Return one key, also when it is deleted."""
    return key_requests.answer(key_requests.item(key_requests.target(key_id)))


@bp.patch("/keys/<key_id>/", strict_slashes=False)
@auth.scoped("keys:manage")
@answered
def patch(key_id: str) -> ResponseReturnValue:
    """Change one thing of a key: its name, expiry, networks, limit, or what it may do on what."""
    fields = Fields(key_requests.body(), MEMBERS)
    fields.check()
    if not fields.body or not any(fields.body.keys() <= change for change in CHANGES):
        raise BadRequest(
            "Change one thing at a time: name, expires_at, networks, rate_limit, "
            "or scopes with data_scope and owner."
        )
    return key_requests.shown(_change(key_requests.target(key_id), fields))


@bp.delete("/keys/<key_id>/", strict_slashes=False)
@auth.scoped("keys:manage")
@answered
def delete(key_id: str) -> ResponseReturnValue:
    """End a key for good; again and again the same answer. A key may end itself."""
    uuid = key_requests.target(key_id)
    with suppress(KeyNotFound):  # or else the service puts it on record
        found = key_requests.item(uuid)
        if found.state is KeyState.DELETED:
            return key_requests.answer(found)
    with context.session() as session:
        left = access.services().keys.delete(session, uuid, **key_requests.where())
    return key_requests.shown(left)


def _limit(fields: Fields, default: int | None) -> int | None:
    limit = fields.number("rate_limit", default)
    if limit == 0:
        fields.wrong["rate_limit"] = ["Give a number of at least 1, or null."]
    return limit


def _change(key_id: UUID, fields: Fields) -> Key:
    """Call the one service that a body is for."""
    services, where = access.services(), key_requests.where()
    change: Callable[..., Key]
    given: dict[str, Any]
    if "name" in fields:
        change, given = services.keys.rename, {"name": fields.text("name")}
    elif "expires_at" in fields:
        change, given = services.keys.set_expiry, {"expires_at": fields.moment("expires_at", None)}
    elif "networks" in fields:
        change, given = services.grants.set_networks, {"allowed": fields.texts("networks")}
    elif "rate_limit" in fields:
        change, given = services.rates.set_limit, {"limit": _limit(fields, None)}
    else:
        change, given = services.grants.rescope, _grant(fields)
    fields.check()
    with context.session() as session:
        return change(session, key_id, **given, **where)


def _grant(fields: Fields) -> dict[str, Any]:
    """Read what a key is to do and on whose meetings; None stands for what is left out."""
    granted = frozenset(fields.texts("scopes")) if "scopes" in fields else None
    data = fields.data_scope("data_scope", DataScope.ORG_FULL) if "data_scope" in fields else None
    owner = fields.email("owner", None)
    fields.check()
    return {"granted": granted, "data": data, "owner_id": key_requests.person(owner)}
