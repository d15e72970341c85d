"""Nothing was committed between two looks that find the same; no lock is lost by looking."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keystore.commits import MOST_REMEMBERED, Commits, UntilCommit
from keystore.db import Database

#: In another process, so that the locks are those between processes.
WRITE_AT_ONCE = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)
try:
    connection.execute("BEGIN IMMEDIATE")
except sqlite3.OperationalError as error:
    sys.exit(str(error))
connection.execute("INSERT INTO notes VALUES ('from outside')")
connection.execute("COMMIT")
"""

ACTIONS = [
    "INSERT INTO notes VALUES ('one')",
    "UPDATE notes SET text = text",
    "UPDATE notes SET text = text || '.'",
    "DELETE FROM notes",
    "BEGIN IMMEDIATE",
    "COMMIT",
    "ROLLBACK",
    "PRAGMA wal_checkpoint(PASSIVE)",
    "PRAGMA wal_checkpoint(RESTART)",
    "PRAGMA wal_checkpoint(TRUNCATE)",
    "VACUUM",
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "notes.db"


def connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE IF NOT EXISTS notes (text)")
    return connection


@contextmanager
def watched(path: Path) -> Iterator[Commits]:
    commits = Commits(str(path), lambda: connect(path))
    try:
        yield commits
    finally:
        commits.close()


def write_from_another_process(path: Path) -> str:
    """Return why it could not; empty: it could."""
    done = subprocess.run(
        [sys.executable, "-c", WRITE_AT_ONCE, str(path)],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    return done.stderr.strip()


@given(st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=25))
@settings(max_examples=60)
def test_what_looks_the_same_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, actions: list[str]
) -> None:
    """Whatever somebody does, a reader who finds the same mark finds the same notes."""
    path = tmp_path_factory.mktemp("notes") / "notes.db"
    with closing(connect(path)) as writer, closing(connect(path)) as reader, watched(path) as seen:
        found: dict[bytes, list[tuple[str]]] = {}
        for action in ["", *actions]:
            try:
                writer.execute(action)
            except sqlite3.OperationalError:
                continue  # no transaction to end, or one already
            mark = seen.mark()
            assert mark is not None
            notes = reader.execute("SELECT text FROM notes").fetchall()
            assert found.setdefault(mark, notes) == notes


def test_a_commit_of_another_process_is_seen_at_once(path: Path) -> None:
    with watched(path) as commits:
        before = commits.mark()
        assert commits.mark() == before
        assert write_from_another_process(path) == ""
        assert commits.mark() != before


def test_what_is_read_or_taken_back_is_no_commit(path: Path) -> None:
    with closing(connect(path)) as writer, watched(path) as commits:
        before = commits.mark()
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO notes VALUES ('never')")
        assert commits.mark() == before
        writer.execute("ROLLBACK")
        writer.execute("SELECT * FROM notes").fetchall()
        assert commits.mark() == before


def test_the_index_outlives_everybody_elses_connections(path: Path) -> None:
    """Otherwise SQLite would make a new one, and we should look at the old one for ever."""
    with watched(path) as commits:
        before = commits.mark()
        for _ in range(3):
            assert write_from_another_process(path) == ""  # opens and closes the only other one
            after = commits.mark()
            assert after != before
            before = after


def test_who_lets_go_of_the_index_drops_nobodys_lock(path: Path) -> None:
    with closing(connect(path)) as writer, watched(path) as still_here:
        with watched(path) as leaving:
            assert leaving.mark() == still_here.mark()
            writer.execute("BEGIN IMMEDIATE")
        assert "locked" in write_from_another_process(path)
        writer.execute("COMMIT")
        assert write_from_another_process(path) == ""


def test_who_has_let_go_can_look_again(path: Path) -> None:
    with watched(path) as commits:
        first = commits.mark()
        commits.close()
        commits.close()
        assert write_from_another_process(path) == ""
        assert commits.mark() != first


def test_where_there_is_no_index_nothing_can_be_told(tmp_path: Path) -> None:
    path = tmp_path / "plain.db"
    with closing(sqlite3.connect(path)) as plain:
        plain.execute("CREATE TABLE notes (text)")
    commits = Commits(str(path), lambda: sqlite3.connect(path))
    assert commits.mark() is None
    commits.close()


def test_an_index_of_another_format_tells_nothing(path: Path) -> None:
    with closing(connect(path)):
        with Path(f"{path}-shm").open("r+b") as index:
            index.write(bytes(4))  # where the format's number was
        commits = Commits(str(path), lambda: sqlite3.connect(":memory:"))
        assert commits.mark() is None
        commits.close()


def test_only_sqlite_tells(database: Database) -> None:
    assert (database.mark() is not None) == database.is_sqlite


def test_an_answer_holds_until_the_mark_changes() -> None:
    answers = UntilCommit[str, int]()
    answers.put(b"first", "how many?", 1)
    assert answers.get(b"first", "how many?") == 1
    assert answers.get(b"first", "how large?") is None
    assert answers.get(b"second", "how many?") is None
    answers.put(b"second", "how large?", 2)
    assert answers.get(b"second", "how many?") is None
    assert answers.get(b"first", "how many?") is None


def test_without_a_mark_nothing_is_remembered() -> None:
    answers = UntilCommit[str, int]()
    answers.put(None, "how many?", 1)
    assert answers.get(None, "how many?") is None


def test_memory_has_an_end() -> None:
    answers = UntilCommit[int, int]()
    for number in range(MOST_REMEMBERED + 1):
        answers.put(b"mark", number, number)
    assert answers.get(b"mark", 0) is None
    assert answers.get(b"mark", MOST_REMEMBERED) == MOST_REMEMBERED
