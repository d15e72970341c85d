"""The API's errors: problem+json (RFC 9457), one class for each kind of answer.

`detail` is always there and says what to do. Errors in fields come as further members, named as
the field is, each an array of sentences.
"""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from flask import Flask, jsonify
from flask.typing import ResponseReturnValue
from flask.wrappers import Response
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException

from keystore.pages.headers import is_api

log = logging.getLogger(__name__)

Fields = Mapping[str, Sequence[str]]


class Problem(Exception):
    """Something that is answered with a status of 400 or more; nothing was changed."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR

    def __init__(
        self,
        detail: str | None = None,
        *,
        fields: Fields | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.fields = dict(fields or {})
        self.headers = dict(headers or {})
        self.detail = detail or summary(self.fields)
        super().__init__(self.detail)


class BadRequest(Problem):
    """The request cannot be read, or a parameter is missing or wrong."""

    status = HTTPStatus.BAD_REQUEST


class Unauthorized(Problem):
    """No credential, or not a valid one; always the same answer (RFC 9110, 11.6.1 and 15.5.2)."""

    status = HTTPStatus.UNAUTHORIZED


class Forbidden(Problem):
    """The key is valid and may not do this (RFC 6750, 3.1: insufficient_scope)."""

    status = HTTPStatus.FORBIDDEN


class NotFound(Problem):
    """There is no such thing, or none that this key may see: the same answer for both."""

    status = HTTPStatus.NOT_FOUND


class Conflict(Problem):
    """It does not go together with how things are; another request may come first."""

    status = HTTPStatus.CONFLICT


class PreconditionFailed(Problem):
    """What the caller has seen is not what is there any more (RFC 9110, 15.5.13)."""

    status = HTTPStatus.PRECONDITION_FAILED


class PreconditionRequired(Problem):
    """The caller has to say what they have seen (RFC 6585, 3)."""

    status = HTTPStatus.PRECONDITION_REQUIRED


class Unprocessable(Problem):
    """The body can be read and breaks a rule."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class TooManyRequests(Problem):
    """The key has used up its limit; `Retry-After` says for how many seconds (RFC 6585, 4)."""

    status = HTTPStatus.TOO_MANY_REQUESTS


class TooLarge(Problem):
    """The body is longer than this address takes."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class Unavailable(Problem):
    """It cannot be done just now; another try may go through."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


def summary(fields: Fields) -> str:
    """Put the errors of all fields into one line, for clients that show only `detail`."""
    return " ".join(
        f"{name}: {message}" for name, messages in fields.items() for message in messages
    )


def problem(
    status: int,
    detail: str,
    *,
    fields: Fields | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Build one problem+json answer."""
    response = jsonify(
        dict(fields or {})
        | {
            "type": "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": int(status),
            "detail": detail,
        }
    )
    response.status_code = status
    response.content_type = "application/problem+json"
    response.headers.update(headers or {})
    return response


def answer(error: Problem) -> Response:
    """Answer one of our own errors."""
    return problem(error.status, error.detail, fields=error.fields, headers=error.headers)


WORDS = {
    HTTPStatus.NOT_FOUND: "There is no such address; see the documentation for those there are.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This address does not take this method; see the Allow header.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too large; the limit is 5 MB.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "Send the body as JSON, with Content-Type: "
    "application/json.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Something went wrong on our side; please try again.",
}


def answer_http(error: HTTPException) -> ResponseReturnValue:
    """Answer an error that Flask or Werkzeug raised: a wrong address, method, body."""
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    if status < HTTPStatus.BAD_REQUEST:
        return error.get_response()
    allow = {name: value for name, value in error.get_headers() if name == "Allow"}
    return problem(status, WORDS.get(status, status.description), headers=allow)


def busy(error: OperationalError) -> ResponseReturnValue:
    """Answer for a database that is away or has been locked for too long: try again soon."""
    log.warning("The database did not do it: %s", error.orig)
    detail = "The database is busy; nothing was changed. Please try again in a few seconds."
    headers = {"Retry-After": "5"}
    if is_api():
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers=headers)
    return detail, HTTPStatus.SERVICE_UNAVAILABLE, headers


def init_app(app: Flask) -> None:
    """Answer errors under `/v1/` with problems; leave the others to whoever answered before."""
    pages = app.error_handler_spec[None][None].get(HTTPException)

    def dispatch(error: HTTPException) -> ResponseReturnValue:
        if is_api():
            return answer_http(error)
        if pages is None:
            return error
        return app.ensure_sync(pages)(error)  # type: ignore[no-any-return]

    app.register_error_handler(Problem, answer)
    app.register_error_handler(OperationalError, busy)
    app.register_error_handler(HTTPException, dispatch)
