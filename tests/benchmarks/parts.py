"""What a verified request is made of: what each part takes, in one process, no server.

Run it with `python -m tests.benchmarks parts`. What a server adds (its own work, threads that hand
Python's lock to each other) is not in here; the table of `verify` has it.
"""

import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import EnvironBuilder

from connector import auth
from connector.app import create_app
from keystore import credentials, networks
from keystore.limits import Limits
from keystore.prepared import Prepared, Reader
from keystore.uses import Uses
from keystore.vault import Vault
from keystore.verification import Verification
from tests.benchmarks import crowd, unchecked
from tests.benchmarks.hello import app as bare

KEYS = 100_000
CALLS = 5_000
COMMIT_EVERY = 10  # calls; after each commit the secret is looked up again
#: What is timed, from outside to inside; each part's time is without that of those inside it.
PARTS = [
    (auth, "parse", "the header into a pair"),
    (Verification, "by_secret", "comparing, life, rights"),
    (credentials, "well_formed", "its form and checksum"),
    (Prepared, "__call__", "after a commit: rows from what the database returned"),
    (Reader, "fetch", "after a commit: the look-up"),
    (Vault, "digests", "the digest"),
    (networks, "allow", "its networks"),
    (Limits, "take", "counting it against its rate limit"),
    (Uses, "note", "the note of its use"),
]


class Stopwatch:
    """Times nested calls; each has for itself what those inside it do not take."""

    def __init__(self) -> None:
        self.taken: defaultdict[str, list[int]] = defaultdict(list)  # nanoseconds
        self._inside = [0]

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, timed under this name."""

        def call(*args: Any, **kwargs: Any) -> Any:
            self._inside.append(0)
            begin = time.perf_counter_ns()
            try:
                return function(*args, **kwargs)
            finally:
                whole = time.perf_counter_ns() - begin
                self.taken[name].append(whole - self._inside.pop())
                self._inside[-1] += whole

        return call

    def medians(self) -> dict[str, float]:
        """Return microseconds by name."""
        return {name: statistics.median(taken) / 1000 for name, taken in self.taken.items()}


def request(app: Flask, path: str, pair: str | None = None) -> Callable[[], None]:
    """Return a call of the app as a server makes it; any answer but 200 fails."""
    headers = [("Authorization", f"Bearer {pair}")] if pair else []
    environ = EnvironBuilder(path, headers=headers).get_environ()
    environ["REMOTE_ADDR"] = "127.0.0.1"

    def start(status: str, *_: Any) -> Any:
        assert status == "200 OK", status

    def call() -> None:
        answer = app(dict(environ), start)
        b"".join(answer)
        answer.close()  # type: ignore[attr-defined]

    return call


def run(calls: int, requests: dict[str, Callable[[], None]]) -> dict[str, float]:
    """Return the median of each, in microseconds; they take turns."""
    stopwatch = Stopwatch()
    timed = [stopwatch.timed(name, call) for name, call in requests.items()]
    for _ in range(calls):
        for call in timed:
            call()
    return stopwatch.medians()


def measure(folder: Path, *, keys: int, calls: int) -> tuple[dict[str, float], dict[str, float]]:
    """Return what requests take in all, and what the verified one is made of; microseconds."""
    [pair] = crowd.settle(folder, keys=keys)
    parts = crowd.parts(folder)
    app = create_app(parts)
    unchecked.add(app, parts)
    verified = request(app, "/v1/me/", pair)
    whole = run(
        calls,
        {
            "a view that checks nothing, in a bare Flask": request(bare, "/"),
            "the same view in our app": request(app, unchecked.PATH),
            "`GET /v1/me/`": verified,
        },
    )
    stopwatch = Stopwatch()
    outermost = stopwatch.timed("Flask: context, routing, hooks, response", verified)
    view = app.view_functions["api.me.me"]
    app.view_functions["api.me.me"] = stopwatch.timed("the guard and the view", view)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app.json, "response", stopwatch.timed("the JSON", app.json.response))
        for owner, name, title in PARTS:
            patch.setattr(owner, name, stopwatch.timed(title, getattr(owner, name)))
        writer = parts.services.db.raw_connection()
        for number in range(calls):
            if number % COMMIT_EVERY == 0:
                writer.execute(f"PRAGMA user_version = {number}")
            outermost()
        writer.close()
    parts.services.db.dispose()
    return whole, stopwatch.medians()


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        whole, made_of = measure(Path(name), keys=KEYS, calls=CALLS)
    method = (
        f"In one process, called as a server does, without one; {KEYS:,} keys in SQLite; medians "
        f"of {CALLS:,} calls. For the parts, something is committed before each {COMMIT_EVERY}th."
    )
    lines = [f"\n#### What a verified request is made of\n\n{method}\n"]
    for title, times in (("in all", whole), ("part of `GET /v1/me/`", made_of)):
        lines += [f"| {title} | µs |", "| --- | --- |"]
        lines += [f"| {name} | {microseconds:.1f} |" for name, microseconds in times.items()]
        lines.append("")
    sys.stdout.write("\n".join(lines))
