"""Running the app under granian: one supervisor, some server processes, threads beside them.

The delivery worker (and whatever else is to run in the background) lives as a thread in each
server process: the demo's web server and worker are one process, and need no second command. Each
worker claims its own deliveries, so that any number of them may run.
"""

import errno
import gc
import logging
import socket
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

import click
from flask import Flask
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.mp import MPServer

from connector import logs, metrics
from connector.app import Parts, assemble, create_app
from connector.turns import InTurn
from keystore.settings import Settings

#: Runs until the event is set; gets the parts of the process it lives in.
Background = Callable[[Parts, threading.Event], None]

#: Puts into the app of one server process what `create_app` has not.
Addition = Callable[[Flask, Parts], None]

#: What granian is told beside the address; the benchmarks' reference runs under the same.
SERVER_OPTIONS: Mapping[str, Any] = {
    # Per process. Threads do not make short requests faster, as Python runs one at a time; they
    # keep a password check or a long list from holding up all others. With one thread, each such
    # request does; with two, two at once do.
    "blocking_threads": 4,
}
STOP_SECONDS = 20.0
GARBAGE = 10_000  # objects that are made before the collector looks through the newest
log = logging.getLogger(__name__)


def deliver(parts: Parts, stop: threading.Event) -> None:
    """Send what has to be delivered."""
    parts.worker().run_forever(stop)


def write_uses(parts: Parts, stop: threading.Event) -> None:
    """Write down now and then which keys were used."""
    parts.services.uses.run_forever(parts.services.db, stop)


def carry_mail(parts: Parts, stop: threading.Event) -> None:
    """Send the mails that wait; without an SMTP server, only give up the old ones."""
    parts.carrier().run_forever(stop)


def serve(
    environ: Mapping[str, str],
    *,
    host: str,
    port: int,
    workers: int = 1,
    background: Sequence[Background] = (),
    additions: Sequence[Addition] = (),
) -> None:
    """Serve until told to stop by SIGINT or SIGTERM. Each process reads its own settings.

    Raises RuntimeError when the caller has threads: what may run beside is `background`.
    """
    # Server processes are forked. What another thread holds at that moment, an import's lock say,
    # stays held in them for ever: whoever imports the same there waits without end.
    others = [one.name for one in threading.enumerate() if one is not threading.current_thread()]
    if others:
        raise RuntimeError(f"other threads run, and a fork would hold their locks: {others}")
    server = Supervisor(
        "keyhook",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=workers,
        log_level=LogLevels.warning,
        log_dictconfig=_log_config(),
        respawn_failed_workers=True,
        workers_kill_timeout=int(STOP_SECONDS),
        **SERVER_OPTIONS,
    )
    with tempfile.TemporaryDirectory(prefix="keyhook-metrics-") as folder:
        load = partial(
            _load,
            dict(environ),
            tuple(background),
            tuple(additions),
            counts=Path(folder) if workers > 1 else None,
        )
        server.serve(target_loader=load, wrap_loader=False)


class Supervisor(MPServer):
    """granian's, which may also be told to stop while it is being told.

    `make`, say, passes SIGTERM on to whoever has had it already, as part of its process group.
    """

    def signal_handler_interrupt(self, *given: Any, **more: Any) -> None:
        """Take note of the first signal; nothing more would come of another.

        It would wait for a lock that the first one holds, in the same thread, for ever.
        """
        if not self.interrupt_signal:
            super().signal_handler_interrupt(*given, **more)  # type: ignore[no-untyped-call]


def settle() -> None:
    """Let the garbage collector pass over what was made at the start, which stays to the end.

    To be called once, by a process that has all it needs. Otherwise it looks through hundreds of
    thousands of objects again and again, for none that is garbage (`gc.freeze`).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE)


def require_free(host: str, port: int) -> str:
    """Return the numeric address of a host on which a server could listen at this port.

    Raises click.ClickException when it could not, with the reason.
    """
    try:
        [(family, _, _, _, address), *_] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            reason = f"{host}:{port} is taken; choose another --port"
        else:
            reason = f"cannot listen on {host}:{port}: {error.strerror}"
        raise click.ClickException(reason) from error
    return str(address[0])


def _load(
    environ: Mapping[str, str],
    background: Sequence[Background],
    additions: Sequence[Addition],
    counts: Path | None,
) -> Any:
    """Make the app of one server process and start its threads.

    counts: where several processes count together, for whichever of them is asked.
    """
    if counts is not None:
        metrics.share(counts)
    settings = Settings.from_env(environ)
    logs.configure(settings.log_level)
    parts = assemble(settings)
    stop = threading.Event()
    threads = [
        threading.Thread(target=_kept_alive, args=(task, parts, stop), daemon=True)
        for task in (write_uses, *background)
    ]
    for thread in threads:
        thread.start()

    def end() -> None:
        stop.set()
        for thread in threads:
            thread.join(STOP_SECONDS)

    # Not atexit, which a forked process leaves out. One that is killed before this only leaves
    # leases that run out.
    Finalize(None, end, exitpriority=1)
    app = create_app(parts)
    for add in additions:
        add(app, parts)
    settle()
    # PostgreSQL is waited for, and whoever waits is no hindrance to others.
    return InTurn(app) if parts.services.db.is_sqlite else app


def _kept_alive(task: Background, parts: Parts, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            task(parts, stop)
        except Exception:
            log.exception("a background task failed; it starts again in a second")
            stop.wait(1)


def _log_config() -> dict[str, Any]:
    """Let granian's own lines take the way of all others; it may not write to standard output."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "loggers": {"_granian": {"level": "WARNING", "propagate": True}},
    }
