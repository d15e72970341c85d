"""The HTTP API under `/v1/`: one file per resource. Every address works with and without the slash.

Views here read the request, call a service, shape the answer; they neither query nor commit.
"""

from flask import Blueprint, Flask, Response

from connector import problems
from keystore.pages.headers import is_api

MAX_BODY_BYTES = 5_000_000


def init_app(app: Flask) -> None:
    """Put the API into an app whose `extensions["keyhook"]` holds the Services."""
    from connector.api import (  # noqa: PLC0415
        bookings,
        deliveries,
        events,
        key_life,
        key_limit,
        key_spikes,
        key_trial,
        keys,
        leaks,
        me,
        meetings,
        notes,
        recoveries,
        signing_secret,
        switches,
        teams,
        transcriptions,
        webhooks,
    )

    # Each file has a blueprint `bp` of its own with paths like "/meetings/", strict_slashes=False.
    bp = Blueprint("api", __name__, url_prefix="/v1")
    for resource in (
        me,
        keys,
        key_life,
        key_limit,
        key_spikes,
        key_trial,
        meetings,
        transcriptions,
        notes,
        bookings,
        webhooks,
        switches,
        deliveries,
        recoveries,
        signing_secret,
        teams,
        events,
        leaks,
    ):
        bp.register_blueprint(resource.bp)
    app.register_blueprint(bp)
    app.after_request(_private)
    problems.init_app(app)


def _private(response: Response) -> Response:
    """Keep answers out of caches, and JSON from being taken for anything else."""
    if is_api():
        headers = response.headers
        if "Cache-Control" not in headers:
            headers.add("Cache-Control", "no-store")
        if "X-Content-Type-Options" not in headers:
            headers.add("X-Content-Type-Options", "nosniff")
    return response
