"""The members of a request's body on keys, read strictly; all that is wrong is told at once."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from connector.meetings import moments
from connector.meetings.fields import fold_email, is_email
from connector.problems import BadRequest
from keystore.scopes import DataScope

T = TypeVar("T")

MAX_VALUES = 200
MAX_NUMBER = 10**9

#: What says together what a key may do, on whose data.
GRANT = frozenset({"scopes", "data_scope", "owner"})


class Fields:
    """One body. Read each member, then call `check` before using any."""

    def __init__(self, body: Mapping[str, Any], known: frozenset[str]) -> None:
        self.body = body
        self.wrong = {name: ["There is no such field."] for name in body if name not in known}

    def __contains__(self, name: str) -> bool:
        return name in self.body

    def check(self) -> None:
        """Raise BadRequest when anything was missing or wrong."""
        if self.wrong:
            raise BadRequest(fields=self.wrong)

    def text(self, name: str) -> str:
        """Return a text that must be there."""
        return self._read(name, _text, "")

    def texts(self, name: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """Return a list of texts; with a default it may be left out."""
        if name not in self.body and default is not None:
            return default
        return self._read(name, _texts, ())

    def moment(self, name: str, default: datetime | None) -> datetime | None:
        """Return a moment, or None for null."""
        return self._optional(name, _moment, default)

    def number(self, name: str, default: int | None) -> int | None:
        """Return a whole number, or None for null."""
        return self._optional(name, _number, default)

    def email(self, name: str, default: str | None) -> str | None:
        """Return an e-mail address, or None for null."""
        return self._optional(name, _email, default)

    def data_scope(self, name: str, default: DataScope) -> DataScope:
        """Return a data scope that a key may have."""
        return self._read(name, _data_scope, default) if name in self.body else default

    def flag(self, name: str) -> bool:
        """Return true or false; false when it is left out."""
        return self._read(name, _flag, False) if name in self.body else False

    def _optional(self, name: str, read: Callable[[Any], T], default: T | None) -> T | None:
        if name not in self.body:
            return default
        return None if self.body[name] is None else self._read(name, read, default)

    def _read(self, name: str, read: Callable[[Any], T], otherwise: Any) -> T:
        try:
            return read(self.body.get(name))
        except ValueError as error:
            self.wrong[name] = [str(error)]
            return otherwise  # type: ignore[no-any-return]  # never used: `check` comes first


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("Give a text.")  # noqa: TRY004 - a sentence for the sender
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError("Give a list of texts.")
    if len(value) > MAX_VALUES:
        raise ValueError(f"Give at most {MAX_VALUES} texts.")
    return tuple(value)


def _moment(value: Any) -> datetime:
    return moments.parsed(_text(value))


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= MAX_NUMBER:
        raise ValueError(f"Give a whole number from 0 to {MAX_NUMBER}.")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("Give true or false.")  # noqa: TRY004 - a sentence for the sender
    return value


def _email(value: Any) -> str:
    text = fold_email(_text(value))
    if not is_email(text):
        raise ValueError("Give an e-mail address.")
    return text


def _data_scope(value: Any) -> DataScope:
    choices = [one.value for one in DataScope if one is not DataScope.LEGACY]
    if value not in choices:
        raise ValueError(f"Choose one of {', '.join(choices)}.")
    return DataScope(value)
