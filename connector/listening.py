"""A receiver for a developer's own machine: it judges each webhook, shows it, and answers.

It speaks HTTP with the standard library's server, which hands over a request's bytes and headers as
they came: a verdict on anything else would be one on another request.
"""

import http.client
import json
import re
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, cast
from urllib.parse import urlsplit

from connector.verifier import InvalidSignature, Webhook
from webhooks.signing import ID_HEADER, TIMESTAMP_HEADER

MAX_BODY = 10_000_000  # bytes
MAX_ANSWER = 100_000  # bytes of a forwarded request's answer that are passed on
FORWARD_SECONDS = 30.0
IDLE_SECONDS = 60.0  # after which a connection on which nothing comes is hung up
REMEMBERED = 10_000  # ids of messages, to tell which came again
TAKEN_BACK = ("Content-Type", "Retry-After")  # of a forwarded request's answer
#: About one connection (RFC 9110, section 7.6.1), or set anew for the next one.
NOT_FORWARDED = {
    "connection",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}

#: CloudEvents HTTP web hook 1.0.2, section 4.
ORIGIN, ALLOWED = "WebHook-Request-Origin", "WebHook-Allowed-Origin"
AS_JSON = (("Content-Type", "application/json"),)
_HOST = re.compile(r"[0-9A-Za-z.:\[\]-]{1,255}")

Headers = list[tuple[str, str]]


@dataclass(frozen=True)
class Reply:
    """What the sender is answered."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Arrival:
    """One request, judged."""

    message_id: str | None
    time: int  # how often a genuine message with this id has come, this time included
    age: float | None  # seconds since it was signed, by its own word
    body: bytes
    event: Any  # the JSON in the body; None when it is not genuine
    objection: str | None  # why it is not genuine
    reply: Reply
    forwarded: bool = False
    is_question: bool = False  # whether events are wanted here, before there is a subscription


class Listener(ThreadingHTTPServer):
    """Receives, judges, answers or forwards; each arrival is shown once it is answered."""

    daemon_threads = True

    def __init__(
        self,
        address: tuple[str, int],
        webhook: Webhook | None,
        show: Callable[[Arrival], None],
        *,
        answer: int = HTTPStatus.OK,
        delay: float = 0.0,
        forward: str | None = None,
    ) -> None:
        """Listen from now on; `serve_forever` answers.

        webhook: None as long as there is no subscription. Who asks whether events are wanted here
        is told yes. answer: the status for what is genuine, after so many seconds of delay.
        forward: the URL that gets what is genuine instead, and whose answer counts. Raises OSError.
        """
        self._webhook = webhook
        self._show = show
        self._answer = answer
        self._delay = delay
        self._forward = forward
        self._lock = threading.Lock()  # around what follows, and around showing
        self._seen: dict[str, int] = {}
        self.genuine = 0
        self.refused = 0
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Take the address; the standard library's way asks a name server for our own name."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over whoever hung up or fell silent; anything else is ours, and is told."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def judge(self, headers: Headers, body: bytes) -> Reply:
        """Return the answer to a request, and show it."""
        named = {name.lower(): value for name, value in headers}
        message_id, event, objection = named.get(ID_HEADER), None, None
        try:
            event = self._verified(headers, body)
        except InvalidSignature as error:
            objection = str(error)
            if (question := challenge(body)) is not None:
                return self.agree(Reply(HTTPStatus.OK, question, AS_JSON), body)
        forwarded = objection is None and self._forward is not None
        reply = self._reply(objection, headers, body)
        with self._lock:
            arrival = Arrival(
                message_id=message_id,
                time=self._count(message_id, genuine=objection is None),
                age=_age(named.get(TIMESTAMP_HEADER)),
                body=body,
                event=event,
                objection=objection,
                reply=reply,
                forwarded=forwarded,
            )
            self._show(arrival)
        return reply

    def agree(self, reply: Reply, body: bytes = b"") -> Reply:
        """Return the answer to a question whether events are wanted here, and show it."""
        with self._lock:
            self._show(
                Arrival(
                    message_id=None,
                    time=0,
                    age=None,
                    body=body,
                    event=None,
                    objection=None,
                    reply=reply,
                    is_question=True,
                )
            )
        return reply

    def _verified(self, headers: Headers, body: bytes) -> Any:
        if self._webhook is None:
            raise InvalidSignature("There is no signing secret to verify it with.")
        return self._webhook.verify(body, _Pairs(headers))

    def _reply(self, objection: str | None, headers: Headers, body: bytes) -> Reply:
        if objection is not None:
            return Reply(HTTPStatus.UNAUTHORIZED, f"{objection}\n".encode())
        time.sleep(self._delay)
        if self._forward is None:
            return Reply(self._answer)
        return passed_on(self._forward, headers, body)

    def _count(self, message_id: str | None, *, genuine: bool) -> int:
        if not genuine:
            self.refused += 1
            return 0
        self.genuine += 1
        if message_id is None:  # the contract's signature alone does not ask for one
            return 1
        if len(self._seen) >= REMEMBERED:
            self._seen.clear()
        self._seen[message_id] = self._seen.get(message_id, 0) + 1
        return self._seen[message_id]


def challenge(body: bytes) -> bytes | None:
    """Return what a challenge is to be answered with; None for whatever is no challenge."""
    try:
        asked = json.loads(body.decode("utf-8"))
        given = asked["challenge"] if asked["type"] == "webhook.challenge" else None
    except (ValueError, RecursionError, TypeError, LookupError):
        return None
    return json.dumps({"challenge": given}).encode() if isinstance(given, str) else None


def passed_on(url: str, headers: Headers, body: bytes) -> Reply:
    """Send the same bytes under the same headers elsewhere, and return what is answered there."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=FORWARD_SECONDS)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.putrequest("POST", target, skip_accept_encoding=True)
        for name, value in headers:
            if name.lower() not in NOT_FORWARDED:
                connection.putheader(name, value.encode("latin-1"))
        connection.endheaders(body)
        answer = connection.getresponse()
        excerpt = answer.read(MAX_ANSWER)
    except (OSError, ValueError, http.client.HTTPException) as error:
        why = f"{parts.netloc} gave no answer ({type(error).__name__}).\n"
        return Reply(HTTPStatus.BAD_GATEWAY, why.encode())
    finally:
        connection.close()
    kept = tuple((name, answer.headers[name]) for name in TAKEN_BACK if name in answer.headers)
    return Reply(answer.status, excerpt, kept)


class _Pairs:
    """Headers as the verifier takes them, doubled ones included."""

    def __init__(self, pairs: Headers) -> None:
        self._pairs = pairs

    def items(self) -> Headers:
        return self._pairs


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "keyhook-listen"
    timeout = IDLE_SECONDS

    def do_POST(self) -> None:
        length = self._length()
        if length is None:
            self.close_connection = True
            self._send(Reply(HTTPStatus.LENGTH_REQUIRED, b"Say the body's length.\n"))
        elif length > MAX_BODY:
            self.close_connection = True
            self._send(Reply(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, b"That is too long.\n"))
        elif len(body := self.rfile.read(length)) == length:
            headers = list(self.headers.items())
            self._send(cast("Listener", self.server).judge(headers, body))

    def do_OPTIONS(self) -> None:
        """Agree to events from whoever asks as CloudEvents has it."""
        origin = self.headers.get(ORIGIN, "")
        allowed = ((ALLOWED, origin),) if _HOST.fullmatch(origin) else ()
        reply = Reply(HTTPStatus.OK, headers=(*allowed, ("Allow", "POST, OPTIONS")))
        self._send(cast("Listener", self.server).agree(reply) if allowed else reply)

    def _length(self) -> int | None:
        text = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not text.isascii() or not text.isdigit():
            return None
        return int(text.lstrip("0")[:12] or "0")

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers:
            self.send_header(name, value)
        bare = reply.status in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}
        if not bare:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if not bare:
            self.wfile.write(reply.body)

    def log_message(self, *_: Any) -> None:
        """Say nothing: what has come is shown another way."""


def _age(timestamp: str | None) -> float | None:
    text = timestamp or ""
    return time.time() - int(text[:12]) if text.isascii() and text.isdigit() else None
