"""Moments in and out: RFC 3339, always UTC when they leave."""

import re
from datetime import UTC, date, datetime, time

EXAMPLE = "2026-01-31T09:30:00Z"

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MOMENT = re.compile(
    r"(?P<day>\d{4}-\d{2}-\d{2})[Tt ](?P<time>\d{2}:\d{2}:\d{2}(?:\.\d+)?)"
    r"(?P<offset>[Zz]|[+ -]\d{2}:\d{2})?",
    re.ASCII,
)
_MICROSECONDS = 6
_END_OF_DAY = time(23, 59, 59, 999999)


def formatted(moment: datetime) -> str:
    """Write a moment as RFC 3339 in UTC with a `Z`; microseconds only where there are some."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def parsed(text: str) -> datetime:
    """Read an RFC 3339 date-time (section 5.6), offset demanded; return it in UTC.

    Raises ValueError with a sentence for the sender.
    """
    match = _MOMENT.fullmatch(text)
    if match is None or match["offset"] is None or match["offset"].startswith(" "):
        raise ValueError(f"Must be a date-time with an offset, such as {EXAMPLE}.")
    return _moment(match)


def window_start(text: str) -> datetime:
    """Read the start of a window from a query: a date (its first moment), or a date-time."""
    return _bound(text, time.min)


def window_end(text: str) -> datetime:
    """Read the inclusive end of a window from a query: a date means its whole day."""
    return _bound(text, _END_OF_DAY)


def _bound(text: str, time_of_date: time) -> datetime:
    text = text.strip()
    if _DATE.fullmatch(text):
        try:
            return datetime.combine(date.fromisoformat(text), time_of_date, UTC)
        except ValueError:
            raise ValueError("There is no such day.") from None
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ValueError(f"Must be a date (2026-01-31) or a date-time ({EXAMPLE}).")
    return _moment(match)


def _moment(match: re.Match[str]) -> datetime:
    """Put the parts together. In a query no offset means UTC, and a space was an unescaped `+`."""
    clock, _, fraction = match["time"].partition(".")
    offset = (match["offset"] or "Z").upper().replace(" ", "+")
    try:
        moment = datetime.fromisoformat(
            f"{match['day']}T{clock}.{fraction[:_MICROSECONDS]:0<6}{offset}"
        )
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("There is no such moment.") from None
