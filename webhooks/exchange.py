"""One request at a time, apart from the deliveries: somebody waits for what comes of it."""

from collections.abc import Sequence
from threading import Lock
from typing import NamedTuple
from uuid import UUID

from webhooks.addresses import Network
from webhooks.errors import Busy
from webhooks.outcome import Outcome
from webhooks.transport import KEPT_BYTES, Transport

#: In one process: whoever waits for a slow target keeps a thread of the server busy. Of these each
#: organization has one, so that none can have them all.
AT_ONCE = 2
TIMEOUT = 10.0  # seconds, at most


class Answer(NamedTuple):
    """What came of a request. Names of headers are in lower case; of doubled ones the last is."""

    outcome: Outcome
    headers: dict[str, str]

    @property
    def is_cut(self) -> bool:
        """Whether there may be more of the body than was kept."""
        return len(self.outcome.excerpt.encode()) >= KEPT_BYTES


class Exchange:
    """Sends as a worker does, by the same transport, which judges every address it dials."""

    def __init__(
        self,
        *,
        allow_networks: Sequence[Network] = (),
        timeout: float = TIMEOUT,
        authorities: str | None = None,
    ) -> None:
        """Make ready; options as those of `Transport`."""
        self._allowed = tuple(allow_networks)
        self._timeout = min(timeout, TIMEOUT)
        self._authorities = authorities
        self._waiting = set[UUID]()
        self._lock = Lock()

    def send(
        self,
        organization_id: UUID,
        url: str,
        lines: Sequence[str],
        body: bytes = b"",
        *,
        method: str = "POST",
    ) -> Answer:
        """Make one request for an organization and wait for its end.

        No transaction is to be open meanwhile. Raises Busy when the organization waits for another
        one already, or too many others do.
        """
        with self._lock:
            if organization_id in self._waiting or len(self._waiting) >= AT_ONCE:
                raise Busy
            self._waiting.add(organization_id)
        try:
            transport: Transport[None] = Transport(
                slots=1,
                timeout=self._timeout,
                allow_networks=self._allowed,
                authorities=self._authorities,
                method=method,
            )
            try:
                transport.start(None, url, lines, body)
                while not (ended := transport.poll(self._timeout)):
                    pass
            finally:
                transport.close()
        finally:
            self._waiting.discard(organization_id)
        [(_, outcome)] = ended
        return Answer(outcome, _headers(outcome.head))


def _headers(head: bytes) -> dict[str, str]:
    """Read the header lines of the last answer; before it there may be interim ones (1xx)."""
    last = head[head.rfind(b"\nHTTP/") + 1 :].decode("latin-1").splitlines()[1:]
    pairs = [line.partition(":") for line in last if ":" in line]
    return {name.strip().lower(): value.strip() for name, _, value in pairs}
