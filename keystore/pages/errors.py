"""What a person sees when something cannot be done: one page, one clear sentence."""

from collections.abc import Mapping
from http import HTTPStatus

from flask import Flask, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from keystore import access
from keystore.errors import BeyondMembers, KeyNotFound, NoSuchPerson
from keystore.pages.headers import CrossSite, is_api

WORDS: Mapping[int, tuple[str, str]] = {
    HTTPStatus.NOT_FOUND: (
        "There is nothing here",
        "The address may be mistyped, or what was here has been deleted.",
    ),
    HTTPStatus.METHOD_NOT_ALLOWED: (
        "This page can't be opened like that",
        "Go back to the page you came from and use its buttons.",
    ),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (
        "That was too much text",
        "The form you sent is larger than we take. Nothing was changed.",
    ),
}
OUR_FAULT = (
    "Something went wrong on our side",
    "It has been written to the server's log. Please try again in a moment.",
)
NOT_UNDERSTOOD = ("We couldn't use that request", "Nothing was changed. Please start again.")


def init_app(app: Flask) -> None:
    """Answer errors outside the API with pages."""
    app.register_error_handler(CSRFError, _stale_form)
    app.register_error_handler(CrossSite, _cross_site)
    app.register_error_handler(BeyondMembers, _beyond_members)
    app.register_error_handler(KeyNotFound, _no_such_key)
    app.register_error_handler(NoSuchPerson, _no_such_person)
    app.register_error_handler(HTTPException, _any)


def calm(
    title: str, text: str, status: int, *, link: tuple[str, str] | None = None
) -> ResponseReturnValue:
    """Render a page that says what happened and offers one way on (label, address)."""
    return render_template("message.html", heading=title, text=text, link=link), status


def _any(error: HTTPException) -> ResponseReturnValue:
    # Redirects are raised as exceptions, too; and the API answers in its own way.
    if error.code is None or error.code < HTTPStatus.BAD_REQUEST or is_api():
        return error
    fallback = OUR_FAULT if error.code >= HTTPStatus.INTERNAL_SERVER_ERROR else NOT_UNDERSTOOD
    title, text = WORDS.get(error.code, fallback)
    return calm(title, text, error.code, link=("Back to the start", "/"))


def _stale_form(_error: CSRFError) -> ResponseReturnValue:
    if access.visitor() is None and request.endpoint != "front.sign_in":
        return access.to_sign_in()
    return calm(
        "This form is out of date",
        "You signed in or out after it was opened, or your browser keeps no cookies for this "
        "front. Nothing was changed. Open the page again and repeat what you did.",
        HTTPStatus.BAD_REQUEST,
        link=("Open the page again", request.path if request.endpoint != "front.sign_out" else "/"),
    )


def _cross_site(_error: CrossSite) -> ResponseReturnValue:
    return calm(
        "This request came from another web site",
        "It was not carried out, and nothing was changed. If you meant it, do it from here.",
        HTTPStatus.FORBIDDEN,
        link=("Go to Keyhook", "/"),
    )


def _beyond_members(error: BeyondMembers) -> ResponseReturnValue:
    return calm(
        "This takes an admin",
        f"{error.detail} Nothing was changed.",
        HTTPStatus.FORBIDDEN,
        link=("Back to the keys", url_for("developer.index")),
    )


def _no_such_person(error: NoSuchPerson) -> ResponseReturnValue:
    return calm(
        "There is no such person",
        error.detail,
        HTTPStatus.NOT_FOUND,
        link=("Back to the people", url_for("people.index")),
    )


def _no_such_key(error: KeyNotFound) -> ResponseReturnValue:
    return calm(
        "This key doesn't exist any more",
        error.detail,
        HTTPStatus.NOT_FOUND,
        link=("Back to the keys", url_for("developer.index")),
    )
