"""A receiver in a process of its own: what it has counted does not hang on the test's process.

with receiver_process({"/flaky": OnceEach(Answer(500))}) as receiver:
    ...
    receiver.receipts()
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from tests.support import receiver as behaviours
from tests.support.receiver import Behaviour, Receiver

ROOT = Path(__file__).parents[2]


class Receipt(NamedTuple):
    """One request that came."""

    path: str
    message_id: str
    digest: str  # SHA-256 of the body, in hex
    at: float  # seconds by the machine's clock


class ReceiverProcess:
    """The test's end of it."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.port = int(self._read())

    def url(self, path: str = "/hook") -> str:
        """Return the address of a path."""
        return f"http://127.0.0.1:{self.port}{path}"

    def count(self) -> int:
        """Return how many requests have come."""
        return int(self._ask("count"))

    def receipts(self) -> list[Receipt]:
        """Return all requests so far."""
        return [Receipt(*one) for one in json.loads(self._ask("receipts"))]

    def kill(self) -> None:
        """End it at once; whoever waits for an answer sees the connection break."""
        self._process.kill()
        self._process.wait()

    def _ask(self, question: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{question}\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the receiver's process has ended"
        return line


@contextmanager
def receiver_process(paths: Mapping[str, Behaviour] | None = None) -> Iterator[ReceiverProcess]:
    """Start one that treats requests by their path and answers all others with 200."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.receiver_process", repr(dict(paths or {}))],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield ReceiverProcess(process)
        finally:
            process.kill()


class _Counting(Receiver):
    """Keeps a line about each request instead of the request."""

    def __init__(self) -> None:
        super().__init__()
        self.receipts: list[Receipt] = []

    def _note(self, request: behaviours.Received) -> Behaviour:
        digest = sha256(request.body).hexdigest()
        message_id = request.headers.get("webhook-id", "")
        self.receipts.append(Receipt(request.path, message_id, digest, time.time()))
        behaviour = super()._note(request)
        self._requests.clear()
        return behaviour


def main(paths: Mapping[str, Behaviour]) -> None:
    with _Counting() as receiver:
        for path, behaviour in paths.items():
            receiver.on(path, behaviour)
        _say(str(receiver.port))
        for line in sys.stdin:
            if line == "count\n":
                _say(str(len(receiver.receipts)))
            else:
                _say(json.dumps(list(receiver.receipts)))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    # Written by this module's own `receiver_process`: behaviours as Python shows them.
    main(eval(sys.argv[1], vars(behaviours)))
