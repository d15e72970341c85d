"""Canaries: every secret that is issued while tests run, and every trace that the tests leave.

No window of 8 characters of a secret's random part may occur in any trace: the databases' bytes,
logs, output, mails, deliveries, responses. The one response that reveals a secret may hold it
whole; it answers a POST, forbids storing, and there is no other like it.

What would be found by chance is left out. A window of hexadecimal digits alone could stand in any
digest, and one without a digit in any text; of the 25 windows of a Client Secret that costs two.
Runs of nothing else are not even kept. A window that some secret's public part holds as well does
not count either. What remains is other random text, such as a session's cookie: among so much of it
as the whole suite leaves, one run in hundreds would find what is none.
"""

import copy
import logging
import os
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

WINDOW = 8
ALPHABET = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+/"
#: Every other byte ends a run.
RUNS = bytes(byte if byte in ALPHABET else ord(" ") for byte in range(256))
HEXADECIMAL = b"0123456789abcdef"
#: A logger by which tests try the net that redacts what another library might log.
THE_NET_IS_TRIED = "elsewhere"
DIGIT = re.compile(rb"[0-9]")
#: A whole secret: public part and random part, or all of it random.
SECRET = re.compile(
    r"kh[st]([0-9a-z]{20})([0-9a-z]{32})[0-9a-z]{7}|wh(?:sec|sk)_([0-9A-Za-z+/]{43})="
)


@dataclass(frozen=True)
class Reveal:
    """A response that held a whole secret."""

    test: str
    request: str
    is_proper: bool  # it answered a POST and may not be stored


@dataclass
class Canaries:
    """The secrets and the traces of one run of tests."""

    #: Other processes append what they issue; one to a line.
    file: Path | None = None
    issued: set[str] = field(default_factory=set)
    #: Each different run of characters, with the place where it was seen first.
    _runs: dict[bytes, str] = field(default_factory=dict)
    _reveals: defaultdict[str, list[Reveal]] = field(default_factory=lambda: defaultdict(list))
    _read: int = 0

    def trace(self, where: str, data: bytes | str) -> None:
        """Keep what was left behind somewhere."""
        raw = data.encode("utf-8", "replace") if isinstance(data, str) else data
        seen = f"{where} ({_test()})"
        for run in set(raw.translate(RUNS).split()):
            if len(run) >= WINDOW and run.strip(HEXADECIMAL) and DIGIT.search(run):
                self._runs.setdefault(run, seen)

    def files(self, directory: Path) -> None:
        """Keep what all files below a directory hold."""
        for folder, names, files in os.walk(directory):
            names[:] = [name for name in names if name != "node_modules"]  # others' packages
            for name in files:
                path = Path(folder, name)
                if path.is_file() and not path.is_symlink() and path != self.file:
                    self.trace(str(path), path.read_bytes())

    def response(
        self, method: str, url: str, status: int, headers: Mapping[str, str], body: str
    ) -> None:
        """Keep what was answered, but for a secret that is revealed in it."""
        self._catch_up()
        revealed = {found[0] for found in SECRET.finditer(body)} & self.issued
        is_proper = method == "POST" and "no-store" in headers.get("Cache-Control", "")
        for secret in revealed:
            self._reveals[secret].append(Reveal(_test(), f"{method} {url}", is_proper))
            body = body.replace(secret, " ")
        lines = "\n".join(f"{name}: {value}" for name, value in headers.items())
        self.trace(f"the {status} to {method} {url}", f"{lines}\n\n{body}")

    def saw(self, part: str) -> bool:
        """Tell whether a run holds this: to know that a place is watched at all."""
        return any(part.encode() in run for run in self._runs)

    def leaks(self) -> list[str]:
        """Say where which secrets were found, without showing them."""
        self._catch_up()
        return sorted({*self._windows_found(), *self._improper_reveals()})

    def _windows_found(self) -> list[str]:
        windows = {window for secret in self.issued for window in windows_of(secret)}
        windows.difference_update(*(public_windows_of(secret) for secret in self.issued))
        return [
            f"a part of a secret in {where}"
            for run, where in self._runs.items()
            if any(run[at : at + WINDOW] in windows for at in range(len(run) - WINDOW + 1))
        ]

    def _improper_reveals(self) -> list[str]:
        found = []
        for reveals in self._reveals.values():
            found += [f"a secret revealed by {one}" for one in reveals if not one.is_proper]
            tests = [one.test for one in reveals]
            found += [f"revealed again by {one}" for one in reveals if tests.count(one.test) > 1]
        return found

    def _catch_up(self) -> None:
        if self.file is not None and self.file.exists():
            with self.file.open("rb") as file:
                file.seek(self._read)
                new = file.read()
            whole = new[: new.rfind(b"\n") + 1]
            self._read += len(whole)
            self.issued.update(whole.decode().split())


def windows_of(secret: str) -> list[bytes]:
    """Return the parts of a secret by which it is recognised."""
    found = SECRET.fullmatch(secret)
    assert found, "a generator makes what does not look like a secret"
    parts = _windows(found[2] or found[3])
    return [part for part in parts if part.strip(HEXADECIMAL) and DIGIT.search(part)]


def public_windows_of(secret: str) -> list[bytes]:
    """Return the parts of what a secret and its Client Key have in common."""
    found = SECRET.fullmatch(secret)
    return _windows(found[1] or "") if found else []


def _windows(text: str) -> list[bytes]:
    raw = text.encode()
    return [raw[at : at + WINDOW] for at in range(len(raw) - WINDOW + 1)]


def log_to(canaries: Canaries) -> None:
    """Keep every log record as it is when it is made, before any net has redacted it."""
    make, formatter = logging.getLogRecordFactory(), logging.Formatter()

    def make_and_tell(*arguments: object, **more: object) -> logging.LogRecord:
        record = make(*arguments, **more)
        if record.name != THE_NET_IS_TRIED:
            # A copy, as formatting leaves notes in the record.
            canaries.trace(f"a log line of {record.name}", formatter.format(copy.copy(record)))
        return record

    logging.setLogRecordFactory(make_and_tell)


def _test() -> str:
    return os.environ.get("PYTEST_CURRENT_TEST", "no test").rsplit(" ", 1)[0]
