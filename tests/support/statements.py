"""What is asked of a database meanwhile, by whichever way."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from sqlalchemy import event

from keystore.db import Database


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """Collect the SQL that goes to this database, through its engine and past it."""
    asked: list[str] = []
    reader = database._fast_reader
    fetch = reader.fetch

    def through_the_engine(_c: object, _cursor: object, statement: str, *_more: object) -> None:
        asked.append(statement)

    def past_it(sql: str, parameters: Any) -> list[tuple[Any, ...]]:
        asked.append(sql)
        return fetch(sql, parameters)

    event.listen(database.engine, "before_cursor_execute", through_the_engine)
    try:
        with patch.object(reader, "fetch", past_it):
            yield asked
    finally:
        event.remove(database.engine, "before_cursor_execute", through_the_engine)
