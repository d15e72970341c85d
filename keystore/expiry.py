"""When to tell of a key's expiry, and in which words. Pure decisions."""

from datetime import datetime, timedelta

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
#: So many days before the end somebody is told, the earliest first; once more at the end itself.
THRESHOLDS = (30, 7, 1)
EXPIRED = 0


def reached(expires_at: datetime, now: datetime) -> int | None:
    """Return the nearest threshold, in days, that a key has come to; EXPIRED at its end."""
    return min(
        (days for days in (*THRESHOLDS, EXPIRED) if expires_at - days * DAY <= now), default=None
    )


def ahead(expires_at: datetime | None, now: datetime) -> datetime | None:
    """Return the next moment at which there will be something to tell."""
    if expires_at is None:
        return None
    moments = [expires_at - days * DAY for days in (*THRESHOLDS, EXPIRED)]
    return min((moment for moment in moments if moment > now), default=None)


def due(expires_at: datetime | None, now: datetime) -> datetime | None:
    """Return the next moment to tell of an expiry that nobody has been told of: it may be now."""
    if expires_at is None:
        return None
    return now if reached(expires_at, now) is not None else ahead(expires_at, now)


def is_near(expires_at: datetime, now: datetime) -> bool:
    """Tell whether a key that has not expired will do so before long."""
    return reached(expires_at, now) in THRESHOLDS


def in_words(left: timedelta) -> str:
    """Return a positive span as a person would say it: “in 5 days”."""
    hours = round(left / HOUR)
    if hours >= DAY // HOUR:
        return _counted(round(left / DAY), "day")
    return _counted(hours, "hour") if hours else "in less than an hour"


def _counted(number: int, unit: str) -> str:
    return f"in {number} {unit}" if number == 1 else f"in {number} {unit}s"
