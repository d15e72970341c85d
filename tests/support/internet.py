"""An internet of one's own: a public address, and a name server that lies on order.

A process that `alone` has started is in network and mount namespaces of its own. There `settle`
gives the loopback device public addresses too, and makes its own name server the machine's.
"""

import fcntl
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from tests.support.needs import lacking

ROOT = Path(__file__).parents[2]
#: Somebody's, out there; here they are ours.
PUBLIC, SILENT = "1.2.3.4", "1.2.3.5"
LOOKUP_SECONDS = 2  # after which the C library gives up on a name server that says nothing

_A, _AAAA = 1, 28
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _SIOCSIFADDR, _UP = 0x8913, 0x8914, 0x8916, 1

#: What to answer to the n-th question (from 0) for a name; None: not a word.
Names = Callable[[str, int], Sequence[str] | None]


def alone(module: str, *arguments: str) -> str:
    """Run a module in a world of its own, and return what it printed."""
    # Whoever is not root may be it in a namespace of users, on most machines.
    world = ["unshare", "--mount", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    try:
        subprocess.run([*world, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        lacking("unshare, and the right to make namespaces")
    done = subprocess.run(
        [*world, sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def settle(names: Names) -> None:
    """Set this world up, once it is our own. Its name server runs until the process ends."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for device, address in (("lo", "127.0.0.1"), ("lo:1", PUBLIC), ("lo:2", SILENT)):
            sockaddr = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(address))
            fcntl.ioctl(control, _SIOCSIFADDR, struct.pack("16s16s", device.encode(), sockaddr))
            request = struct.pack("16sH14x", device.encode(), 0)
            (flags,) = struct.unpack_from("H", fcntl.ioctl(control, _SIOCGIFFLAGS, request), 16)
            request = struct.pack("16sH14x", device.encode(), flags | _UP)
            fcntl.ioctl(control, _SIOCSIFFLAGS, request)
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write(f"nameserver 127.0.0.1\noptions timeout:{LOOKUP_SECONDS} attempts:1\n")
        file.flush()
        Path(file.name).chmod(0o644)
        subprocess.run(["mount", "--bind", file.name, "/etc/resolv.conf"], check=True)
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))
    threading.Thread(target=_serve, args=(server, names), daemon=True).start()


def _serve(server: socket.socket, names: Names) -> None:
    asked = dict[tuple[str, int], int]()
    while True:
        question, client = server.recvfrom(512)
        name, kind, end = _read(question)
        number = asked[name, kind] = asked.get((name, kind), -1) + 1
        answers = names(name, number)
        if answers is not None:
            server.sendto(_answer(question[:end], kind, answers), client)


def _read(question: bytes) -> tuple[str, int, int]:
    """Return the name and the type that are asked for, and where the question ends (RFC 1035)."""
    labels, position = [], 12
    while length := question[position]:
        labels.append(question[position + 1 : position + 1 + length].decode())
        position += 1 + length
    (kind,) = struct.unpack_from("!H", question, position + 1)
    return ".".join(labels).lower(), kind, position + 5


def _answer(question: bytes, kind: int, answers: Sequence[str]) -> bytes:
    wanted = {_A: IPv4Address, _AAAA: IPv6Address}.get(kind)
    found = [one for one in map(ip_address, answers) if type(one) is wanted]
    # Authoritative, no error; each answer points back to the name and may not be kept (TTL 0).
    head = question[:2] + struct.pack("!HHHHH", 0x8580, 1, len(found), 0, 0)
    rows = [
        struct.pack("!HHHIH", 0xC00C, kind, 1, 0, len(one.packed)) + one.packed for one in found
    ]
    return head + question[12:] + b"".join(rows)
