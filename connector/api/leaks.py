"""Where a secret scanner reports what it found: GitHub's partner protocol.

The caller has no key. What opens this door is the scanner's signature over the body; what changes
anything behind it is the right secret in the body, and nothing else.
"""

import hashlib
import logging
from http import HTTPStatus

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import RequestEntityTooLarge

from connector import auth
from connector.api import context
from connector.problems import BadRequest, Forbidden, NotFound, TooLarge, Unavailable
from keystore import access
from keystore.audit import Actor
from keystore.errors import BadReport, ReportRefused, ScannerSilent
from keystore.leak_records import Record

MAX_BODY_BYTES = 1_000_000
RETRY_SECONDS = 60

bp = Blueprint("leaks", __name__)
log = logging.getLogger(__name__)


@bp.post("/leaks/github/", strict_slashes=False)
@auth.signed_report
def github() -> ResponseReturnValue:
    """Take a report; say of each text in it whether it was ever a secret of ours."""
    records = _records()
    leaks = access.services().leaks
    with context.session() as session:
        ours = [leaks.report(session, record, reporter=_reporter()) for record in records]
    log.info("Leaks were reported: %d of ours, %d unknown", sum(ours), len(ours) - sum(ours))
    return jsonify([_label(*one) for one in zip(records, ours, strict=True)]), HTTPStatus.OK


def _records() -> list[Record]:
    feed = access.services().leak_feed
    if not feed.is_on:
        raise NotFound("This installation takes no reports of leaked secrets.")
    request.max_content_length = MAX_BODY_BYTES
    try:
        return feed.records(
            request.get_data(cache=False),
            request.headers.get("Github-Public-Key-Identifier"),
            request.headers.get("Github-Public-Key-Signature"),
        )
    except RequestEntityTooLarge:
        raise TooLarge("The body is too large; the limit is 1 MB.") from None
    except ReportRefused as error:
        raise Forbidden(error.detail) from error
    except BadReport as error:
        raise BadRequest(error.detail) from error
    except ScannerSilent as error:
        raise Unavailable(error.detail, headers={"Retry-After": str(RETRY_SECONDS)}) from error


def _reporter() -> Actor:
    return Actor(
        "system",
        "GitHub secret scanning",
        address=request.remote_addr,
        agent=request.headers.get("User-Agent"),
    )


def _label(record: Record, is_ours: bool) -> dict[str, str]:
    hashed = record.token.map(lambda text: hashlib.sha256(text.encode("utf-8", "surrogatepass")))
    return {
        "token_hash": hashed.hexdigest(),
        "token_type": record.type,
        "label": "true_positive" if is_ours else "false_positive",
    }
