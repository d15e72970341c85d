"""What comes after an attempt. Pure: outcome and history in, one decision out.

The schedule is the contract's (meetings API, section 3.7) unless the installation chooses another:
five retries, after 5 minutes, 30 minutes, 2, 12 and 24 hours. A 429 costs none of them, as the
receiver is alive and only asks for time; it has a ladder of its own, which ends too. `Retry-After`
(RFC 9110, section 10.2.3) can make a wait longer, up to a day, never shorter: whoever says "1
second" in an outage would have used up all attempts within six.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Protocol

from webhooks.outcome import GONE, Ending, Outcome

Schedule = tuple[timedelta, ...]

#: The contract's: 38.6 hours in all.
CONTRACT: Schedule = (
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=12),
    timedelta(hours=24),
)
#: That of Standard Webhooks 1.0.0: 75.6 hours in all.
STANDARD: Schedule = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
SCHEDULES = {"contract": CONTRACT, "standard": STANDARD}
JITTER = 0.2  # of the wait, to either side, so that failures of one moment do not return together

FREE_THROTTLES = 24  # at an hour each at the most; from then on a 429 counts as a failure
FIRST_THROTTLE = timedelta(seconds=1)  # doubles with each
LONGEST_THROTTLE = timedelta(hours=1)

LONGEST_ASKED = timedelta(hours=24)

_SECONDS = re.compile(r"[0-9]{1,9}")


class Random(Protocol):
    """A source of randomness; any `random.Random`."""

    def uniform(self, a: float, b: float, /) -> float:
        """Return a number between a and b."""
        ...


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver has it."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again after this delay. A free retry costs no attempt."""

    delay: timedelta
    free: bool = False


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No attempt is left, or none could help."""


@dataclass(frozen=True, slots=True)
class Gone:
    """The receiver wants nothing any more (410): its subscription ends."""


Decision = Delivered | Retry | GiveUp | Gone

DELIVERED = Delivered()


def decide(
    outcome: Outcome,
    *,
    failures: int,
    throttles: int,
    now: datetime,
    random: Random,
    schedule: Schedule = CONTRACT,
) -> Decision:
    """Judge an attempt.

    failures and throttles count the delivery's earlier attempts: those that were spent, and those
    that were answered with 429 for free.
    """
    if outcome.delivered:
        return DELIVERED
    if outcome.ending is Ending.REFUSED:
        return GiveUp()  # the address rule says the same tomorrow
    if outcome.ending is Ending.ANSWERED and outcome.status == GONE:
        return Gone()
    if outcome.throttled and throttles < FREE_THROTTLES:
        wait = min(FIRST_THROTTLE * 2**throttles, LONGEST_THROTTLE)
        return Retry(_stretched(wait, outcome, now, random), free=True)
    if failures >= len(schedule):
        return GiveUp()
    return Retry(_stretched(schedule[failures], outcome, now, random))


def retry_after(text: str | None, now: datetime) -> timedelta:
    """Read a Retry-After header: whole seconds or an HTTP date; zero when it says nothing."""
    text = (text or "").strip()
    if _SECONDS.fullmatch(text):
        return timedelta(seconds=int(text))
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return timedelta()
    if moment.tzinfo is None:  # "-0000": UTC, as every HTTP date
        moment = moment.replace(tzinfo=UTC)
    return max(moment - now, timedelta())


def _stretched(wait: timedelta, outcome: Outcome, now: datetime, random: Random) -> timedelta:
    """Jitter a wait, and lengthen it to what the receiver asked for."""
    own = wait * random.uniform(1 - JITTER, 1 + JITTER)
    asked = min(retry_after(outcome.retry_after, now), LONGEST_ASKED)
    return max(own, asked * random.uniform(1, 1 + JITTER))
