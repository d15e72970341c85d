"""Canaries: every secret that is issued while tests run, and every trace that the tests leave.

No window of 8 characters of a secret's random part may occur in any trace of the test in which it
was issued: the databases' bytes, logs, output, mails, deliveries, responses, files. In what all
tests together leave, no window of 12 may occur of any secret. The one response that reveals a
secret may hold it whole; it answers a POST, forbids storing, and there is no other like it.

What would be found by chance is left out. A window of hexadecimal digits alone could stand in any
digest, and one without a digit in any text; of the 25 windows of a Client Secret that costs two.
Runs of nothing else are not even kept. A window that some secret's public part holds as well does
not count either. What remains is other random text, such as a session's cookie. Of that a whole run
leaves about 12 million characters, and it issues 40,000 secrets: 8 characters of one of them stand
somewhere in the traces of another test in one run of a few, 12 in none of half a million.
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
FAR_WINDOW = 12  # in what other tests have left
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
    # Of these, what is this test's.
    _issued_here: set[str] = field(default_factory=set)
    _runs_here: dict[bytes, str] = field(default_factory=dict)
    _reveals: defaultdict[str, list[Reveal]] = field(default_factory=lambda: defaultdict(list))
    _read: int = 0
    _files: dict[Path, tuple[int, int]] = field(default_factory=dict)  # as they were when read

    def issue(self, secret: str) -> None:
        """Look for this from now on."""
        self.issued.add(secret)
        self._issued_here.add(secret)

    def trace(self, where: str, data: bytes | str) -> None:
        """Keep what was left behind somewhere."""
        raw = data.encode("utf-8", "replace") if isinstance(data, str) else data
        seen = f"{where} ({_test()})"
        for run in set(raw.translate(RUNS).split()):
            if len(run) >= WINDOW and run.strip(HEXADECIMAL) and DIGIT.search(run):
                self._runs.setdefault(run, seen)
                self._runs_here.setdefault(run, seen)

    def files(self, directory: Path) -> None:
        """Keep what all files below a directory hold."""
        for folder, names, files in os.walk(directory):
            names[:] = [name for name in names if name != "node_modules"]  # others' packages
            for name in files:
                path = Path(folder, name)
                if path.is_file() and not path.is_symlink() and path != self.file:
                    state = path.stat()
                    as_it_is = state.st_size, state.st_mtime_ns
                    if self._files.get(path) != as_it_is:
                        self._files[path] = as_it_is
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

    def leaks_of_test(self) -> list[str]:
        """Say where which secrets of this test were found in what it left, without showing them."""
        self._catch_up()
        found = _found(self._issued_here, self._runs_here, WINDOW)
        return sorted({*found, *self._improper_reveals()})

    def next_test(self) -> None:
        """Take what comes from now on for another test's."""
        self._issued_here.clear()
        self._runs_here.clear()
        self._reveals.clear()

    def leaks(self) -> list[str]:
        """Say where secrets of any test were found in what all have left."""
        self._catch_up()
        return sorted({*_found(self.issued, self._runs, FAR_WINDOW), *self._improper_reveals()})

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
            for secret in whole.decode().split():
                self.issue(secret)


def windows_of(secret: str, width: int = WINDOW) -> list[bytes]:
    """Return the parts of a secret by which it is recognised."""
    found = SECRET.fullmatch(secret)
    assert found, "a generator makes what does not look like a secret"
    parts = _windows(found[2] or found[3], width)
    return [part for part in parts if part.strip(HEXADECIMAL) and DIGIT.search(part)]


def public_windows_of(secret: str, width: int = WINDOW) -> list[bytes]:
    """Return the parts of what a secret and its Client Key have in common."""
    found = SECRET.fullmatch(secret)
    return _windows(found[1] or "", width) if found else []


def _windows(text: str, width: int) -> list[bytes]:
    raw = text.encode()
    return [raw[at : at + width] for at in range(len(raw) - width + 1)]


def _found(secrets: set[str], runs: Mapping[bytes, str], width: int) -> list[str]:
    windows = {window for secret in secrets for window in windows_of(secret, width)}
    windows.difference_update(*(public_windows_of(secret, width) for secret in secrets))
    return [
        f"a part of a secret in {where}"
        for run, where in runs.items()
        if any(run[at : at + width] in windows for at in range(len(run) - width + 1))
    ]


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
