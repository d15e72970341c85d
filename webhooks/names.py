"""Looking host names up without holding anybody up.

libcurl has a few threads for this, 20 by default, and PycURL cannot give it more: a name server
that is silent about 20 names would keep every other name waiting. Here each name that is being
looked up has a thread to itself, however many requests wait for it, and no thread outlives its
process. What is found is handed to libcurl; the address that it then dials is judged at the socket
like any other.
"""

import re
import socket
import threading
import time
from collections import deque
from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

FRESH = 60.0  # seconds for which an answer is good, as with libcurl
FRESH_FAILURE = 5.0  # seconds for which there being no answer is
MOST_NAMES = 10_000  # that are remembered

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_NUMERIC_LABEL = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")
_PORTS = {"https": 443, "http": 80}


class Destination(NamedTuple):
    """A host that has to be looked up, and the port there."""

    name: str
    port: int


class _Answer(NamedTuple):
    addresses: tuple[str, ...]  # none: there is no such host
    until: float  # by the monotonic clock


@lru_cache(maxsize=MOST_NAMES)
def destination(url: str) -> Destination | None:
    """Return whom to look up for a URL; None: nobody, or libcurl is to see for itself.

    Spellings of IPv4 addresses, like 2130706433 or 0x7f.1, are no names. Raises ValueError.
    """
    parts = urlsplit(url)
    name = parts.hostname or ""
    if not _NAME.fullmatch(name):
        return None
    label = name.rstrip(".").rpartition(".")[2]
    if label in {"", "localhost"} or _NUMERIC_LABEL.fullmatch(label):
        return None
    return Destination(name, parts.port or _PORTS[parts.scheme])


class Names:
    """Answers to be asked for again and again. Belongs to one thread, but for what it starts."""

    def __init__(self, limit: int) -> None:
        """limit: names that are looked up at the same time; those beyond wait in line."""
        self._free = limit
        self._lock = threading.Lock()
        self._answers = dict[str, _Answer]()
        self._asked = set[str]()
        self._line = deque[str]()

    def ask(self, name: str) -> tuple[str, ...] | None:
        """Return the addresses of a host, none if there is no such host; None: ask again."""
        with self._lock:
            answer = self._answers.get(name)
            if answer is not None and time.monotonic() < answer.until:
                return answer.addresses
            if name not in self._asked:
                self._asked.add(name)
                self._line.append(name)
            self._begin()
        return None

    def _begin(self) -> None:
        while self._free and self._line:
            # A daemon: a name server that is silent delays no process at its end.
            thread = threading.Thread(
                target=self._look_up, args=(self._line[0],), name="names", daemon=True
            )
            try:
                thread.start()
            except RuntimeError:  # too many threads: the next who asks for any name tries again
                return
            self._line.popleft()
            self._free -= 1

    def _look_up(self, name: str) -> None:
        addresses = _addresses(name)
        with self._lock:
            if len(self._answers) >= MOST_NAMES:
                self._answers.clear()
            fresh = FRESH if addresses else FRESH_FAILURE
            self._answers[name] = _Answer(addresses, time.monotonic() + fresh)
            self._asked.discard(name)
            self._free += 1
            self._begin()


def _addresses(name: str) -> tuple[str, ...]:
    """Ask the C library, in its order of preference."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    # A scope, as in fe80::1%eth0, is not for libcurl to read; such an address is refused anyhow.
    plain = [str(row[4][0]).partition("%")[0] for row in found]
    return tuple(dict.fromkeys(_bracketed(one) for one in plain))


def _bracketed(address: str) -> str:
    return f"[{address}]" if ip_address(address).version == 6 else address  # noqa: PLR2004
