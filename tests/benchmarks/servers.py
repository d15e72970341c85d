"""The servers that are measured, each in a process of its own and set up alike."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import requests

from connector.serving import SERVER_OPTIONS
from tests.benchmarks import crowd
from tests.benchmarks.load import Target
from tests.benchmarks.unchecked import PATH
from tests.support.server import START_SECONDS, free_port, serve_process, stop

ROOT = Path(__file__).parents[2]
RIVAL_PYTHON = ROOT / ".venv-bench" / "bin" / "python"  # `make bench` makes it
RIVAL = [str(RIVAL_PYTHON), "-m", "tests.benchmarks.rival"]
OPTIONS = dict(SERVER_OPTIONS)


@contextmanager
def hello() -> Iterator[Target]:
    """Run the bare Flask view."""
    port = free_port()
    command = [sys.executable, "-m", "tests.benchmarks.hello", str(port), json.dumps(OPTIONS)]
    target = f"http://127.0.0.1:{port}/"
    with _running(command, target) as process:
        yield Target("bare Flask hello", target, process)


@contextmanager
def unchecked(folder: Path) -> Iterator[Target]:
    """Run the same view in our app, on an installation that `crowd.settle` made."""
    port = free_port()
    command = [sys.executable, "-m", "tests.benchmarks.unchecked", str(port), str(folder)]
    target = f"http://127.0.0.1:{port}{PATH}"
    with _running(command, target) as process:
        yield Target("the same view in our app", target, process)


@contextmanager
def keyhook(name: str, folder: Path, pairs: Sequence[str]) -> Iterator[Target]:
    """Run `keyhook serve` on an installation that `crowd.settle` made."""
    with serve_process(folder, crowd.database_url(folder)) as (base_url, process):
        bearers = [f"Bearer {pair}" for pair in pairs]
        yield Target(name, f"{base_url}/v1/me/", process.pid, bearers)


def seed_rival(database: Path, keys: int) -> str:
    """Make a database of djangorestframework-api-key's with so many keys; return one of them."""
    command = [*RIVAL, "seed", str(database), str(keys)]
    seeded = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return seeded.stdout.strip()


@contextmanager
def rival(database: Path, key: str, connections: str) -> Iterator[Target]:
    """Run djangorestframework-api-key; its database connections are `kept` or made `anew`."""
    port = free_port()
    command = [*RIVAL, connections, str(database), str(port), json.dumps(OPTIONS)]
    url = f"http://127.0.0.1:{port}/v1/me/"
    with _running(command, url) as process:
        assert requests.get(url, timeout=5).status_code == requests.codes.forbidden
        name = f"djangorestframework-api-key, connections {connections}"
        yield Target(name, url, process, [f"Api-Key {key}"])


@contextmanager
def _running(command: list[str], url: str) -> Iterator[int]:
    process = subprocess.Popen(command, cwd=ROOT, text=True)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(url):
            assert time.monotonic() < deadline, f"it did not start: {command}"
            time.sleep(0.1)
        yield process.pid
    finally:
        stop(process)


def _answers(url: str) -> bool:
    try:
        requests.get(url, timeout=5)
    except requests.ConnectionError:
        return False
    return True
