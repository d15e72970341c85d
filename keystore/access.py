"""Who may call a page. Every view carries its `Access`, so that a test can walk the whole site.

A sign-in is a row of the database (`keystore.sessions`). The browser holds an opaque token for it
in Flask's signed cookie, beside what the forms need; whoever ends the row ends the sign-in.
"""

import secrets
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
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from keystore import audit
from keystore.audit import Actor
from keystore.credentials import SecretValue
from keystore.knocks import Kind
from keystore.models import Organization, Role, SignIn, User
from keystore.services import Services
from keystore.sessions import fingerprint

#: How long a browser keeps the cookie; the sign-in that it names ends earlier.
COOKIE_LIFETIME = timedelta(days=180)
HALF_LIFETIME = timedelta(minutes=5)  # from the password to the code
DEVICE_BYTES = 16
DEVICE_PEOPLE = 5  # who share one browser and are remembered in its cookie

V = TypeVar("V", bound=Callable[..., object])


@dataclass(frozen=True)
class Access:
    """Who may call a view: `public`, `signed-in`, `keyholder`, `admin`, or a scope named above."""

    who: str


@dataclass(frozen=True)
class Visitor:
    """The signed-in person and their organization."""

    user: User
    organization: Organization
    sign_in: SignIn

    @property
    def is_admin(self) -> bool:
        """Whether this person manages the organization's keys."""
        return self.user.role is Role.ADMIN

    @property
    def may_change_keys(self) -> bool:
        """Whether this person may do more with keys than look at their own and end them."""
        return self.is_admin or self.organization.members_make_keys


def services() -> Services:
    """Return the collaborators that the composition root gave to this app."""
    return cast("Services", current_app.extensions["keyhook"])


def public(view: V) -> V:
    """Let anyone call this view."""
    return _declared(view, Access("public"), lambda: None)


def signed_in(view: V) -> V:
    """Let anyone who has signed in call this view; others are sent to the sign-in page."""
    return _declared(view, Access("signed-in"), _unless_signed_in)


def keyholder(view: V) -> V:
    """Let admins call this view, and members who may have keys or have one.

    Which keys they find there is the services' to say.
    """
    return _declared(view, Access("keyholder"), _unless_keyholder)


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


def _unless_keyholder() -> ResponseReturnValue | None:
    person = visitor()
    if person is None:
        return to_sign_in()
    return None if holds_keys() else _refuse(person)


def _unless_admin() -> ResponseReturnValue | None:
    person = visitor()
    if person is None:
        return to_sign_in()
    return None if person.is_admin else _refuse(person)


def holds_keys() -> bool:
    """Tell whether the signed-in person has to do with keys; asked once per request."""
    if "holds_keys" not in g:
        with services().db.session() as db:
            g.holds_keys = services().members.hold_keys(db, the_visitor().user)
    return cast("bool", g.holds_keys)


def _refuse(person: Visitor) -> ResponseReturnValue:
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
    known = _known()
    session.clear()
    session.permanent = True
    _keep({**known, user.id.hex: known.get(user.id.hex) or secrets.token_hex(DEVICE_BYTES)})
    with services().db.session() as db:
        token = services().sessions.begin(
            db, user, address=request.remote_addr, agent=request.user_agent.string
        )
    session["token"] = token.reveal()
    g.pop("visitor", None)


def end() -> None:
    """End the sign-in, here and in every other process that would have known it."""
    person = visitor()
    if person is not None:
        with services().db.session() as db:
            services().sessions.end(db, person.user, person.sign_in.id, actor())
    known = _known()
    session.clear()
    _keep(known)
    g.pop("visitor", None)


def password_of(email: str, password: SecretValue, kind: Kind = Kind.SIGN_IN) -> User | None:
    """Return the person whose password this is; every page that asks for one comes here.

    Raises TooManyFailures when there were too many wrong ones; a browser in which this person has
    signed in before has a count of its own. The kind is what is refused to a wrong one.
    """
    email = email.strip().lower()
    with services().db.session() as db:
        attempt = services().throttle.begin(
            db, email, address=request.remote_addr, device=_device(db, email)
        )
        found = services().accounts.authenticate(db, email, password)
        if found is not None:
            services().throttle.succeed(db, attempt)
        else:
            _knock(db, kind, email)
    return found


def forget_password(email: str) -> None:
    """Have a link for a new password sent, if the address is somebody's; nobody sees whether.

    Raises TooManyFailures when it was asked for too often.
    """
    email = email.strip().lower()
    with services().db.session() as db:
        services().throttle.begin(
            db,
            f"forgotten {email}",
            address=request.remote_addr,
            device=_device(db, email),
        )
        _knock(db, Kind.FORGOTTEN, email)


def _device(db: Session, email: str) -> str | None:
    """Return the name that this browser has for a person who has signed in with it before."""
    user = services().accounts.by_email(db, email)
    return None if user is None else _known().get(user.id.hex)


def _knock(db: Session, kind: Kind, email: str) -> None:
    services().knocks.note(
        db, kind, email, address=request.remote_addr, agent=request.user_agent.string
    )


def needs_code(user: User) -> bool:
    """Tell whether this person's password alone does not sign them in."""
    with services().db.session() as db:
        return services().second_factor.is_on(db, user.id)


def begin_half(user: User) -> None:
    """Note in this browser that the password was right, for as long as it takes to type a code."""
    session["half"] = {
        "user": user.id.hex,
        "fingerprint": fingerprint(user),
        "at": int(services().clock.now().timestamp()),
    }


def half_signed_in() -> User | None:
    """Return whose password was right in this browser just now; the code is still to come."""
    try:
        half = session["half"]
        user_id, then, at = UUID(hex=half["user"]), half["fingerprint"], int(half["at"])
    except (KeyError, ValueError, TypeError, AttributeError):
        return None
    if services().clock.now().timestamp() - at >= HALF_LIFETIME.total_seconds():
        return None
    with services().db.session() as db:
        user = services().accounts.get(db, user_id)
    return user if user is not None and then == fingerprint(user) else None


def code_of(user: User, code: str) -> bool:
    """Tell whether a code is this person's. Raises TooManyFailures as `password_of` does."""
    who = Actor("user", user.email, id=str(user.id), address=request.remote_addr)
    with services().db.session() as db:
        attempt = services().throttle.begin(
            db,
            f"code {user.id}",
            address=request.remote_addr,
            device=_known().get(user.id.hex),
        )
        right = services().second_factor.check(db, user, code, who)
        if right:
            services().throttle.succeed(db, attempt)
        else:
            audit.refuse(
                db,
                services().clock.now(),
                who,
                "session.started",
                organization_id=user.organization_id,
                subject_type="user",
                subject_id=user.id,
                reason="WrongCode",
            )
    return right


def _known() -> dict[str, str]:
    """Return whose browser this is: by the ids of its people, the name that it has for each."""
    known = session.get("known")
    return known if isinstance(known, dict) else {}


def _keep(known: dict[str, str]) -> None:
    if known:
        session.permanent = True
        session["known"] = dict(list(known.items())[-DEVICE_PEOPLE:])


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
    token = session.get("token")
    if not isinstance(token, str):
        return None
    with services().db.session() as db:
        found = services().sessions.find(db, token)
        if found is None:
            return None
        sign_in, user = found
        return Visitor(user, services().accounts.organization(db, user.organization_id), sign_in)
