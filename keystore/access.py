"""Who may call a page. Every view carries its `Access`, so that a test can walk the whole site.

A sign-in lives in Flask's signed cookie: the person's id, a fingerprint of their password hash and
the moment of the sign-in. So it ends with a changed password, a closed account, or after 12 hours,
and there is nothing in the cookie that opens a door elsewhere.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from http import HTTPStatus
from typing import TypeVar, cast
from urllib.parse import urlsplit
from uuid import UUID

from flask import current_app, g, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from keystore import audit
from keystore.audit import Actor
from keystore.models import Organization, Role, User
from keystore.services import Services

SIGN_IN_LIFETIME = timedelta(hours=12)
FINGERPRINT_LENGTH = 16  # hex digits: enough to see a change, of no use for guessing

V = TypeVar("V", bound=Callable[..., object])


@dataclass(frozen=True)
class Access:
    """Who may call a view: `public`, `signed-in`, `admin`, or a scope named by a floor above."""

    who: str


@dataclass(frozen=True)
class Visitor:
    """The signed-in person and their organization."""

    user: User
    organization: Organization

    @property
    def is_admin(self) -> bool:
        """Whether this person manages the organization's keys."""
        return self.user.role is Role.ADMIN


def services() -> Services:
    """Return the collaborators that the composition root gave to this app."""
    return cast("Services", current_app.extensions["keyhook"])


def public(view: V) -> V:
    """Let anyone call this view."""
    return _declared(view, Access("public"), lambda: None)


def signed_in(view: V) -> V:
    """Let anyone who has signed in call this view; others are sent to the sign-in page."""
    return _declared(view, Access("signed-in"), _unless_signed_in)


def admin_only(view: V) -> V:
    """Let the organization's admins call this view; a member gets a page that says who can."""
    return _declared(view, Access("admin"), _unless_admin)


def _declared(view: V, access: Access, refusal: Callable[[], ResponseReturnValue | None]) -> V:
    @wraps(view)
    def guarded(*args: object, **kwargs: object) -> object:
        refused = refusal()
        return view(*args, **kwargs) if refused is None else refused

    guarded.access = access  # type: ignore[attr-defined]
    return cast("V", guarded)


def _unless_signed_in() -> ResponseReturnValue | None:
    return None if visitor() else to_sign_in()


def _unless_admin() -> ResponseReturnValue | None:
    person = visitor()
    if person is None:
        return to_sign_in()
    if person.is_admin:
        return None
    with services().db.session() as db:
        audit.refuse(
            db,
            services().clock.now(),
            actor(),
            "page.opened" if request.method in {"GET", "HEAD"} else "form.sent",
            organization_id=person.organization.id,
            subject_type="organization",
            subject_id=person.organization.id,
            path=request.path,
            reason="AdminsOnly",
        )
        admins = services().accounts.admins(db, person.organization.id)
    return render_template("refused.html", admins=admins), HTTPStatus.FORBIDDEN


def to_sign_in() -> Response:
    """Redirect to the sign-in page, which leads back here afterwards (pages only, not forms)."""
    came_for = request.full_path.rstrip("?") if request.method in {"GET", "HEAD"} else None
    address = url_for("front.sign_in", next=None if came_for == "/" else came_for)
    return redirect(address, HTTPStatus.SEE_OTHER)


def safe_next(target: str | None) -> str | None:
    """Return a path of this site to go to after signing in, or None for anything else.

    Browsers take a backslash for a slash and drop tabs and newlines, so any of these makes
    `//elsewhere.example` of a path that looks harmless.
    """
    if not target or not target.startswith("/") or target.startswith("//") or "\\" in target:
        return None
    if any(ord(character) <= ord(" ") for character in target):
        return None
    try:
        parts = urlsplit(target)
    except ValueError:
        return None
    return None if parts.scheme or parts.netloc else target


def begin(user: User) -> None:
    """Start a sign-in. Whatever the session held before (a CSRF token, say) is thrown away."""
    session.clear()
    session.permanent = True
    session["user"] = user.id.hex
    session["fingerprint"] = _fingerprint(user)
    session["since"] = int(services().clock.now().timestamp())
    g.pop("visitor", None)


def end() -> None:
    """End the sign-in."""
    session.clear()
    g.pop("visitor", None)


def visitor() -> Visitor | None:
    """Return who is signed in, or None; read from the database once per request."""
    if "visitor" not in g:
        g.visitor = _recognised()
    return cast("Visitor | None", g.visitor)


def the_visitor() -> Visitor:
    """Return the signed-in person of a view that demands one."""
    person = visitor()
    if person is None:
        raise RuntimeError("this view lacks its access decorator")
    return person


def actor() -> Actor:
    """Return the signed-in person as the one who acts, for the audit."""
    user = the_visitor().user
    return Actor(
        "user",
        user.email,
        id=str(user.id),
        address=request.remote_addr,
        agent=request.headers.get("User-Agent"),
    )


def _recognised() -> Visitor | None:
    try:
        user_id, since = UUID(hex=session["user"]), int(session["since"])
    except (KeyError, ValueError, TypeError, AttributeError):
        return None
    age = services().clock.now().timestamp() - since
    if age >= SIGN_IN_LIFETIME.total_seconds():
        return None
    with services().db.session() as db:
        user = services().accounts.get(db, user_id)
        if user is None or not user.is_active or session["fingerprint"] != _fingerprint(user):
            return None
        return Visitor(user, services().accounts.organization(db, user.organization_id))


def _fingerprint(user: User) -> str:
    """Return what changes when the password does; the salt inside keeps it from being guessed."""
    return hashlib.sha256(user.password_hash.encode()).hexdigest()[:FINGERPRINT_LENGTH]
