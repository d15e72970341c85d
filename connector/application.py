"""Our Flask: as the framework has it, less what costs every API call and serves none."""

from collections.abc import Callable
from typing import Any

from flask import Flask, Request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface

from keystore.pages.headers import is_api_path


class PageSessions(SecureCookieSessionInterface):
    """Sessions for the pages. No cookie opens anything under the API, so none is looked at."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Return a page's session; for the API none, and Flask puts an empty one in its place."""
        return None if is_api_path(request.path) else super().open_session(app, request)


class Application(Flask):
    """The app that `create_app` fills."""

    session_interface = PageSessions()

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return a view or a hook as it is: ours are all plain functions, which need no look."""
        return func
