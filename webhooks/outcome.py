"""What became of one attempt: the value that transport makes, retry judges and the log keeps."""

from enum import StrEnum
from typing import NamedTuple

TOO_MANY_REQUESTS = 429
GONE = 410
SUCCESS = range(200, 300)


class Ending(StrEnum):
    """How an attempt ended, whatever the receiver thought of it."""

    ANSWERED = "answered"  # a whole HTTP answer came, of any status
    TIMED_OUT = "timed_out"  # the deadline passed first
    UNREACHABLE = "unreachable"  # no such host, no connection, or no TLS that we accept
    BROKEN = "broken"  # connected, but the answer was cut short or was not HTTP
    REFUSED = "refused"  # the address is one that we do not send to
    UNSENT = "unsent"  # the request could not be made from what is stored


class Outcome(NamedTuple):
    """One attempt's result. The error is our own sentence: it never names an address."""

    ending: Ending
    duration_ms: int
    status: int | None = None  # also of an answer that was then cut short
    error: str | None = None
    retry_after: str | None = None  # the header's text as received
    excerpt: str = ""  # the beginning of the answer's body
    head: bytes = b""  # the header lines, of an answer for which somebody waits

    @property
    def delivered(self) -> bool:
        """Whether the receiver acknowledged: a whole answer with any 2xx status."""
        return self.ending is Ending.ANSWERED and self.status in SUCCESS

    @property
    def throttled(self) -> bool:
        """Whether the receiver only asked for more time."""
        return self.ending is Ending.ANSWERED and self.status == TOO_MANY_REQUESTS
