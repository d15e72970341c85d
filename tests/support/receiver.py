"""A webhook receiver on loopback that misbehaves on order and remembers every request.

with Receiver() as receiver:
    receiver.then(Answer(500), Hang())  # the next two requests; all later ones get a 200
    ...
    receiver.requests[0].body
"""

import asyncio
import contextlib
import ssl
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self
from zlib import crc32


@dataclass(frozen=True)
class Received:
    """One request as it came over the wire; header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int  # which one it came on, counted from 1


@dataclass(frozen=True)
class Answer:
    """A plain answer, after `delay` seconds."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    delay: float = 0.0


@dataclass(frozen=True)
class Together:
    """Answer 200 when so many requests are waiting for it at the same time."""

    count: int


@dataclass(frozen=True)
class Hang:
    """Take the request and never say a word."""


@dataclass(frozen=True)
class Drip:
    """Send the headers at once, and then a byte now and again, for ever."""

    every: float = 0.02


@dataclass(frozen=True)
class CloseEarly:
    """Hang up: before a word, or in the middle of the body."""

    when: Literal["before", "within"] = "before"


@dataclass(frozen=True)
class Raw:
    """Send these bytes, whatever they are, and hang up."""

    data: bytes


@dataclass(frozen=True)
class Flood:
    """Answer with a very long body."""

    size: int = 200_000_000
    status: int = 200


@dataclass(frozen=True)
class OnceEach:
    """Treat the first request of a message so; when it comes again, answer with 200.

    one_in: how many messages there are to one that is treated so, more or less.
    """

    first: "Behaviour"
    one_in: int = 1


Behaviour = Answer | OnceEach | Together | Hang | Drip | CloseEarly | Raw | Flood


class Receiver:
    """Listens from `with` to the end of its block."""

    def __init__(
        self, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None, port: int = 0
    ) -> None:
        self.host = host
        self.port = port
        self.default: Behaviour = Answer()
        self.connections = 0  # also those on which no request came
        self.flooded = 0  # bytes of floods that went out
        self._tls = tls
        self._script: deque[Behaviour] = deque()
        self._by_path: dict[str, Behaviour] = {}
        self._known: set[tuple[str, str]] = set()
        self._requests: list[Received] = []
        self._arrived = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="receiver")
        self._ready = threading.Event()
        self._over: asyncio.Event
        self._all_there = asyncio.Event()
        self._waiting = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def url(self, path: str = "/hook", host: str | None = None) -> str:
        """Return the address of a path, with this host spelled another way if so wanted."""
        spelled = host or (f"[{self.host}]" if ":" in self.host else self.host)
        return f"{'https' if self._tls else 'http'}://{spelled}:{self.port}{path}"

    def then(self, *behaviours: Behaviour) -> None:
        """Treat the next requests so, one after the other."""
        self._script.extend(behaviours)

    def on(self, path: str, behaviour: Behaviour) -> None:
        """Treat all requests for a path so."""
        self._by_path[path] = behaviour

    @property
    def requests(self) -> list[Received]:
        """All requests so far, in the order of their arrival."""
        with self._arrived:
            return list(self._requests)

    def wait_for(self, count: int, seconds: float = 20.0) -> list[Received]:
        """Wait until so many requests have come; fail when they do not."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self._requests) >= count, seconds):
                raise AssertionError(f"{len(self._requests)} of {count} requests came")
            return list(self._requests)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._listen())
        finally:
            self._loop.close()

    async def _listen(self) -> None:
        self._over = asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = self._loop.create_task(self._serve(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_server(
            accept, self.host, self.port, backlog=1024, ssl=self._tls
        )
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._over.wait()
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        connection = self.connections
        try:
            while (request := await self._read(reader, connection)) is not None:
                behaviour = self._note(request)
                if not await self._behave(behaviour, writer):
                    break
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _read(self, reader: asyncio.StreamReader, connection: int) -> Received | None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        method, path, _ = first.split(" ", 2)
        pairs = (line.split(":", 1) for line in lines)
        headers = {name.lower(): value.strip() for name, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        return Received(method, path, headers, body, connection)

    def _note(self, request: Received) -> Behaviour:
        with self._arrived:
            self._requests.append(request)
            self._arrived.notify_all()
        if request.path in self._by_path:
            behaviour = self._by_path[request.path]
        else:
            behaviour = self._script.popleft() if self._script else self.default
        if not isinstance(behaviour, OnceEach):
            return behaviour
        message_id = request.headers["webhook-id"]
        is_new = (request.path, message_id) not in self._known
        self._known.add((request.path, message_id))
        is_chosen = crc32(message_id.encode()) % behaviour.one_in == 0
        return behaviour.first if is_new and is_chosen else Answer()

    async def _behave(self, behaviour: Behaviour, writer: asyncio.StreamWriter) -> bool:
        """Do as ordered; return whether the connection may be used again."""
        match behaviour:
            case Answer(status, headers, body, delay):
                await asyncio.sleep(delay)
                writer.write(_head(status, {"Content-Length": str(len(body)), **headers}) + body)
                await writer.drain()
                return True
            case Together(count):
                self._waiting += 1
                if self._waiting == count:
                    self._all_there.set()
                await self._all_there.wait()
                return await self._behave(Answer(), writer)
            case Hang():
                await asyncio.Event().wait()
            case _:
                await self._misbehave(behaviour, writer)
        return False

    async def _misbehave(self, behaviour: Behaviour, writer: asyncio.StreamWriter) -> None:
        match behaviour:
            case Drip(every):
                writer.write(_head(200, {"Content-Length": "1000000"}))
                while True:
                    writer.write(b".")
                    await writer.drain()
                    await asyncio.sleep(every)
            case CloseEarly("within"):
                writer.write(_head(200, {"Content-Length": "100"}) + b"only so much")
                await writer.drain()
            case Raw(data):
                writer.write(data)
                await writer.drain()
                # Let the other side read it before the connection is reset.
                writer.write_eof()
                await asyncio.sleep(0.1)
            case Flood(size, status):
                await self._flood(size, status, writer)

    async def _flood(self, size: int, status: int, writer: asyncio.StreamWriter) -> None:
        writer.write(_head(status, {"Content-Length": str(size)}))
        part = b"x" * 65_536
        while self.flooded < size:
            writer.write(part)
            await writer.drain()
            self.flooded += len(part)


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} So\r\n{lines}\r\n".encode("latin-1")
