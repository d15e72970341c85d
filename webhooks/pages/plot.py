"""Deliveries and their latency over the last day, as bars and a line to be drawn. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from webhooks.models import DeliveryState

HOURS = 24
HEIGHT = 60  # of the tallest bar, in the drawing's own units
STEP = 20  # from one bar to the next

#: (published at, ended at, state)
Row = tuple[datetime, datetime | None, DeliveryState]


@dataclass(frozen=True)
class Bar:
    """One hour: how many were delivered and how many were not, and how long the former took."""

    x: int
    delivered: int
    other: int
    delivered_height: int
    other_height: int
    median_ms: int | None  # from being published to being acknowledged
    hour: datetime


def bars(rows: Iterable[Row], now: datetime) -> Sequence[Bar]:
    """Return a bar for each of the last hours, oldest first; empty when there is nothing."""
    first = now - timedelta(hours=HOURS)
    delivered: list[list[float]] = [[] for _ in range(HOURS)]
    other = [0] * HOURS
    for published, ended, state in rows:
        hour = (published - first) // timedelta(hours=1)
        if not 0 <= hour <= HOURS:
            continue
        hour = min(hour, HOURS - 1)  # this very moment
        if state is DeliveryState.DELIVERED and ended is not None:
            delivered[hour].append((ended - published).total_seconds() * 1000)
        else:
            other[hour] += 1
    highest = max(len(one) + more for one, more in zip(delivered, other, strict=True))
    if not highest:
        return ()
    return [
        Bar(
            x=number * STEP,
            delivered=len(one),
            other=more,
            delivered_height=_height(len(one), highest),
            other_height=_height(more, highest),
            median_ms=round(median(one)) if one else None,
            hour=first + timedelta(hours=number),
        )
        for number, (one, more) in enumerate(zip(delivered, other, strict=True))
    ]


def _height(count: int, highest: int) -> int:
    """Return a bar's height; what there is can be seen, however little."""
    return 0 if not count else max(1, round(HEIGHT * count / highest))
