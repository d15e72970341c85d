"""The only source of time. Everything else takes a moment, or a clock, as a parameter."""

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Something that knows the present moment."""

    def now(self) -> datetime:
        """Return the present moment, aware and in UTC."""
        ...


class SystemClock:
    """The machine's wall clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class RisingClock:
    """A clock that never goes back: what a process has seen as past stays past."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._highest = clock.now()

    def now(self) -> datetime:
        """Return the highest time seen."""
        self._highest = max(self._highest, self._clock.now())
        return self._highest


def rising(clock: Clock) -> RisingClock:
    """Return a clock that follows this one and never goes back; one that does so already, as is."""
    return clock if isinstance(clock, RisingClock) else RisingClock(clock)


class ManualClock:
    """A clock that moves only when told to; shipped so that users can test as we do."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def advance(self, step: timedelta | float) -> datetime:
        """Move by a step (a timedelta, or seconds; may be negative) and return the new moment."""
        self._now += step if isinstance(step, timedelta) else timedelta(seconds=step)
        return self._now
