"""Samples: the newest real events of a type, exactly as they were pushed."""

import json

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from connector import auth
from connector.api import context
from connector.api.parameters import Parameters
from connector.problems import NotFound
from webhooks import outbox, services
from webhooks.errors import UnknownEventType

DEFAULT_LIMIT = 3
MAX_LIMIT = 100

bp = Blueprint("events", __name__)


@bp.get("/events/<event_type>/samples/", strict_slashes=False)
@auth.scoped("webhooks:manage")
def samples(event_type: str) -> ResponseReturnValue:
    """Return a bare array of bodies, newest first; a made-up one where nothing can be seen yet."""
    parameters = Parameters(request.args)
    limit = parameters.limit(DEFAULT_LIMIT, MAX_LIMIT)
    parameters.check()
    try:
        known = services.hooks().catalog.get(event_type)
    except UnknownEventType as error:
        raise NotFound(error.detail) from error
    caller = auth.principal()
    if lacking := known.needs - caller.scopes:
        raise auth.insufficient(" ".join(sorted(lacking)))
    with context.session() as session:
        recent = outbox.recent(session, caller.organization_id, known.name, limit, caller.rights)
    made_up = json.dumps(known.sample, ensure_ascii=False, separators=(",", ":")).encode()
    bodies = [event.body for event in recent] or [made_up]
    # Put together as bytes: reading and writing them again could change a number's spelling.
    return Response(b"[" + b",".join(bodies) + b"]", content_type="application/json")
