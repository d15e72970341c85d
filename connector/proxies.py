"""Behind proxies: each request gets the address that the trusted ones among them vouch for."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from keystore import networks
from keystore.networks import Network

#: Where the environment keeps who has connected, when the request is said to come from elsewhere.
PEER = "keyhook.peer"

Application = Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]


class TrustedProxies:
    """Put before the app: whoever asks for the request's address afterwards gets the right one."""

    def __init__(self, app: Any, trusted: Sequence[Network]) -> None:
        self._app: Application = app
        self._trusted = trusted

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (PEP 3333), in which doubled headers are one, joined by commas."""
        forwarded = environ.get("HTTP_X_FORWARDED_FOR")
        if forwarded:
            peer = environ.get("REMOTE_ADDR")
            seen = networks.client_address(peer, [forwarded], self._trusted)
            environ[PEER] = peer
            environ["REMOTE_ADDR"] = seen or ""
        return self._app(environ, start_response)
