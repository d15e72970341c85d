"""A shell: type a command, see what it says and how it ends."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from connector.cli import main

FOUNDED = "correct horse battery\n"


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


Shell = Callable[..., Ended]


@pytest.fixture
def shell(
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[Shell]:
    """Type `keyhook …` on a machine whose settings are in the environment."""
    monkeypatch.setenv("KEYHOOK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("KEYHOOK_DATABASE_URL", database_url)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, typed: str | bytes = "", **environ: str) -> Ended:
        stdin = tmp_path / "typed"
        stdin.write_bytes(typed.encode() if isinstance(typed, str) else typed)
        with monkeypatch.context() as patch, stdin.open() as keyboard:
            patch.setattr("sys.stdin", keyboard)
            for name, value in environ.items():
                patch.setenv(name, value)
            capfd.readouterr()
            with pytest.raises(SystemExit) as end:
                main(arguments)
            said = capfd.readouterr()
        assert isinstance(end.value.code, int)
        return Ended(end.value.code, said.out, said.err)

    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield run
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def northwind(shell: Shell) -> Shell:
    """The shell of an installation that has its first organization."""
    founded = shell(
        "init", "--organization", "Northwind", "--admin", "ada@northwind.example", typed=FOUNDED
    )
    assert founded.code == 0, founded.err
    return shell
