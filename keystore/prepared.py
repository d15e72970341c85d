"""Single statements that must be fast: compiled once, run by the driver.

SQLAlchemy writes the SQL and converts the values; what it does for each call beside that (check a
connection out of the pool, look for the compiled form, build a result) costs several times what a
look-up by an index does, and is left out here. What is `Prepared` runs on connections that are kept
open, each statement a transaction of its own that sees what was committed before it; what is
`Direct` runs in the transaction of whoever calls it.
"""

from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

from sqlalchemy.engine import Connection, Dialect, Engine
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.sql.expression import Executable
from sqlalchemy.sql.selectable import ReturnsRows

_Convert = Callable[[Any], Any]


class Reader:
    """Connections for single statements, outside of the engine's pool; any thread may borrow one.

    One that broke as it lay idle is replaced and the statement run again, so it must be one that
    does no harm the second time.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._idle: list[Any] = []  # its pop and append need no lock

    def fetch(self, sql: str, parameters: Any) -> list[tuple[Any, ...]]:
        """Run one statement; raises what SQLAlchemy would (sqlalchemy.exc)."""
        while True:
            connection = self._borrow()
            fresh = connection is None
            try:
                if connection is None:
                    connection = self._open()
                rows = connection.execute(sql, parameters).fetchall()
            except Exception as error:
                if connection is not None:
                    connection.close()
                # One that broke while it lay idle says nothing of the database as it is now.
                if not fresh and self._broken(error, connection):
                    continue
                raise _translated(error, self.engine.dialect) from error
            self._idle.append(connection)
            return cast("list[tuple[Any, ...]]", rows)

    def dispose(self) -> None:
        """Close the connections that nobody has borrowed."""
        while (connection := self._borrow()) is not None:
            connection.close()

    def _borrow(self) -> Any:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _open(self) -> Any:
        connection = self.engine.raw_connection()
        driver = connection.driver_connection
        connection.detach()  # the pool counts it no longer
        if self.engine.dialect.name != "sqlite":  # where it is so from the start
            driver.autocommit = True  # type: ignore[union-attr]
        return driver

    def _broken(self, error: Exception, connection: Any) -> bool:
        return self.engine.dialect.is_disconnect(error, connection, None)  # type: ignore[arg-type]


def _translated(error: Exception, dialect: Dialect) -> Exception:
    """Return the error of a driver as SQLAlchemy's (sqlalchemy.exc), without any parameter."""
    if isinstance(error, DBAPIError):
        return error
    base = dialect.loaded_dbapi.Error
    made = DBAPIError.instance(None, None, error, base, hide_parameters=True)
    return cast("Exception", made)


class Prepared:
    """One statement that returns rows, all of whose parameters are texts (a UUID's: its hex)."""

    def __init__(self, reader: Reader, statement: ReturnsRows) -> None:
        dialect = reader.engine.dialect
        compiled = statement.compile(dialect=dialect)
        self._sql = str(compiled)
        self._order = cast("Any", compiled).positiontup  # None: by name
        self._reader = reader
        columns = list(statement.exported_columns)
        names = [str(column.key) for column in columns]
        row: Any = namedtuple("Row", names)  # type: ignore[misc]  # noqa: PYI024 - known only here
        self._row: Callable[[list[Any]], Any] = row._make
        converters = [
            column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns
        ]
        self._converters = [(at, one) for at, one in enumerate(converters) if one is not None]

    def __call__(self, **parameters: str) -> list[Any]:
        """Run it with these values, and return the rows, their values by name."""
        given: Any = parameters
        if self._order is not None:
            given = [parameters[name] for name in self._order]
        rows = []
        for values in self._reader.fetch(self._sql, given):
            row = list(values)
            for at, convert in self._converters:
                if row[at] is not None:
                    row[at] = convert(row[at])
            rows.append(self._row(row))
        return rows


class Direct:
    """One statement, run in the transaction of its caller, on the connection that is open there.

    Raises what SQLAlchemy would (sqlalchemy.exc). Whoever listens to the engine for
    "before_cursor_execute" hears of it as of any other.
    """

    def __init__(self, statement: Executable, columns: Sequence[str] | None = None) -> None:
        """columns: of an insert, those that are given; None: all."""
        self._statement = statement
        self._columns = columns
        self._forms = dict[str, _Form]()  # by the name of the dialect

    def rows(self, connection: Connection, **values: object) -> list[Any]:
        """Run it and return its rows: tuples, or lists where values had to be converted."""
        form = self._form(connection.dialect)
        with _cursor(connection) as cursor:
            _run(connection, cursor, form.sql, form.parameters(values))
            rows: list[Any] = cursor.fetchall()
        if form.from_columns:
            rows = [list(row) for row in rows]
            for at, convert in form.from_columns:
                known = {None: None}  # the same values are converted once
                for row in rows:
                    value = row[at]
                    if value not in known:
                        known[value] = convert(value)
                    row[at] = known[value]
        return rows

    def run(self, connection: Connection, **values: object) -> None:
        """Run it for what it does."""
        form = self._form(connection.dialect)
        with _cursor(connection) as cursor:
            _run(connection, cursor, form.sql, form.parameters(values))

    def run_many(self, connection: Connection, given: Iterable[Mapping[str, object]]) -> None:
        """Run it once with each of these values."""
        form = self._form(connection.dialect)
        with _cursor(connection) as cursor:
            _run(connection, cursor, form.sql, form.many_parameters(given), many=True)

    def _form(self, dialect: Dialect) -> "_Form":
        form = self._forms.get(dialect.name)
        if form is None:
            form = self._forms[dialect.name] = _form(self._statement, self._columns, dialect)
        return form


class _Form(NamedTuple):
    """A statement as one kind of database has it."""

    sql: str
    order: Sequence[str] | None  # of its parameters; None: they go by name
    constants: Mapping[str, object]
    to_parameters: Sequence[tuple[str, _Convert]]
    from_columns: Sequence[tuple[int, _Convert]]

    def parameters(self, values: dict[str, object]) -> Any:
        """Return values as the driver takes them; may change what it is given."""
        with self._converting():
            for name, convert in self.to_parameters:
                values[name] = convert(values[name])
        return self._in_order(values)

    def many_parameters(self, given: Iterable[Mapping[str, object]]) -> list[Any]:
        """Return many values as the driver takes them; the same ones are converted once."""
        rows = [dict(values) for values in given]
        with self._converting():
            for name, convert in self.to_parameters:
                known = dict[Any, Any]()
                for row in rows:
                    value: Any = row[name]
                    if value not in known:
                        known[value] = convert(value)
                    row[name] = known[value]
        return [self._in_order(row) for row in rows]

    @contextmanager
    def _converting(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            raise StatementError(
                f"a value is no good ({type(error).__name__})",
                self.sql,
                None,
                error,
                hide_parameters=True,
            ) from error

    def _in_order(self, values: dict[str, object]) -> Any:
        if self.constants:
            values = {**self.constants, **values}
        return values if self.order is None else [values[name] for name in self.order]


def _form(statement: Executable, columns: Sequence[str] | None, dialect: Dialect) -> _Form:
    compiled = cast("Any", statement).compile(dialect=dialect, column_keys=columns)
    constants, to_parameters = dict[str, object](), dict[str, _Convert]()
    for bind, name in compiled.bind_names.items():
        convert = bind.type.dialect_impl(dialect).bind_processor(dialect)
        if not bind.required:
            constants[name] = convert(bind.value) if convert else bind.value
        elif convert is not None:
            to_parameters[name] = convert
    from_columns = []
    if isinstance(statement, ReturnsRows):
        for at, column in enumerate(statement.exported_columns):
            convert = column.type.dialect_impl(dialect).result_processor(dialect, None)
            if convert is not None:
                from_columns.append((at, convert))
    return _Form(
        str(compiled), compiled.positiontup, constants, list(to_parameters.items()), from_columns
    )


#: PostgreSQL writes binary answers faster than texts, and psycopg reads them faster.
_CURSORS = {"postgresql": {"binary": True}}


@contextmanager
def _cursor(connection: Connection) -> Iterator[Any]:
    cursor = connection.connection.cursor(**_CURSORS.get(connection.dialect.name, {}))
    try:
        yield cursor
    except connection.dialect.loaded_dbapi.Error as error:
        raise _translated(error, connection.dialect) from error
    finally:
        cursor.close()


def _run(
    connection: Connection, cursor: Any, sql: str, parameters: Any, *, many: bool = False
) -> None:
    listened: Any = connection, connection.engine
    if any(one._has_events for one in listened):  # noqa: SLF001 - nothing public tells it
        connection.dispatch.before_cursor_execute(connection, cursor, sql, parameters, None, many)
    if many:
        cursor.executemany(sql, parameters)
    else:
        cursor.execute(sql, parameters)
