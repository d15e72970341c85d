"""Who is calling: the Authorization header, and what a view demands of its caller.

Two schemes carry the same pair: `Bearer KEY:SECRET` (the contract's own way) and
`Basic base64(KEY:SECRET)` (RFC 7617; what Power Automate and curl -u send). `Bearer TOKEN` carries
an access token that the pair has obtained (RFC 6750; see connector.oauth). Any other header, in any
bytes, and any pair or token that is not valid, for whatever reason, gets one and the same 401.
"""

import base64
import binascii
import re
from collections.abc import Callable
from functools import wraps
from typing import TypeVar, cast

from flask import Request, g, request

from connector import rate_limits
from connector.problems import Forbidden, Unauthorized
from keystore import access, audit, networks
from keystore.access import Access
from keystore.audit import Actor
from keystore.calls import Call
from keystore.services import Services
from keystore.verification import VerifiedKey

# Neither half holds a colon or a character beyond ASCII, so a pattern is the whole parser.
BEARER = re.compile(r"Bearer +([0-9a-z]+):([0-9a-z]+)\Z", re.IGNORECASE | re.ASCII)
TOKEN = re.compile(r"Bearer +(kht[0-9a-z]+)\Z", re.IGNORECASE | re.ASCII)
BASIC = re.compile(r"Basic +([0-9A-Za-z+/]+={0,2})\Z", re.IGNORECASE | re.ASCII)
PAIR = re.compile(rb"([0-9a-z]+):([0-9a-z]+)\Z")
MAX_LENGTH = 512  # a pair has some 90 characters

REALM = "keyhook"
CHALLENGE = f'Bearer realm="{REALM}", Basic realm="{REALM}", charset="UTF-8"'
DETAIL = (
    "Send a valid Client Key and Client Secret as `Authorization: Bearer CLIENT_KEY:CLIENT_SECRET`"
    " or as HTTP Basic. An admin finds them under Settings, Organization, Developer."
)

V = TypeVar("V", bound=Callable[..., object])


def parse(header: str | None) -> tuple[str, str] | None:
    """Return (Client Key, Client Secret) from an Authorization header, or None for anything else.

    Never raises, whatever the text holds.
    """
    if header is None or len(header) > MAX_LENGTH:
        return None
    if bearer := BEARER.match(header):
        # IGNORECASE is for the scheme's name (RFC 9110, 11.1); credentials are lower case.
        key, secret = bearer.groups()
        return (key, secret) if key.islower() and secret.islower() else None
    if (basic := BASIC.match(header)) is None:
        return None
    try:
        pair = PAIR.match(base64.b64decode(basic[1], validate=True))
    except binascii.Error:
        return None
    return None if pair is None else (pair[1].decode("ascii"), pair[2].decode("ascii"))


def parse_token(header: str | None) -> str | None:
    """Return the access token in an Authorization header, or None for anything else."""
    if header is None or len(header) > MAX_LENGTH:
        return None
    token = TOKEN.match(header)
    return token[1] if token and token[1].islower() else None


def any_key(view: V) -> V:
    """Let every valid key call this view."""
    return _guarded(view, Access("any-key"), None)


def scoped(scope: str) -> Callable[[V], V]:
    """Let keys with this scope call the view; the caller is then `principal()`."""
    return lambda view: _guarded(view, Access(f"scope:{scope}"), scope)


def signed_link(view: V) -> V:
    """Let whoever has a link that we signed call this view; the view itself checks the link."""
    view.access = Access("signed-link")  # type: ignore[attr-defined]
    return view


def signed_report(view: V) -> V:
    """Let a secret scanner call this view, which itself checks the signature over the body."""
    view.access = Access("signed-report")  # type: ignore[attr-defined]
    return view


def principal() -> VerifiedKey:
    """Return who is calling the current view."""
    return cast("VerifiedKey", g.principal)


def actor() -> Actor:
    """Return the calling key as the one who acts, for the audit."""
    key = principal()
    return Actor(
        "key",
        key.name,
        id=str(key.key_id),
        address=request.remote_addr,
        agent=request.headers.get("User-Agent"),
        call=call(),
    )


def call() -> Call:
    """Return what the calling key's credential allows, and which it was."""
    key, services = principal(), access.services()
    return Call(
        at=services.clock.now(),
        operations=key.scopes,
        rate_limit=key.rate_limit or services.settings.rate_limit,
        secret_id=key.secret_id,
        token_id=key.token_id,
    )


def _guarded(view: V, declared: Access, scope: str | None) -> V:
    @wraps(view)
    def guarded(*args: object, **kwargs: object) -> object:
        # The request itself: each look through the proxy takes its time, and there are several.
        asking = request._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001
        g.principal = caller = _authenticate(asking)
        if scope is not None and scope not in caller.scopes:
            _note_refusal(scope)
            raise insufficient(scope)
        return view(*args, **kwargs)

    guarded.access = declared  # type: ignore[attr-defined]
    return cast("V", guarded)


def _note_refusal(scope: str) -> None:
    """Put on record that a key wanted to change something without the scope for it."""
    if request.method in {"GET", "HEAD", "OPTIONS"}:
        return
    services, caller = access.services(), principal()
    with services.db.session() as session:
        audit.refuse(
            session,
            services.clock.now(),
            actor(),
            "api.called",
            organization_id=caller.organization_id,
            subject_type="key",
            subject_id=caller.key_id,
            method=request.method,
            path=request.path,
            scope=scope,
            reason="InsufficientScope",
        )


def _authenticate(asking: Request) -> VerifiedKey:
    services, header = access.services(), asking.environ.get("HTTP_AUTHORIZATION")
    caller = None
    if pair := parse(header):
        caller = services.verification.by_secret(*pair)
    elif token := parse_token(header):
        live = services.verification.by_token(token)
        caller = None if live is None else live.key
    if caller is None:
        raise refusal()
    _admit(caller, asking, services)
    return caller


def by_secret(client_key: str, client_secret: str) -> VerifiedKey | None:
    """Return whose pair this is, or None for whatever reason it is not valid."""
    services = access.services()
    verified = services.verification.by_secret(client_key, client_secret)
    if verified is not None:
        _admit(verified, request, services)
    return verified


def _admit(key: VerifiedKey, asking: Request, services: Services) -> None:
    """Let a key in from its networks and within its limit, and remember that it was used.

    Whoever is refused uses nothing up: a thief outside of the networks costs the owner nothing.
    Raises Forbidden, TooManyRequests.
    """
    address = asking.remote_addr
    if key.networks and not networks.allow(key.networks, address):
        # The secret was right, so the reason may be told to whoever sent it.
        raise Forbidden(f"This key may not be used from {address}; ask an admin to allow it.")
    rate_limits.count(key, services.limits, services.quotas)
    services.uses.note(key, address=address, agent=asking.environ.get("HTTP_USER_AGENT"))


def insufficient(scope: str, detail: str | None = None) -> Forbidden:
    """Return the 403 for a key without these scopes (blanks between; RFC 6750, section 3)."""
    return Forbidden(
        detail or f"This key lacks the scope {scope}; ask an admin for a key that has it.",
        headers={
            "WWW-Authenticate": f'Bearer realm="{REALM}", error="insufficient_scope", '
            f'scope="{scope}"'
        },
    )


def refusal() -> Unauthorized:
    """Return the one and the same 401."""
    return Unauthorized(DETAIL, headers={"WWW-Authenticate": CHALLENGE})
