"""What is asked of a database meanwhile, by whichever way."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from sqlalchemy import event

from keystore.db import Database
from keystore.prepared import Reader


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """Collect the SQL that goes to this database, through its engine and past it."""
    asked: list[str] = []

    def through_the_engine(_c: object, _cursor: object, statement: str, *_more: object) -> None:
        asked.append(statement)

    event.listen(database.engine, "before_cursor_execute", through_the_engine)
    try:
        with _fetched(database._fast_reader, asked):
            yield asked
    finally:
        event.remove(database.engine, "before_cursor_execute", through_the_engine)


@contextmanager
def counted_statements(database: Database) -> Iterator[list[str]]:
    """Collect the SQL that goes to this database to count requests."""
    asked: list[str] = []
    with _fetched(database._counter, asked):
        yield asked


@contextmanager
def _fetched(reader: Reader, asked: list[str]) -> Iterator[None]:
    fetch = reader.fetch

    def noting(sql: str, parameters: Any) -> list[tuple[Any, ...]]:
        asked.append(sql)
        return fetch(sql, parameters)

    with patch.object(reader, "fetch", noting):
        yield
