"""Verifying a key: `GET /v1/me/` beside a bare Flask hello, on the same server in the same run.

Run it with `python -m tests.benchmarks.verify`. wrk (a Debian package) makes the load; both servers
are granian with one process and the same number of threads, loaded in turns.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from flask import Flask, jsonify
from flask.typing import ResponseReturnValue
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server import Server as Granian

from connector.app import assemble
from connector.serving import BLOCKING_THREADS
from keystore.audit import SYSTEM
from keystore.settings import Settings
from tests.benchmarks.tables import Series, show
from tests.support.server import free_port, installation_environment, running_serve, stop

ROUNDS = 5
SECONDS = 3
CONNECTIONS = 16
RATE_LIMIT = 10_000_000  # counted, and never reached

hello = Flask(__name__)


@hello.get("/")
def say_hello() -> ResponseReturnValue:
    return jsonify({"hello": "world"})


def make_hello() -> Flask:
    return hello


def serve_hello(port: int) -> None:
    Granian(
        "tests.benchmarks.verify:make_hello",
        factory=True,
        port=port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=BLOCKING_THREADS,
        log_level=LogLevels.warning,
    ).serve()


@contextmanager
def hello_server() -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.verify", str(port)], text=True
    )
    try:
        url = f"http://127.0.0.1:{port}/"
        deadline = time.monotonic() + 30
        while True:
            try:
                requests.get(url, timeout=5)
                break
            except requests.ConnectionError:
                assert time.monotonic() < deadline, "the hello server did not start"
                time.sleep(0.1)
        yield url
    finally:
        stop(process)


def installation(data: Path) -> tuple[str, str]:
    """Make an installation with one key; return its database's address and the KEY:SECRET."""
    database_url = f"sqlite:///{data / 'keyhook.db'}"
    services = assemble(Settings.from_env(installation_environment(data, database_url))).services
    services.db.upgrade()
    with services.db.session() as session:
        organization = services.accounts.create_organization(session, name="Bench", actor=SYSTEM)
    with services.db.session() as session:
        issued = services.keys.create(
            session,
            organization_id=organization.id,
            name="Bench",
            rate_limit=RATE_LIMIT,
            actor=SYSTEM,
        )
    services.db.dispose()
    return database_url, f"{issued.key.client_key}:{issued.client_secret.reveal()}"


def load(url: str, seconds: int, pair: str | None = None) -> float:
    """Return the requests per second that wrk got answered with 2xx; others fail the run."""
    header = ["-H", f"Authorization: Bearer {pair}"] if pair else []
    result = subprocess.run(
        ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", *header, url],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Non-2xx" not in result.stdout, result.stdout
    assert "Socket errors" not in result.stdout, result.stdout
    found = re.search(r"Requests/sec:\s+([\d.]+)", result.stdout)
    assert found, result.stdout
    return float(found[1])


def main() -> None:
    if shutil.which("wrk") is None:
        sys.stdout.write("\nVerifying: not measured, as it needs wrk.\n")
        return
    with tempfile.TemporaryDirectory() as data:
        database_url, pair = installation(Path(data))
        with running_serve(Path(data), database_url) as base_url, hello_server() as hello_url:
            me_url = f"{base_url}/v1/me/"
            load(hello_url, 1)
            load(me_url, 1, pair)
            reference, verified = [], []
            for _ in range(ROUNDS):
                reference.append(load(hello_url, SECONDS))
                verified.append(load(me_url, SECONDS, pair))
    show(
        "Verifying a key",
        f"`GET /v1/me/` (SQLite, a key verified for each request) beside a Flask view that returns "
        f"one JSON object; each on granian, 1 process, {BLOCKING_THREADS} threads; wrk with "
        f"{CONNECTIONS} connections on the same 2 cores, {ROUNDS} rounds of {SECONDS} s in turns.",
        Series("bare Flask hello", reference),
        [Series("GET /v1/me/", verified)],
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        serve_hello(int(sys.argv[1]))
    else:
        main()
