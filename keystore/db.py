"""The database: engine, sessions, transactions. SQLite and PostgreSQL run the same code."""

import json
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar, cast
from uuid import UUID

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    ARRAY,
    Boolean,
    ColumnElement,
    DateTime,
    Dialect,
    MetaData,
    ScalarSelect,
    Select,
    Text,
    create_engine,
    event,
    exists,
    select,
)
from sqlalchemy import cast as cast_to
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import ReturnsRows
from sqlalchemy.types import TypeDecorator, TypeEngine

from keystore.commits import Commits
from keystore.prepared import Prepared, Reader

T = TypeVar("T")

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_TIMEOUT_MS = 10_000
COUNTING_TIMEOUT_MS = 250  # a request waits for it, and can do without
ASK_AGAIN = 0.001  # seconds between two tries to take SQLite's write lock
#: Of a table to which others refer: it is not counted while it is empty. PostgreSQL, once told that
#: it is small, would go on reading all of it as it grows, by an index or not, for each such row.
GROWS_FAST = {"info": {"grows_fast": True}}
GREATEST = 2**63 - 1  # no database can be asked for a greater number
#: PostgreSQL keeps the plan of a statement for as long as the connection lives, or until it counts
#: the table anew. One that was made while a table was small reads all of it, also when it has grown
#: to a million rows a minute later. So there is to be an index for whatever is asked for, and
#: reading from end to end is for where there is none.
BY_INDEX = {"enable_seqscan": "off", "jit": "off"}
IN_A_HURRY = {
    "synchronous_commit": "off",
    "lock_timeout": COUNTING_TIMEOUT_MS,
    "statement_timeout": 4 * COUNTING_TIMEOUT_MS,
}
BEGIN = "keyhook_begin"  # execution option: how SQLite is to begin; NONE: not at all


class Base(DeclarativeBase):
    """All tables of all floors; one MetaData, so one history of migrations."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: aware and in UTC in Python, whatever the database makes of it."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a time zone")
        value = value.astimezone(UTC)
        # SQLite has no time zones: there the text is UTC by agreement, so that it sorts.
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


class Many(TypeDecorator[Sequence[Any]]):
    """A list as a single parameter, as each database reads it from a text; see `one_of`."""

    impl = Text
    cache_ok = True

    def __init__(self, item: type[TypeEngine[Any]]) -> None:
        super().__init__()
        self.item = item

    def process_bind_param(self, value: Sequence[Any] | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        # As SQLite's column has it: a UUID is its 32 digits there.
        plain = [one.hex if isinstance(one, UUID) else one for one in value]
        if dialect.name == "sqlite":
            return json.dumps(plain)
        # The driver would take longer over a list than the database over most statements.
        return "{" + ",".join(map(_in_array, plain)) + "}"


def _in_array(item: object) -> str:
    """Return an item as the text of an array has it (PostgreSQL's manual, 8.15.6)."""
    if isinstance(item, str):
        return '"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(item)


def unseen(value: ColumnElement[T]) -> ScalarSelect[T]:
    """Return a parameter that PostgreSQL does not look at when it plans a statement.

    Where it sees that a value finds less than others do, it plans the statement anew for each; that
    may take longer than all the rest. To be used where one plan is right for all values.
    """
    return select(value).scalar_subquery()


class one_of(FunctionElement[bool]):  # noqa: N801 - used like a function
    """`column IN (...)` with one parameter for the whole list (of type Many).

    So the statement is the same however long the list is, and is written and planned once.
    """

    type = Boolean()
    inherit_cache = True
    #: A condition as it is. SQLite, without booleans, would be told "= 1", and not use its index.
    _is_implicitly_boolean = True


@compiles(one_of)
def _in_json(element: Any, compiler: Any, **options: Any) -> str:
    column, values = (compiler.process(one, **options) for one in element.clauses)
    return f"({column} IN (SELECT value FROM json_each({values})))"  # noqa: S608 - our own text


@compiles(one_of, "postgresql")
def _among_array(element: Any, compiler: Any, **options: Any) -> str:
    column, values = element.clauses
    array = ARRAY(values.type.item())
    # Read once, not for each row; and unseen, or each length is planned for. The outer cast only
    # says that what is selected is a list, not rows.
    listed = cast_to(unseen(cast_to(values, array)), array)
    of, among = (compiler.process(one, **options) for one in (column, listed))
    return f"({of} = ANY ({among}))"


class one_from(FunctionElement[bool]):  # noqa: N801 - used like a function
    """`column IN (SELECT ...)`, where the list is made first and is mostly short.

    PostgreSQL then has a table less whose place among the others it has to find; for a statement
    that finds little, that search takes longer than what comes after it.
    """

    type = Boolean()
    inherit_cache = True
    _is_implicitly_boolean = True  # as above


@compiles(one_from)
def _in_select(element: Any, compiler: Any, **options: Any) -> str:
    column, found = (compiler.process(one, **options) for one in element.clauses)
    return f"({column} IN {found})"


@compiles(one_from, "postgresql")
def _in_array_of(element: Any, compiler: Any, **options: Any) -> str:
    column, found = (compiler.process(one, **options) for one in element.clauses)
    return f"({column} = ANY (ARRAY{found}))"


def inserting(dialect: Dialect, table: Any) -> postgresql.Insert:
    """Return the dialect's own INSERT; both have ON CONFLICT, in the same words."""
    insert = sqlite.insert if dialect.name == "sqlite" else postgresql.insert
    return cast("postgresql.Insert", insert(table))


class Database:
    """One database: hands out sessions, brings the tables up to date."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = _engine(url)
        #: The same pool without transactions, for single reads.
        self.reader = self.engine.execution_options(
            **{BEGIN: "NONE"} if self.is_sqlite else {"isolation_level": "AUTOCOMMIT"}
        )
        self._fast_reader = Reader(self.engine)
        self._counter = Reader(_engine(url, counting=True))
        path = make_url(url).database if self.is_sqlite else None
        self._commits = Commits(path, self.raw_connection) if path else None

    @property
    def is_sqlite(self) -> bool:
        """Whether one file and one writer at a time is all there is."""
        return self.engine.dialect.name == "sqlite"

    def session(self) -> Session:
        """Return a new session that has not begun; use it as a context manager."""
        return Session(self.engine, expire_on_commit=False, autoflush=False)

    def prepared(self, statement: Select[*tuple[Any, ...]]) -> Prepared:
        """Return a single read that is compiled once, for where speed counts most."""
        return Prepared(self._fast_reader, statement)

    def counting(self, statement: ReturnsRows) -> Prepared:
        """Return a statement for counting: a power cut may undo it, and it never waits for long."""
        return Prepared(self._counter, statement)

    def mark(self) -> bytes | None:
        """Return what is different after each commit, by whatever process; costs hardly anything.

        None: nothing but a look into the database tells, as on PostgreSQL.
        """
        return None if self._commits is None else self._commits.mark()

    def raw_connection(self) -> Any:
        """Return a new connection of the driver's own, which the caller closes."""
        connection = self.engine.raw_connection()
        driver = connection.driver_connection
        connection.detach()  # the pool counts it no longer
        return driver

    def upgrade(self) -> None:
        """Bring the tables to the newest revision."""
        command.upgrade(self._alembic(), "head")

    def is_current(self) -> bool:
        """Tell whether the tables are those that this version needs."""
        with self.engine.connect() as connection:
            present = MigrationContext.configure(connection).get_current_heads()
        return set(present) == set(ScriptDirectory.from_config(self._alembic()).get_heads())

    def _alembic(self) -> Config:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        config.attributes["engine"] = self.engine
        return config

    def analyze(self) -> None:
        """Let the database count its rows anew; after many were added its plans depend on it."""
        with self.engine.connect() as connection, connection.begin():
            for counted in Base.metadata.sorted_tables:
                is_filled = select(exists().select_from(counted))
                if not counted.info.get("grows_fast") or connection.scalar(is_filled):
                    connection.exec_driver_sql(f"ANALYZE {counted.name}")

    def dispose(self) -> None:
        """Close every connection that is not in use."""
        self._fast_reader.dispose()
        self._counter.dispose()
        self.engine.dispose()
        if self._commits is not None:
            self._commits.close()


@contextmanager
def writing(session: Session) -> Iterator[None]:
    """Open one write transaction; commit at the end, roll back on an exception.

    SQLite takes the write lock at the start: a transaction that reads first and then wants to
    write would otherwise fail at once when another was faster, however long it could have waited.
    """
    with session.begin():
        session.connection(execution_options={BEGIN: "IMMEDIATE"})
        yield


def _make_private(path: str | None) -> None:
    """Make the file before SQLite does: nobody else may read it, nor what SQLite puts beside it."""
    if path and not path.startswith("file:") and Path(path).parent.is_dir():
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))


def _engine(url: str, *, counting: bool = False) -> Engine:
    if make_url(url).get_backend_name() == "sqlite":
        return _sqlite(url, counting=counting)
    engine = create_engine(
        url, hide_parameters=True, pool_pre_ping=True, pool_size=10, max_overflow=20
    )
    wanted = BY_INDEX | IN_A_HURRY if counting else BY_INDEX

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.execute("; ".join(f"SET {name} = {value}" for name, value in wanted.items()))
        connection.commit()

    return engine


def _sqlite(url: str, *, counting: bool) -> Engine:
    _make_private(make_url(url).database)
    timeout_ms = COUNTING_TIMEOUT_MS if counting else BUSY_TIMEOUT_MS
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": timeout_ms / 1000})

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        # The driver is not to begin transactions by itself; we say BEGIN, and how.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        # FULL: a committed event outlives a power cut, not only a crash of ours. NORMAL: a power
        # cut may undo the last commits, and leaves the file whole.
        cursor.execute(f"PRAGMA synchronous = {'NORMAL' if counting else 'FULL'}")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        how = connection.get_execution_options().get(BEGIN, "DEFERRED")
        if how == "IMMEDIATE":
            _begin_writing(connection, timeout_ms)
        elif how != "NONE":
            connection.exec_driver_sql(f"BEGIN {how}")

    return engine


def _begin_writing(connection: Connection, timeout_ms: int) -> None:
    """Take SQLite's write lock, asking again and again for so long.

    SQLite's own way of waiting sleeps longer each time, up to 100 ms, while whoever has just come
    asks more often: who had waited longest would wait longest.
    """
    driver: Any = connection.connection.driver_connection
    until = time.monotonic() + timeout_ms / 1000
    driver.execute("PRAGMA busy_timeout = 0")
    try:
        while True:
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            except OperationalError as error:
                code: int = getattr(error.orig, "sqlite_errorcode", 0)
                if code & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                    raise
            else:
                return
            time.sleep(ASK_AGAIN)
    finally:
        driver.execute(f"PRAGMA busy_timeout = {timeout_ms}")
