"""Single statements that must be fast: compiled once, run on connections that are kept open.

SQLAlchemy writes the SQL and converts the values; what it does for each call beside that (check a
connection out of the pool, look for the compiled form, build a result) costs several times what a
look-up by an index does, and is left out here. Every statement is a transaction of its own and sees
what was committed before it.
"""

from collections import namedtuple
from collections.abc import Callable
from typing import Any, cast

from sqlalchemy.engine import Dialect, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.selectable import ReturnsRows


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
                raise translated(error, self.engine.dialect) from error
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


def translated(error: Exception, dialect: Dialect) -> Exception:
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
                row[at] = convert(row[at])
            rows.append(self._row(row))
        return rows
