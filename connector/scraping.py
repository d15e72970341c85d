"""`/metrics`: in the app beside everything else, or on a port of a worker's own.

Figures tell about business, so networks of the operator's choice may read them and nobody else: for
all others there is nothing at this address. A request that came through a proxy is judged by where
it came from at first, as far as trusted proxies vouch for that. One that came through a proxy that
we do not know has no such place: the proxy's own address says nothing about who is asking.
"""

import socket
import threading
from collections.abc import Callable, Iterable
from functools import wraps
from http import HTTPStatus
from socketserver import ThreadingMixIn
from typing import Any, TypeVar, cast
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIEnvironment

from flask import Blueprint, Response, abort, current_app, request

from connector.metrics import CONTENT_TYPE, Metrics
from connector.proxies import PEER
from keystore import access, networks
from keystore.access import Access
from keystore.networks import Network
from keystore.services import Services

PATH = "/metrics"
#: What proxies add; of these we read the first.
VOUCHED = "HTTP_X_FORWARDED_FOR"
FORWARDED = (VOUCHED, "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA")

V = TypeVar("V", bound=Callable[..., object])

blueprint = Blueprint("metrics", __name__)


def may_read(environ: WSGIEnvironment, allowed: Iterable[Network]) -> bool:
    """Tell whether a request comes from one of these networks, without doubt."""
    address = environ.get("REMOTE_ADDR")
    if any(name in environ for name in FORWARDED) and address == environ.get(PEER, address):
        return False  # nobody whom we trust said where it came from
    return networks.allow(tuple(map(str, allowed)), address)


def own_network(view: V) -> V:
    """Let whoever asks from `KEYHOOK_METRICS_NETWORKS` call this view."""

    @wraps(view)
    def guarded(*args: object, **kwargs: object) -> object:
        if not may_read(request.environ, access.services().settings.metrics_networks):
            abort(HTTPStatus.NOT_FOUND)
        return view(*args, **kwargs)

    guarded.access = Access("own-network")  # type: ignore[attr-defined]
    return cast("V", guarded)


@blueprint.get(PATH)
@own_network
def metrics() -> Response:
    """Tell Prometheus how this installation fares."""
    counted = cast("Metrics", current_app.extensions["keyhook_metrics"])
    services = access.services()
    return Response(counted.text(services.db, services.clock), content_type=CONTENT_TYPE)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[WSGIRequestHandler]) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, handler)


class _Quiet(WSGIRequestHandler):
    timeout = 30.0

    def log_message(self, *_: Any) -> None:
        """Say nothing: a scrape every few seconds is no news."""


def serve(counted: Metrics, services: Services, host: str, port: int) -> _Server:
    """Answer scrapes from a thread of its own; `shutdown()` ends it. Raises OSError."""
    allowed = services.settings.metrics_networks

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] != PATH or not may_read(environ, allowed):
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"Not found\n"]
        start_response("200 OK", [("Content-Type", CONTENT_TYPE)])
        return [counted.text(services.db, services.clock)]

    server = make_server(host, port, answer, server_class=_Server, handler_class=_Quiet)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server
