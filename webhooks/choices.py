"""What a subscriber may choose, and what of it is refused. Pure.

Wherever the contract leaves open which choices go together, they do: any event type may go to
either target type. Only teams are for target type 2, as it says (meetings API, section 3.6).
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from webhooks.catalog import Catalog, EventType
from webhooks.errors import BadChoice, BadTargetType, ScopeLacking

ZAPIER = 1
ORGANIZATION = 2
#: The one event type of the contract that is made for platforms.
FOR_PLATFORMS = "new_conversation"

MAX_TYPES = 50
MAX_TEAMS = 100
MAX_HEADERS = 16
MAX_HEADER_NAME = 64
MAX_HEADER_VALUE = 1024
MAX_HEADER_BYTES = 4096  # of all, names and values
MAX_RATE = 60_000  # deliveries a minute
#: In a change: back to what suits the host.
OWN_RATE = 0

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_VALUE = re.compile(r"[!-~](?:[ -~]*[!-~])?")  # printable ASCII, no blank at either end
_OURS = frozenset(
    {
        # Those that belong to one connection (RFC 9110, section 7.6.1), or say where it goes.
        "connection",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        # And those that we write ourselves.
        "accept-encoding",
        "user-agent",
        "x-avoma-signature",
    }
)
_OURS_BEGIN = ("content-", "proxy-", "webhook-")


class Verify(StrEnum):
    """How whoever is at a URL can be asked whether they want events."""

    OPTIONS = "options"  # CloudEvents HTTP web hook 1.0.2, section 4
    CHALLENGE = "challenge"  # a text that has to come back


@dataclass(frozen=True)
class Choices:
    """What may be chosen beside event types and target. None: nothing said; in a change, as it was.

    without: names of parts that payloads are to lack. teams: only what is attributed to somebody
    in one of them; empty: everything. headers: lines that go along with each request. rate:
    deliveries a minute, OWN_RATE for what suits the host.
    """

    without: Collection[str] | None = None
    teams: Collection[UUID] | None = None
    headers: Mapping[str, str] | None = None
    rate: int | None = None


def wanted(
    catalog: Catalog, names: str | Sequence[str], operations: frozenset[str]
) -> tuple[EventType, ...]:
    """Return the event types of these names, each once, for somebody with these scopes.

    Raises BadChoice, UnknownEventType, ScopeLacking.
    """
    names = (names,) if isinstance(names, str) else tuple(dict.fromkeys(names))
    if not 0 < len(names) <= MAX_TYPES:
        raise BadChoice("event_types", f"Choose 1 to {MAX_TYPES} event types.")
    types = tuple(catalog.get(name) for name in names)
    for one in types:
        if lacking := one.needs - operations:
            raise ScopeLacking(one.name, lacking)
    return types


def target_type(asked: int | None, types: Iterable[str], *, by_team: bool) -> int:
    """Return the target type that is meant; raises BadTargetType, BadChoice.

    The contract's default is 2. Who says nothing and wants `new_conversation` alone is a platform.
    """
    if asked is None:
        return ORGANIZATION if by_team or set(types) != {FOR_PLATFORMS} else ZAPIER
    if asked not in {ZAPIER, ORGANIZATION}:
        raise BadTargetType
    if by_team and asked != ORGANIZATION:
        raise BadChoice("teams", "Teams can be chosen with target type 2 only.")
    return asked


def parts_left_out(without: Collection[str], types: Iterable[EventType]) -> str:
    """Return parts as `Subscription.without` holds them; raises BadChoice for an unknown one."""
    known = sorted({part for one in types for part in one.parts})
    if set(without) - set(known):
        choose = f"choose from {', '.join(known)}" if known else "these event types have no parts"
        raise BadChoice("without", f"There is no such part; {choose}.")
    return " ".join(sorted(set(without)))


def check_rate(rate: int) -> int | None:
    """Return a rate as it is stored; raises BadChoice."""
    if not OWN_RATE <= rate <= MAX_RATE:
        raise BadChoice("rate", f"Choose 1 to {MAX_RATE} deliveries a minute, 0 for our own pace.")
    return rate or None


def header_lines(headers: Mapping[str, str]) -> dict[str, str]:
    """Return own headers by name in lower case, sorted; raises BadChoice.

    What steers the connection or the body, or is ours to write, is refused; `authorization` is not.
    """
    lines: dict[str, str] = {}
    for name, value in sorted(headers.items(), key=lambda header: header[0].lower()):
        lower = name.lower()
        if len(name) > MAX_HEADER_NAME or not _TOKEN.fullmatch(name):
            raise BadChoice("headers", "A header's name is a token of at most 64 characters.")
        if lower in _OURS or lower.startswith(_OURS_BEGIN):
            raise BadChoice("headers", f"The header {lower} cannot be chosen.")
        if lower in lines:
            raise BadChoice("headers", f"The header {lower} is there twice.")
        if len(value) > MAX_HEADER_VALUE or not _VALUE.fullmatch(value):
            raise BadChoice(
                "headers",
                f"The value of {lower} is not 1 to {MAX_HEADER_VALUE} characters of printable "
                "ASCII without blanks at its ends.",
            )
        lines[lower] = value
    if len(lines) > MAX_HEADERS:
        raise BadChoice("headers", f"Choose at most {MAX_HEADERS} headers.")
    if sum(len(name) + len(value) for name, value in lines.items()) > MAX_HEADER_BYTES:
        raise BadChoice("headers", f"The headers are longer than {MAX_HEADER_BYTES} bytes in all.")
    return lines


def written(lines: Mapping[str, str]) -> str:
    """Return header lines as the text that is sealed."""
    return json.dumps(dict(lines), separators=(",", ":"))


def read(text: str) -> dict[str, str]:
    """Return header lines from what `written` made."""
    return {str(name): str(value) for name, value in json.loads(text).items()}
