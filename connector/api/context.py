"""What views on meetings work with: the stores, what the caller may see, a session."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from flask import current_app
from sqlalchemy.orm import Session

from connector import auth
from connector.bookings.store import Bookings
from connector.meetings.sight import Sight
from connector.meetings.store import Meetings
from keystore import access
from keystore.errors import CallerOver


def meetings() -> Meetings:
    """Return the meetings store that the composition root gave to this app."""
    return cast("Meetings", current_app.extensions["keyhook_meetings"])


def bookings() -> Bookings:
    """Return the bookings store likewise."""
    return cast("Bookings", current_app.extensions["keyhook_bookings"])


def sight() -> Sight:
    """Return what the calling key may see of its organization's meetings."""
    key = auth.principal()
    return Sight.of(key.organization_id, key.rights)


def whole_url(path: str) -> str:
    """Return an address of this installation under the name by which it is reached."""
    return access.services().settings.base_url.rstrip("/") + path


def session() -> Session:
    """Return a new session; use it as a context manager."""
    return access.services().db.session()


@contextmanager
def changing() -> Iterator[Session]:
    """Open a session for a change; the caller's credential may end at that very moment (401)."""
    try:
        with session() as opened:
            yield opened
    except CallerOver as error:
        raise auth.refusal() from error
