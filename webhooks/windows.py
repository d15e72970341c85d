"""How many requests at once each endpoint is trusted with, by how it has answered so far.

Each begins with few and gets one more with every answer: slow start, as TCP has it (RFC 5681,
section 3.1). That an endpoint hangs is known only when a request to it has timed out; until then,
one that has never answered holds no more of a worker's slots than it began with, however much waits
for it.
"""

FIRST = 8  # requests at once, before anything was answered
MOST = 1024  # by then other limits count
MOST_KNOWN = 10_000  # endpoints; when there are more, all begin anew


class Windows:
    """Those of one worker. Any thread may ask, one takes note."""

    def __init__(self) -> None:
        self._sizes = dict[str, int]()  # by lane, of those that have answered

    def of(self, lane: str) -> int:
        """Return how many requests to an endpoint may be under way."""
        return self._sizes.get(lane, FIRST)

    def note(self, lane: str, *, answered: bool) -> None:
        """Take note of how a request has ended. answered: with whatever status."""
        if not answered:
            self._sizes.pop(lane, None)
            return
        if lane not in self._sizes and len(self._sizes) >= MOST_KNOWN:
            self._sizes.clear()
        self._sizes[lane] = min(self.of(lane) + 1, MOST)
