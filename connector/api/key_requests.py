"""What requests on keys have in common: which key, by whom, seen when, sent twice, and errors.

`ETag` is the generation of a key's secret and changes with that alone, as that is what must not
change twice by mistake. `If-Match` with it makes a request fail that comes too late (RFC 9110, 13);
`Idempotency-Key` lets one be sent again (draft-ietf-httpapi-idempotency-key-header).
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from http import HTTPStatus
from typing import Any, TypeVar, cast
from uuid import UUID

from flask import jsonify, request
from flask.typing import ResponseReturnValue
from flask.wrappers import Response

from connector import auth
from connector.api import context
from connector.api.body import decoded
from connector.api.key_shapes import shown_key
from connector.meetings.fields import as_uuid
from connector.problems import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    PreconditionFailed,
    PreconditionRequired,
    Problem,
    Unprocessable,
)
from keystore import access, errors
from keystore.audit import Actor
from keystore.inventory import Item
from keystore.models import Key
from keystore.repeats import Repeated
from keystore.scopes import DataScope

V = TypeVar("V", bound=Callable[..., ResponseReturnValue])

SELF = "self"
#: A name in quotes (RFC 9651), or bare, as many clients send it.
NAME = re.compile(r'"([!#-\[\]-~ ]{1,255})"|([!#-+\--:<-~]{1,255})', re.ASCII)
GENERATION = re.compile(r'"([1-9]\d{0,8})"', re.ASCII)

#: Which field an error is about.
FIELDS: dict[type[errors.KeystoreError], str] = {
    errors.BadName: "name",
    errors.BadScopes: "scopes",
    errors.BadExpiry: "expires_at",
    errors.BadNetworks: "networks",
    errors.BadOverlap: "overlap_seconds",
    errors.BadLimit: "rate_limit",
}
PROBLEMS: dict[type[errors.KeystoreError], type[Problem]] = {
    errors.KeyNotFound: NotFound,
    errors.SpikeNotFound: NotFound,
    errors.BeyondItself: Forbidden,
    errors.BeyondMembers: Forbidden,
    errors.NameTaken: Conflict,
    errors.KeyExpired: Conflict,
    errors.KeyDisabled: Conflict,
    errors.GenerationConflict: PreconditionFailed,
    errors.NameReused: Unprocessable,
}


def answered(view: V) -> V:
    """Answer what the services refuse, and what was done when the same request came before."""

    @wraps(view)
    def answering(*args: object, **kwargs: object) -> ResponseReturnValue:
        try:
            return view(*args, **kwargs)
        except Repeated as done:
            return _again(done)
        except errors.KeystoreError as error:
            raise _problem(error) from error

    return cast("V", answering)


def actor() -> Actor:
    """Return the calling key with all that its request says of itself."""
    name = _name()
    call = replace(
        auth.call(),
        seen=_seen(),
        name=None if name is None else hashlib.sha256(name.encode()).hexdigest(),
        content="" if name is None else _content(),
    )
    return replace(auth.actor(), call=call)


def target(key_id: str) -> UUID:
    """Return which key an address means; `self` is the one that calls."""
    if key_id == SELF:
        return auth.principal().key_id
    uuid = as_uuid(key_id)
    if uuid is None:
        raise NotFound(errors.KeyNotFound.detail)
    return uuid


def item(key_id: UUID) -> Item:
    """Return a key that the caller may see. Raises KeyNotFound."""
    with context.session() as session:
        return access.services().inventory.get(
            session,
            key_id,
            organization_id=auth.principal().organization_id,
            actor=actor(),
        )


def seen() -> int:
    """Return the generation that the caller has seen; raises PreconditionRequired without one."""
    generation = _seen()
    if generation is None:
        raise PreconditionRequired(
            "Send the key's ETag as If-Match, so that it is not regenerated twice by mistake."
        )
    return generation


def body() -> dict[str, Any]:
    """Return the body's members; an absent body has none."""
    given = decoded() if request.get_data() else {}
    if not isinstance(given, dict):
        raise BadRequest("Send a JSON object.")
    return given


def shown(key: Key, **more: object) -> Response:
    """Return the answer that shows a key as a service has just left it."""
    with context.session() as session:
        return answer(access.services().inventory.item(session, key), **more)


def where() -> dict[str, Any]:
    """Return what every change needs to know: the organization, and who wants it."""
    return {"organization_id": auth.principal().organization_id, "actor": actor()}


def answer(found: Item, **more: object) -> Response:
    """Return the answer that shows a key."""
    response = jsonify(shown_key(found) | more)
    response.set_etag(str(found.key.generation))
    return response


def _again(done: Repeated) -> Response:
    """Tell what was done then; the secret was in that answer and is nowhere else."""
    response = jsonify(
        {
            "id": str(done.key_id),
            "generation": done.generation,
            "client_secret": None,
            "detail": f"This was done when it was first asked for (generation {done.generation}). "
            "A secret that was made then was shown then, and cannot be shown again; "
            "if it got lost, regenerate the key with an overlap.",
        }
    )
    response.status_code = HTTPStatus.OK
    response.headers["Idempotency-Replayed"] = "true"
    response.set_etag(str(done.generation))
    return response


def _problem(error: errors.KeystoreError) -> Problem:
    if isinstance(error, errors.CallerOver):
        return auth.refusal()  # as if it had come a moment later
    kind = next((to for of, to in PROBLEMS.items() if isinstance(error, of)), None)
    if kind is not None:
        return kind(error.detail)
    field = next((name for of, name in FIELDS.items() if isinstance(error, of)), None)
    if isinstance(error, errors.BadSpike):
        field = error.field
    return Unprocessable(error.detail, fields={} if field is None else {field: [error.detail]})


def _seen() -> int | None:
    """Read If-Match: one generation, or nothing. `*` is met by any key that there is."""
    header = request.headers.get("If-Match", "*").strip()
    if header == "*":
        return None
    if (one := GENERATION.fullmatch(header)) is None:
        raise PreconditionFailed(
            'This If-Match is no ETag of a key; they look like "3", with the quotes.'
        )
    return int(one[1])


def _name() -> str | None:
    header = request.headers.get("Idempotency-Key")
    if header is None or request.method != "POST":
        return None
    if (one := NAME.fullmatch(header.strip())) is None:
        raise BadRequest("An Idempotency-Key has 1 to 255 plain characters, such as a uuid.")
    return one[1] or one[2]


def _content() -> str:
    """Return a digest of what this request asks for, however it is spelled."""
    asked = [request.method, request.path.rstrip("/"), body()]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def person(email: str | None) -> UUID | None:
    """Return who has this address; raises Unprocessable for nobody of the organization."""
    if email is None:
        return None
    with context.session() as session:
        found = access.services().accounts.by_email(session, email)
    if found is None or found.organization_id != auth.principal().organization_id:
        raise Unprocessable(fields={"owner": ["There is no such person."]})
    return found.id


def like(present: DataScope) -> DataScope:
    """Return the data scope for a new key that is to be like one there is."""
    return DataScope.ORG_FULL if present is DataScope.LEGACY else present
