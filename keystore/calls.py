"""The request by which a key acts, as far as it bears on what is done."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Call:
    """What came with the calling key's credential, and with the request itself.

    An access token may allow less than its key does, and less is what counts. Which credential it
    was is told as well: between the request's being let in and what it does, it may have ended.
    """

    at: datetime
    operations: frozenset[str]  # scopes of the credential that was shown
    rate_limit: int  # requests a minute of the calling key, spikes left aside
    secret_id: int  # the secret that was shown, or that has obtained the token that was
    token_id: int | None = None  # the access token that was shown
    # Of a request about a key:
    seen: int | None = None  # the generation that it must have (If-Match)
    name: str | None = None  # digest of the name that its sender gave it (Idempotency-Key)
    content: str = ""  # digest of what it asks for
