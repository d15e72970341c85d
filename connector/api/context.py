"""What views on meetings work with: the store, the caller's data scope, a session."""

from typing import cast

from flask import current_app
from sqlalchemy.orm import Session

from connector import auth
from connector.meetings.scope import DataScope
from connector.meetings.store import Meetings
from keystore import access


def meetings() -> Meetings:
    """Return the meetings store that the composition root gave to this app."""
    return cast("Meetings", current_app.extensions["keyhook_meetings"])


def scope() -> DataScope:
    """Return what the calling key may see: all of its organization's meetings."""
    return DataScope(auth.principal().organization_id)


def whole_url(path: str) -> str:
    """Return an address of this installation under the name by which it is reached."""
    return access.services().settings.base_url.rstrip("/") + path


def session() -> Session:
    """Return a new session; use it as a context manager."""
    return access.services().db.session()
