"""What events are known by: ids that go up with time."""

from datetime import UTC, datetime, timedelta
from secrets import randbits
from uuid import UUID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_VERSION = 7 << 76
_VARIANT = 0b10 << 62


def new_event_id(now: datetime) -> UUID:
    """Return an id for what happens now: a UUIDv7 (RFC 9562, section 5.7).

    48 bits are the milliseconds since 1970, 74 are chance. Indexes of such ids grow at one end; of
    ids by chance alone each one is written to another page.
    """
    milliseconds = (now - _EPOCH) // _MILLISECOND
    return UUID(int=milliseconds << 80 | _VERSION | randbits(12) << 64 | _VARIANT | randbits(62))
