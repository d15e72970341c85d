"""Locks that a browser turns for us: what a page may load, who may frame it, who may post to it."""

from flask import Flask, Response, request
from flask_wtf import CSRFProtect
from werkzeug.exceptions import Forbidden

# No inline script or style, nothing from elsewhere, no framing, forms go home only.
# img-src takes data: addresses, as Bootstrap's own small pictures are such.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'"
)
MAX_FORM_BYTES = 100_000
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
# "none" is a person's own doing (a typed address); programs that are no browser send no header.
OWN_SITES = {"same-origin", "none", None}


class CrossSite(Forbidden):
    """Another web site made this browser post to us (W3C Fetch Metadata)."""


def init_app(app: Flask, csrf: CSRFProtect) -> None:
    """Refuse forms from other sites and put the security headers on every page.

    Each form needs its token, too. The API has neither cookies nor forms, and pays for none of it.
    """

    def guard() -> None:
        if request.method not in SAFE_METHODS and not is_api():
            _refuse_strangers()  # first, as it is the cheaper lock
            csrf.protect()

    app.config["WTF_CSRF_CHECK_DEFAULT"] = False  # it is done here
    app.before_request(guard)
    app.after_request(_add_headers)


def is_api_path(path: str) -> bool:
    """Tell whether a path is the API's, which has rules and errors of its own."""
    return path.startswith(("/v1/", "/oauth/", "/.well-known/"))


def is_api() -> bool:
    """Tell whether this request is for the API."""
    return is_api_path(request.path)


def _refuse_strangers() -> None:
    request.max_content_length = MAX_FORM_BYTES
    if request.headers.get("Sec-Fetch-Site") not in OWN_SITES:
        raise CrossSite


def _add_headers(response: Response) -> Response:
    if is_api():
        return response
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    # Not no-referrer: the CSRF check wants to see, over https, that a form came from this site.
    response.headers["Referrer-Policy"] = "same-origin"
    if (request.endpoint or "").rpartition(".")[2] != "static":
        response.headers["Cache-Control"] = "no-store"
    return response
