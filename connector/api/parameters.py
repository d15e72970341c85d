"""Query parameters, read strictly; all that is wrong with them is told at once.

An empty value counts as not given, except for numbers, which the contract says are never null, and
for lists of values to filter by.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

from werkzeug.datastructures import MultiDict

from connector.meetings import moments
from connector.meetings.fields import as_uuid, fold_email, is_email
from connector.problems import BadRequest

MAX_VALUES = 100  # in one comma-separated list
MAX_PAGE = 10**9  # beyond this an offset would leave the databases' integers

NO_MOMENT = datetime.min.replace(tzinfo=UTC)  # stands in for a wrong one until `check`

_DIGITS = re.compile(r"\d{1,19}", re.ASCII)
_NUMBER = re.compile(r"\d{1,15}(\.\d{1,15})?", re.ASCII)
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}

C = TypeVar("C", bound=str)


class Parameters:
    """One request's query. Ask for every parameter, then call `check` before using any."""

    def __init__(self, arguments: MultiDict[str, str]) -> None:
        self._arguments = arguments
        self.errors: dict[str, list[str]] = {}

    def check(self) -> None:
        """Raise BadRequest when a parameter asked for so far was missing or wrong."""
        if self.errors:
            raise BadRequest(fields=self.errors)

    def window(self) -> tuple[datetime, datetime]:
        """Return the required `from_date` and `to_date`, both inclusive, in UTC."""
        start = self._moment("from_date", moments.window_start)
        end = self._moment("to_date", moments.window_end)
        if not self.errors and end < start:
            self._wrong("to_date", "Must not be before from_date.")
        return start, end

    def open_window(self) -> tuple[datetime | None, datetime | None]:
        """Return `from_date` and `to_date`, each None when it is not given."""
        start, end = (
            self._moment(name, read) if self._text(name) else None
            for name, read in (("from_date", moments.window_start), ("to_date", moments.window_end))
        )
        return start, end

    def before(self, maximum: int) -> int | None:
        """Return the number before which a page ends, or None when it is the newest."""
        return self._whole("before", 1, maximum) if "before" in self._arguments else None

    def page(self) -> int:
        """Return the number of the page, from 1."""
        return self._whole("page", 1, MAX_PAGE)

    def page_size(self, default: int, maximum: int) -> int:
        """Return how many results make a page."""
        return self._whole("page_size", default, maximum)

    def limit(self, default: int, maximum: int) -> int:
        """Return how many results there may be."""
        return self._whole("limit", default, maximum)

    def number(self, name: str) -> float | None:
        """Return a number of at least 0, or None when it is not given."""
        text = self._arguments.get(name)
        if text is None:
            return None
        if _NUMBER.fullmatch(text) is None:
            self._wrong(name, "Must be a number of at least 0.")
            return None
        return float(text)

    def boolean(self, name: str) -> bool | None:
        """Return true or false, or None when it is not given."""
        text = self._text(name)
        if text is None:
            return None
        value = _BOOLEANS.get(text.lower())
        if value is None:
            self._wrong(name, "Must be true or false.")
        return value

    def choice(self, name: str, choices: Sequence[C], default: C) -> C:
        """Return one of the choices."""
        text = self._text(name)
        if text is None:
            return default
        for choice in choices:
            if text == choice:
                return choice
        self._wrong(name, f"Must be one of {', '.join(choices)}.")
        return default

    def uuid(self, name: str) -> UUID | None:
        """Return a uuid, or None when it is not given."""
        text = self._text(name)
        if text is None:
            return None
        uuid = as_uuid(text)
        if uuid is None:
            self._wrong(name, "Must be a uuid.")
        return uuid

    def emails(self, name: str) -> tuple[str, ...]:
        """Return comma-separated e-mail addresses, folded."""
        values = self.values(name)
        if not all(map(is_email, values)):
            self._wrong(name, "Must be e-mail addresses, separated by commas.")
        return tuple(map(fold_email, values))

    def text(self, name: str) -> str | None:
        """Return a text, or None when it is not given."""
        text = self._text(name)
        self._refuse_nul(name, text or "")
        return text

    def values(self, name: str) -> tuple[str, ...]:
        """Return comma-separated values; the parameter may also come more than once."""
        text = ",".join(self._arguments.getlist(name))
        values = tuple(dict.fromkeys(one.strip() for one in text.split(",") if one.strip()))
        if name in self._arguments and not values:
            # Whoever filters by a value that turns out empty does not mean: anybody's.
            self._wrong(name, "Must have a value; leave the parameter out to see all.")
        if len(values) > MAX_VALUES:
            self._wrong(name, f"Must have at most {MAX_VALUES} values.")
        self._refuse_nul(name, text)
        return values

    def _moment(self, name: str, read: Callable[[str], datetime]) -> datetime:
        text = self._text(name)
        try:
            if text is not None:
                return read(text)
            self._wrong(name, "This parameter is required.")
        except ValueError as error:
            self._wrong(name, str(error))
        return NO_MOMENT

    def _whole(self, name: str, default: int, maximum: int) -> int:
        text = self._arguments.get(name)
        if text is None:
            return default
        value = int(text) if _DIGITS.fullmatch(text) else 0
        if not 1 <= value <= maximum:
            self._wrong(name, f"Must be a whole number from 1 to {maximum}.")
        return value

    def _refuse_nul(self, name: str, text: str) -> None:
        if "\x00" in text:  # which PostgreSQL cannot be asked for
            self._wrong(name, "Must not contain the NUL character.")

    def _text(self, name: str) -> str | None:
        return (self._arguments.get(name) or "").strip() or None

    def _wrong(self, name: str, message: str) -> None:
        self.errors.setdefault(name, []).append(message)
