"""How much one endpoint may have of what there is. Pure: numbers and moments in, the same out.

Lanes are served in turn (see `lanes`), and each turn is cut to size here: by how many requests to
the endpoint are under way and how many it is trusted with, by its bucket of tokens, and by the
share of all slots that is kept for first tries.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

from webhooks.windows import Windows

FAILING_CAP = 2  # requests at once to an endpoint whose last attempt failed
MOST_PART = 6  # of all slots, one endpoint has at most the sixth part
LEAST_CAP = 10  # requests at once that any other endpoint may have, however few slots there are
RETRIES_TURN = 8  # in one of so many claims, retries come first
ONE_MICROSECOND = timedelta(microseconds=1)  # what a moment is rounded to


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of tokens, one for each delivery: it holds `burst` and fills at `per_second`.

    What is stored is the moment at which it will be full again, None for one that is full. In any
    stretch of t seconds no more than `burst + t * per_second` are taken.
    """

    burst: int
    per_second: float

    def tokens(self, full_at: datetime | None, now: datetime) -> int:
        """Return how many deliveries may start now."""
        return int(self.burst - self._missing(full_at, now) + 1e-6)

    def take(self, count: int, full_at: datetime | None, now: datetime) -> datetime:
        """Return when it will be full again if so many are taken now."""
        missing = self._missing(full_at, now) + count
        return now + timedelta(seconds=missing / self.per_second)

    def next_at(self, full_at: datetime | None, now: datetime) -> datetime:
        """Return when the next delivery may start."""
        lacking = 1 - (self.burst - self._missing(full_at, now))
        wait = timedelta(seconds=max(0.0, lacking) / self.per_second)
        return now + wait + ONE_MICROSECOND if wait else now

    def _missing(self, full_at: datetime | None, now: datetime) -> float:
        if full_at is None or full_at <= now:
            return 0.0
        return (full_at - now).total_seconds() * self.per_second


#: Zapier takes 30 hooks a second and 10,000 in 5 minutes (its operating constraints): 5 + 25 in any
#: second, and 5 + 7,500 in any five minutes.
ZAPIER_HOST = "hooks.zapier.com"
ZAPIER = Bucket(5, 25.0)


def bucket(rate: int | None, url: str) -> Bucket | None:
    """Return the bucket of an endpoint; None: it takes whatever comes.

    rate: deliveries in any minute, as its subscriber wants it. A second's worth may come at once.
    """
    if rate is not None:
        burst = 1 + rate // 60
        return Bucket(burst, (rate - (burst - 1)) / 60)
    return ZAPIER if urlsplit(url).hostname == ZAPIER_HOST else None


class Room(NamedTuple):
    """What a worker has free, and what each endpoint has of it already."""

    total: int  # deliveries that it takes now
    again: int  # of these, at most so many that are no first tries
    cap: int  # requests at once to one endpoint
    under_way: Mapping[str, int]  # by subscription: its id in hexadecimal
    again_first: bool = False  # whether it is the retries' turn to come before first tries
    windows: Windows | None = None  # what each is trusted with; None: with all that there is

    def for_lane(self, lane: str, *, is_failing: bool) -> int:
        """Return how many more requests to an endpoint may be under way."""
        most = min(self._most(lane), FAILING_CAP) if is_failing else self._most(lane)
        return max(0, most - self.under_way.get(lane, 0))

    def after(self, attempts: Iterable[int]) -> "Room":
        """Return what is left after some were taken. attempts: made before, of each of them."""
        made = list(attempts)
        again = sum(map(bool, made))
        return self._replace(total=self.total - len(made), again=max(0, self.again - again))

    @property
    def full_lanes(self) -> list[UUID]:
        """Return the subscriptions that get nothing more for now, whether they fail or not."""
        return [UUID(one) for one, count in self.under_way.items() if count >= self._most(one)]

    def _most(self, lane: str) -> int:
        return self.cap if self.windows is None else min(self.cap, self.windows.of(lane))


def cap(slots: int, free: int) -> int:
    """Return how many of a worker's slots one endpoint may have, given how many are free.

    Half of what is free at the most (dynamic thresholds, Choudhury and Hahne 1998), so that however
    many endpoints hang for the first time, something is left for all others.
    """
    return max(1, min(max(min(LEAST_CAP, slots), slots // MOST_PART), free // 2))


def is_turn_of_retries(claims: int) -> bool:
    """Tell whether retries come first in the next claim, given how many there were.

    Now and then they do, as an endpoint that always has something new would never get its old.
    """
    return claims % RETRIES_TURN == RETRIES_TURN - 1


def share_for_retries(slots: int) -> int:
    """Return how many of a worker's slots may be taken by what is no first try."""
    return max(1, slots // 2)
