"""An SMTP server on loopback that misbehaves on order and keeps every mail it takes.

with PostOffice() as office:
    office.at("RCPT", "450 Later, please")  # once; then it is itself again
    ...
    office.mails[0]["Subject"]
"""

import base64
import contextlib
import email.policy
import socket
import socketserver
import ssl
import threading
from collections import defaultdict, deque
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from types import TracebackType
from typing import Self, cast

#: What to do instead of answering.
HANG, DROP = "hang", "drop"


@dataclass(frozen=True)
class Taken:
    """A mail, as it was handed over."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes
    secured: bool  # whether the connection was encrypted
    user: str | None

    @property
    def message(self) -> EmailMessage:
        return BytesParser(policy=email.policy.default).parsebytes(self.raw)

    @property
    def text(self) -> str:
        return str(self.message.get_content()).replace("\r\n", "\n")


class PostOffice:
    """Listens from `with` to the end of its block."""

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        starttls: ssl.SSLContext | None = None,
        users: dict[str, str] | None = None,
    ) -> None:
        self.tls, self.starttls, self.users = tls, starttls, users or {}
        self.connections = 0
        self.taken: list[Taken] = []
        self.over = threading.Event()
        self._orders: dict[str, deque[str]] = defaultdict(deque)
        self._server = _Server(("127.0.0.1", 0), _Conversation)
        self._server.office = self
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def mails(self) -> list[EmailMessage]:
        return [one.message for one in self.taken]

    def at(self, step: str, *instead: str) -> None:
        """At the next such steps, say this instead, or HANG, or DROP the connection.

        Steps: CONNECT, EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA, and END when a mail is complete.
        """
        self._orders[step].extend(instead)

    def order(self, step: str) -> str | None:
        orders = self._orders[step]
        return orders.popleft() if orders else None


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    office: PostOffice

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: callers hang up on us, as they may."""


class _Dropped(Exception):
    pass


class _Conversation(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.office = cast("_Server", self.server).office
        self.office.connections += 1
        self.secured = False
        self.user: str | None = None
        self.sender, self.recipients = "", list[str]()
        self.socket: socket.socket = self.request
        self.buffer = b""
        if self.office.tls is not None:
            self._secure(self.office.tls)
        with contextlib.suppress(_Dropped, OSError):
            self._answer("CONNECT", "220 office ready")
            while (line := self._line()) is not None:
                self._obey(line.decode().rstrip("\r\n"))
        with contextlib.suppress(OSError):
            self.socket.close()

    def _secure(self, context: ssl.SSLContext) -> None:
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.secured = True

    def _obey(self, line: str) -> None:
        verb = line.split(" ", 1)[0].upper()
        argument = line.partition(":")[2].strip().partition(">")[0].lstrip("<")
        match verb:
            case "EHLO":
                self._answer("EHLO", self._abilities())
            case "STARTTLS":
                self._answer("STARTTLS", "220 Go ahead")
                assert self.office.starttls is not None
                self._secure(self.office.starttls)
            case "AUTH":
                self._authenticate(line)
            case "MAIL":
                self.sender, self.recipients = argument, []
                free = not self.office.users or self.user
                self._answer("MAIL", "250 OK" if free else "530 Who are you?")
            case "RCPT":
                if self._answer("RCPT", "250 OK").startswith("250"):
                    self.recipients.append(argument)
            case "DATA":
                if self._answer("DATA", "354 Go on").startswith("354"):
                    self._take()
            case "QUIT":
                self._say("221 Bye")
                raise _Dropped
            case _:
                self._say("250 OK")

    def _abilities(self) -> str:
        able = ["office"]
        if self.office.starttls is not None and not self.secured:
            able.append("STARTTLS")
        if self.office.users:
            able.append("AUTH PLAIN")
        return "\r\n".join([f"250-{one}" for one in able[:-1]] + [f"250 {able[-1]}"])

    def _authenticate(self, line: str) -> None:
        _, user, password = base64.b64decode(line.split(" ")[2]).decode().split("\0")
        right = self.office.users.get(user) == password
        self.user = user if right else None
        self._answer("AUTH", "235 Welcome" if right else "535 Wrong password")

    def _take(self) -> None:
        lines = []
        while (line := self._line()) not in {None, b".\r\n"}:
            assert line is not None
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        if line is None:
            raise _Dropped
        instead = self.office.order("END")
        # Dropping the connection here is the nasty case: the mail was taken and nobody told.
        if instead in {None, DROP}:
            self.office.taken.append(
                Taken(self.sender, tuple(self.recipients), b"".join(lines), self.secured, self.user)
            )
        self._do(instead or "250 Taken")

    def _answer(self, step: str, normally: str) -> str:
        return self._do(self.office.order(step) or normally)

    def _do(self, what: str) -> str:
        if what == DROP:
            raise _Dropped
        if what == HANG:
            self.office.over.wait(30)
            raise _Dropped
        self._say(what)
        return what

    def _say(self, reply: str) -> None:
        self.socket.sendall(reply.encode() + b"\r\n")

    def _line(self) -> bytes | None:
        while b"\n" not in self.buffer:
            more = self.socket.recv(65_536)
            if not more:
                return None
            self.buffer += more
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line + b"\n"
