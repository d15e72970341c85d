"""A real Keyhook: `keyhook demo` in a process of its own, on a port of its own, on loopback."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.support.issued import overheard

START_SECONDS = 60
STOP_SECONDS = 30


@dataclass(frozen=True)
class Server:
    """A running demo; the fields are those of its first line."""

    base_url: str
    admin_email: str
    admin_password: str
    member_email: str
    member_password: str
    client_key: str
    client_secret: str
    organization: str
    data: Path
    process: subprocess.Popen[str]

    @property
    def pair(self) -> str:
        return f"{self.client_key}:{self.client_secret}"

    def call(
        self, method: str, path: str, *, pair: str | None = None, **more: object
    ) -> requests.Response:
        """Call the API as the demo's key, or with another KEY:SECRET."""
        return requests.request(
            method,
            self.base_url + path,
            headers={"Authorization": f"Bearer {pair or self.pair}"},
            timeout=30,
            allow_redirects=False,
            **more,  # type: ignore[arg-type]
        )

    def log(self) -> str:
        return self.data.with_name("stderr.log").read_text()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def clean_environment(**more: str) -> dict[str, str]:
    """Return this process's environment without any setting of Keyhook's."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("KEYHOOK_")}
    return kept | more


@contextmanager
def running_server(data: Path, *options: str, **environ: str) -> Iterator[Server]:
    """Start the demo in this directory, wait for its first line, stop it at the end."""
    data.mkdir(parents=True, exist_ok=True)
    log, data = data / "stderr.log", data / "data"
    port = free_port()
    command = [sys.executable, "-m", "connector", "demo", "--json", "--port", str(port)]
    command += ["--data", str(data), *(options or ("--live", "0"))]
    with log.open("w") as errors:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=overheard(clean_environment(**environ)),
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, f"the demo did not start: {log.read_text()}"
        yield Server(**json.loads(line), data=data, process=process)
    finally:
        stop(process)
        process.stdout.close()


def stop(process: subprocess.Popen[str]) -> int:
    """End a process as an operator would; kill it only when it does not listen."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
    return process.returncode


def eventually(condition: object, seconds: float = 20) -> object:
    """Wait until a callable returns something true, and return that; fail when it never does."""
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)
    return result


@contextmanager
def running_serve(data: Path, database_url: str, *options: str, **environ: str) -> Iterator[str]:
    """Start `keyhook serve` on a database that has its tables; yield its address."""
    with serve_process(data, database_url, *options, **environ) as (base_url, _):
        yield base_url


@contextmanager
def serve_process(
    data: Path, database_url: str, *options: str, **environ: str
) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Do as running_serve; yield its process as well."""
    port = free_port()
    base_url = f"http://127.0.0.1:{port}"
    with (data / "serve.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "connector", "serve", "--port", str(port), *options],
            stdout=log,
            stderr=log,
            env=overheard(installation_environment(data, database_url) | environ),
            text=True,
        )
    try:
        eventually(lambda: _answers(base_url, process), START_SECONDS)
        yield base_url, process
    finally:
        stop(process)


def installation_environment(data: Path, database_url: str) -> dict[str, str]:
    """Return the environment of every process of one installation."""
    return clean_environment(
        KEYHOOK_DATA_DIR=str(data),
        KEYHOOK_DATABASE_URL=database_url,
        KEYHOOK_ALLOW_NETWORKS="127.0.0.0/8,::1/128",
        KEYHOOK_RATE_LIMIT="1000000",
    )


def _answers(base_url: str, process: "subprocess.Popen[str]") -> bool:
    assert process.poll() is None, "it ended instead of serving"
    try:
        return requests.get(base_url + "/healthz", timeout=5).ok
    except requests.ConnectionError:
        return False
