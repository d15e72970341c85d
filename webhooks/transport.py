"""Many POSTs at once, over libcurl, each ending in an Outcome and never in an exception.

What keeps requests out of private networks is in `_Slot._open_socket`: libcurl has resolved the
name by then and asks for a socket to one numeric address, the one that it is about to dial. Beside
it: no redirects, no proxy, no protocol but HTTP, one deadline over the look-up, the connection,
the answer's headers and its body, and an answer read only as far as it may interest somebody.
"""

import re
import select
import socket
import ssl
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import certifi
import pycurl

from webhooks.addresses import Network, judge
from webhooks.names import Destination, Names, destination
from webhooks.outcome import SUCCESS, Ending, Outcome

KEPT_BYTES = 2048  # of an answer, for the log
#: Connections that are kept beyond one for each slot; together fewer than the 1,024 files that a
#: process may have open as a rule, and that select(2) can watch.
SPARE = 128
READ_BYTES = 65_536  # then we hang up; the status has told us what we wanted to know
#: Descriptors from here on, which a process with many connections has, select(2) does not know, and
#: libcurl leaves them out of what there is to wait for.
SELECTABLE = 1024
BLIND_PAUSE = 0.005  # seconds between two looks at what cannot be waited for
NAMES_PAUSE = 0.005  # seconds between two looks at what was looked up

T = TypeVar("T")

_SENTENCES = {
    pycurl.E_OPERATION_TIMEDOUT: (Ending.TIMED_OUT, "No whole answer came in time."),
    pycurl.E_COULDNT_RESOLVE_HOST: (Ending.UNREACHABLE, "The host name was not found."),
    pycurl.E_COULDNT_CONNECT: (Ending.UNREACHABLE, "The host took no connection."),
    pycurl.E_SSL_CONNECT_ERROR: (Ending.UNREACHABLE, "No TLS connection came about."),
    pycurl.E_PEER_FAILED_VERIFICATION: (
        Ending.UNREACHABLE,
        "The host's TLS certificate is not valid for its name.",
    ),
    pycurl.E_GOT_NOTHING: (Ending.BROKEN, "The connection was closed without an answer."),
    pycurl.E_PARTIAL_FILE: (Ending.BROKEN, "The answer was cut short."),
    pycurl.E_URL_MALFORMAT: (Ending.UNSENT, "The target URL cannot be read."),
}
_RETRY_AFTER = re.compile(rb"^retry-after:([^\r\n]{0,100})", re.IGNORECASE | re.MULTILINE)
_BROKEN = (Ending.BROKEN, "The connection broke, or the answer was not HTTP.")
_REFUSED = "The address of this host is one that webhooks may not reach."
_UNSENT = "The request could not be made from the target URL."


class Transport(Generic[T]):
    """A fixed number of slots, each good for one request at a time; belongs to one thread.

    Connections are kept and used again, whichever slot opened them.
    """

    def __init__(
        self,
        *,
        slots: int,
        timeout: float,
        allow_networks: Sequence[Network] = (),
        authorities: str | None = None,
        method: str | None = None,
    ) -> None:
        """Make ready to send.

        timeout: seconds for a whole attempt. authorities: a PEM file of certificate authorities to
        trust instead of the machine's. method: how each request is made; outcomes then have the
        answer's header lines, too.
        """
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, slots + SPARE)
        authorities = authorities or _authorities()
        self._idle: list[_Slot[T]] = [
            _Slot(timeout, tuple(allow_networks), authorities) for _ in range(slots)
        ]
        if method is not None:
            for slot in self._idle:
                slot.speak(method)
        self._timeout = timeout
        self._names = Names(limit=2 * slots)
        self._busy: set[_Slot[T]] = set()
        self._waiting: list[_Slot[T]] = []  # of these, those whose host is being looked up
        self._finished: list[tuple[T, Outcome]] = []

    @property
    def free(self) -> int:
        """How many requests can be started now."""
        return len(self._idle)

    @property
    def busy(self) -> int:
        """How many requests have not come back from `poll`."""
        return len(self._busy) + len(self._finished)

    @property
    def under_way(self) -> list[T]:
        """The tickets of all requests that have begun and not ended."""
        return [slot.ticket for slot in self._busy]

    def start(self, ticket: T, url: str, headers: Sequence[str], body: bytes) -> None:
        """Begin one POST with these header lines; its ticket comes back from `poll`."""
        slot = self._idle.pop()
        try:
            slot.load(ticket, url, headers, body)
            self._dial(slot)
        except Exception:  # noqa: BLE001 - whatever it is, it costs neither a slot nor a ticket
            self._put_back(slot)
            self._finished.append((ticket, Outcome(Ending.UNSENT, 0, error=_UNSENT)))

    def poll(self, wait: float, bell: int | None = None) -> list[tuple[T, Outcome]]:
        """Move everything on, for up to `wait` seconds, and return what is finished.

        bell: a file descriptor; as soon as it can be read, nothing is waited for any more.
        """
        self._drive()
        if self._busy and not self._finished and wait > 0:
            hint = self._multi.timeout()
            if self._waiting:
                wait = min(wait, NAMES_PAUSE)
            if hint >= 0:
                wait = min(wait, hint / 1000)
            self._wait(wait, bell)
            self._drive()
        finished, self._finished = self._finished, []
        return finished

    def abandon(self) -> list[T]:
        """Break off every request that is under way and return their tickets."""
        self._waiting.clear()
        tickets = []
        for slot in list(self._busy):
            tickets.append(slot.ticket)
            self._put_back(slot)
        return tickets

    def close(self) -> None:
        """Hang up everywhere."""
        self.abandon()
        for slot in self._idle:
            slot.curl.close()
        self._idle.clear()
        self._multi.close()

    def _dial(self, slot: "_Slot[T]") -> None:
        """Hand a request to libcurl, or let it wait for its host's addresses."""
        if slot.destination is not None:
            addresses = self._names.ask(slot.destination.name)
            if not addresses:
                self._busy.add(slot)
                if addresses is None:
                    self._waiting.append(slot)
                else:
                    self._finish(slot, pycurl.E_COULDNT_RESOLVE_HOST)
                return
            slot.direct(slot.destination, addresses)
        self._multi.add_handle(slot.curl)
        slot.is_dialled = True
        self._busy.add(slot)

    def _look_again(self) -> None:
        """See which look-ups have ended, and which requests have waited for too long."""
        waiting, self._waiting = self._waiting, []
        for slot in waiting:
            if slot.waited >= self._timeout:
                self._finish(slot, pycurl.E_OPERATION_TIMEDOUT)
            else:
                self._dial(slot)

    def _drive(self) -> None:
        if self._waiting:
            self._look_again()
        self._multi.perform()
        waiting = 1
        while waiting:
            waiting, done, failed = self._multi.info_read()
            for curl in done:
                self._finish(curl.slot, pycurl.E_OK)
            for curl, code, _ in failed:
                self._finish(curl.slot, code)

    def _wait(self, seconds: float, bell: int | None) -> None:
        readable, writable, failed = self._multi.fdset()
        if not (readable or writable) or (bell is not None and bell >= SELECTABLE):
            seconds = min(seconds, BLIND_PAUSE)
        if bell is not None and bell < SELECTABLE:
            readable = [*readable, bell]
        select.select(readable, writable, failed, seconds)

    def _finish(self, slot: "_Slot[T]", code: int) -> None:
        self._finished.append((slot.ticket, slot.outcome(code)))
        self._put_back(slot)

    def _put_back(self, slot: "_Slot[T]") -> None:
        if slot.is_dialled:
            self._multi.remove_handle(slot.curl)
            slot.is_dialled = False
        self._busy.discard(slot)
        self._idle.append(slot)


class _Slot(Generic[T]):
    """One libcurl handle, used again and again, and what it has heard so far."""

    ticket: T

    def __init__(self, timeout: float, allowed: tuple[Network, ...], authorities: str) -> None:
        self.destination: Destination | None = None  # if it is a name
        self.is_dialled = False
        self._allowed = allowed
        self._timeout = timeout
        self._begun = 0.0  # by the monotonic clock
        self._looked_up = 0.0  # seconds that the look-up took
        self._is_directed = False
        self._head: list[bytes] = []  # lines; libcurl ends a transfer that has too many
        self._kept = b""
        self._read = 0
        self._refused = False
        self._keeps_head = False
        self.curl: Any = pycurl.Curl()
        self.curl.slot = self
        for option, value in (
            (pycurl.POST, 1),
            (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
            (pycurl.FOLLOWLOCATION, 0),
            (pycurl.PROXY, ""),
            (pycurl.NOPROXY, "*"),
            (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
            (pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2),
            (pycurl.CAINFO, authorities),
            (pycurl.NOSIGNAL, 1),
            (pycurl.OPENSOCKETFUNCTION, self._open_socket),
            (pycurl.HEADERFUNCTION, self._head.append),
            (pycurl.WRITEFUNCTION, self._hear_body),
        ):
            self.curl.setopt(option, value)

        self._limit(timeout)

    def _limit(self, seconds: float) -> None:
        """Set the deadline."""
        milliseconds = max(1, round(seconds * 1000))
        self.curl.setopt(pycurl.TIMEOUT_MS, milliseconds)
        self.curl.setopt(pycurl.CONNECTTIMEOUT_MS, milliseconds)

    def speak(self, method: str) -> None:
        """Make requests of this method, and keep the header lines of answers."""
        self._keeps_head = True
        self.curl.setopt(pycurl.CUSTOMREQUEST, method)

    def load(self, ticket: T, url: str, headers: Sequence[str], body: bytes) -> None:
        """Set up one request."""
        self.ticket = ticket
        self._head.clear()
        self._kept = b""
        self._read = 0
        self._refused = False
        if not url[:8].lower().startswith(("https://", "http://")):
            raise ValueError("libcurl would guess at the protocol")
        self.curl.setopt(pycurl.URL, url)
        self.destination = destination(url)
        self._begun = time.monotonic()
        self._looked_up = 0.0
        if self._is_directed:
            self.curl.setopt(pycurl.RESOLVE, [])
            self._limit(self._timeout)
            self._is_directed = False
        # "Expect:" without a value: a long body is not announced first, as few receivers answer.
        self.curl.setopt(pycurl.HTTPHEADER, ["Expect:", *headers])
        self.curl.setopt(pycurl.POSTFIELDS, body)

    @property
    def waited(self) -> float:
        """Seconds since it was loaded."""
        return time.monotonic() - self._begun

    def direct(self, to: Destination, addresses: Sequence[str]) -> None:
        """Tell libcurl where its host is, in what is left of the time."""
        name, port = to
        self._looked_up = self.waited
        # "+": by itself it forgets them in a minute.
        self.curl.setopt(pycurl.RESOLVE, [f"+{name}:{port}:{','.join(addresses)}"])
        self._limit(self._timeout - self._looked_up)
        self._is_directed = True

    def outcome(self, code: int) -> Outcome:
        """Say what came of it, given libcurl's result code."""
        status: int | None = None
        seconds = self.waited
        if self.is_dialled:
            seconds = self._looked_up + self.curl.getinfo(pycurl.TOTAL_TIME)
            status = self.curl.getinfo(pycurl.RESPONSE_CODE) or None
        if code == pycurl.E_OK or (code == pycurl.E_WRITE_ERROR and self._read > READ_BYTES):
            ending, error = Ending.ANSWERED, None
        elif self._refused:
            ending, error = Ending.REFUSED, _REFUSED
        else:
            ending, error = _SENTENCES.get(code, _BROKEN)
        return Outcome(
            ending,
            round(seconds * 1000),
            status=status,
            error=error,
            retry_after=None if status in SUCCESS else self._retry_after(),
            excerpt=self._kept.decode("utf-8", "replace"),
            head=b"".join(self._head) if self._keeps_head else b"",
        )

    def _open_socket(self, purpose: int, address: Any) -> Any:
        """Give libcurl a socket to the address that it is about to dial, or refuse."""
        family, kind, protocol, number = address
        known = purpose == pycurl.SOCKTYPE_IPCXN and family in {socket.AF_INET, socket.AF_INET6}
        if not known or not judge(number[0], self._allowed).ok:
            self._refused = True
            return pycurl.SOCKET_BAD
        try:
            return _Given(socket.socket(family, kind, protocol))
        except OSError:  # too many files are open: like a host that takes no connection
            return pycurl.SOCKET_BAD

    def _retry_after(self) -> str | None:
        """Find the header in the last answer; before it there may be interim ones (1xx)."""
        head = b"".join(self._head)
        found = _RETRY_AFTER.search(head, head.rfind(b"\nHTTP/") + 1)
        return found.group(1).decode("latin-1").strip() if found else None

    def _hear_body(self, part: bytes) -> int | None:
        """Keep the beginning; hang up (by taking nothing) when it becomes too much."""
        missing = KEPT_BYTES - len(self._kept)
        if missing > 0:
            self._kept += part[:missing]
        self._read += len(part)
        return 0 if self._read > READ_BYTES else None


class _Given:
    """A socket that libcurl has a duplicate of; ours is closed as soon as nobody holds it."""

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened

    def fileno(self) -> int:
        return self._socket.fileno()

    def __del__(self) -> None:
        self._socket.close()


def _authorities() -> str:
    """Return the machine's file of certificate authorities, or the one that comes with certifi.

    The libcurl in pycurl's wheel looks for them where its build machine had them.
    """
    path = ssl.get_default_verify_paths().cafile
    return path if path and Path(path).is_file() else certifi.where()
