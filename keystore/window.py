"""How many requests fit into a sliding window: a log of what was granted lately.

A grant is a number of requests, and the moment until which they count. It counts for a whole window
after the last moment at which one of them may be made, so in no window of that length there are
ever more than the limit. A single request is made when it is granted. Who is granted several (a
lease) may make them during LEASE, and has to forget the rest.

Moments are whole microseconds since 1970, so that nothing is lost by rounding.
"""

import json
from typing import NamedTuple

SECOND = 1_000_000
WINDOW = 60 * SECOND
LEASE = SECOND
#: From this limit on a lease holds more than one request.
LEASED_FROM = 2 * WINDOW // LEASE
#: So many grants a log may have before the nearest two become one; below this, it is exact.
MOST_GRANTS = 64
#: A clock that is further behind was set back; one that is less so is another machine's.
TOLERANCE = 5 * 60 * SECOND

Grants = tuple[tuple[int, int], ...]


class Log(NamedTuple):
    """What was granted, as (until, count), the first to leave first; and the latest time seen."""

    seen: int
    grants: Grants
    era: int = 0  # how often the clock was set back far


class Grant(NamedTuple):
    """So many requests that may be made; they count in the log of this era until then."""

    size: int
    until: int
    era: int


EMPTY = Log(0, ())


def parse(text: str) -> Log:
    """Read a log from the text that `dump` made of it."""
    era, seen, *flat = json.loads(text)
    return Log(seen, tuple(zip(flat[::2], flat[1::2], strict=True)), era)


def dump(log: Log) -> str:
    """Write a log as one flat JSON array: era, seen, until, count, until, count ..."""
    flat = [number for grant in log.grants for number in grant]
    return json.dumps([log.era, log.seen, *flat], separators=(",", ":"))


def used(log: Log) -> int:
    """Return how many requests count now."""
    return sum(count for _, count in log.grants)


def share(limit: int) -> int:
    """Return how many requests to ask for at once: what a key may make in the time of a lease."""
    return max(1, limit * LEASE // WINDOW)


def at(log: Log, now: int) -> Log:
    """Return the log as it is at a moment, without what has left.

    Time never goes back: a moment before the latest one counts as that one. Only when a clock was
    set back by more than TOLERANCE the log follows, as keys would be shut out until the clock is
    there again; what was granted then counts for a whole window from now.
    """
    if log.seen - now > TOLERANCE:
        last = now + LEASE + WINDOW
        capped = tuple((min(until, last), count) for until, count in log.grants)
        return Log(now, capped, log.era + 1)
    now = max(now, log.seen)
    return Log(now, tuple(grant for grant in log.grants if grant[0] > now), log.era)


def take(log: Log, limit: int, wanted: int) -> tuple[Grant, Log]:
    """Grant up to so many requests, as far as the limit goes, at the log's present moment.

    Returns what was granted, and the log with it. Of more than one request, the first is made now
    and the others within LEASE.
    """
    size = max(0, min(wanted, limit - used(log)))
    grant = Grant(size, log.seen + WINDOW + (LEASE if size > 1 else 0), log.era)
    return grant, (add(log, ((grant.until, size),)) if size else log)


def add(log: Log, grants: Grants) -> Log:
    """Return the log with further grants; whoever counts on fewer than MOST_GRANTS keeps them."""
    merged = sorted((*log.grants, *grants))
    while len(merged) > MOST_GRANTS:
        # The earlier of the two stays until the later leaves: this may refuse, never let in more.
        near = min(range(len(merged) - 1), key=lambda one: merged[one + 1][0] - merged[one][0])
        (_, count), (until, more) = merged[near : near + 2]
        merged[near : near + 2] = [(until, count + more)]
    return log._replace(grants=tuple(merged))


def give_back(log: Log, grant: Grant, count: int) -> Log:
    """Return the log without so many requests of a lease, which will never be made.

    A lease that was merged with others is found in the next one that leaves no earlier than it; to
    take from one that leaves earlier than the right one would only refuse more.
    """
    if grant.era != log.era or grant.until <= log.seen:
        return log  # it is there no longer, or not to be told from others
    grants = list(log.grants)
    for index, (until, held) in enumerate(grants):
        if until >= grant.until:
            grants[index : index + 1] = [(until, held - count)] if held > count else []
            break
    return log._replace(grants=tuple(grants))


def free_at(log: Log, limit: int) -> int:
    """Return the moment from which one more request passes, if nobody else makes one."""
    surplus = used(log) - limit + 1
    moment = log.seen
    for until, count in log.grants:
        if surplus <= 0:
            break
        surplus -= count
        moment = until
    return moment
