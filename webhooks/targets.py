"""Which URLs somebody may subscribe. Reads the text only; nothing is looked up here.

This refuses early and politely what could never work. What keeps requests out of private networks
is the judgement of each address that is dialled, at every delivery: see `addresses`.
"""

import re
from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from webhooks.addresses import ALLOWED, Network, Verdict, judge
from webhooks.errors import BadTarget

MAX_LENGTH = 2048
MAX_HOST_LENGTH = 253  # RFC 1035, section 3.1, as text

_URL_CHARACTERS = re.compile(r"[!-\[\]-~]+")  # printable ASCII, no blank, no backslash
_NAME = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_-]{1,63}\.?")
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")


def check_target(url: str, allowed: Sequence[Network] = ()) -> None:
    """Raise BadTarget, with a sentence for the subscriber, unless we can send to this URL.

    It is https; plain http is for literal addresses in the networks that the operator allows, and
    for `localhost` where loopback is allowed.
    """
    parts, host = _split(url)
    verdict = _verdict(host, allowed)
    if verdict is not None and not verdict.ok:
        raise BadTarget("The target URL points to an address that webhooks may not reach.")
    if parts.scheme == "https":
        return
    if verdict is not ALLOWED:
        raise BadTarget("The target URL must begin with https://.")


def _split(url: str) -> tuple[SplitResult, str]:
    """Return the URL's parts and its host in lower case."""
    if len(url) > MAX_LENGTH:
        raise BadTarget(f"The target URL is longer than {MAX_LENGTH} characters.")
    if not _URL_CHARACTERS.fullmatch(url):
        raise BadTarget(
            "Write the target URL in printable ASCII, without blanks or backslashes: "
            "percent-encode its path, and spell its host in punycode."
        )
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError:
        raise BadTarget("The target URL cannot be read; check its host and port.") from None
    if parts.scheme not in {"https", "http"}:
        raise BadTarget("The target URL must begin with https://.")
    if not host or port == 0:
        raise BadTarget("The target URL cannot be read; check its host and port.")
    if "@" in parts.netloc:
        raise BadTarget("The target URL must not hold a user name or password.")
    if "#" in url:
        raise BadTarget("The target URL must not have a fragment (#).")
    return parts, host


def _verdict(host: str, allowed: Sequence[Network]) -> Verdict | None:
    """Judge a host that is an address or means one; None for a name that must be looked up."""
    if host.rstrip(".") == "localhost":
        return (
            judge("127.0.0.1", allowed) if judge("127.0.0.1", allowed).ok else judge("::1", allowed)
        )
    try:
        ip_address(host)
    except ValueError:
        pass
    else:
        return judge(host, allowed)
    # 2130706433, 0x7f.1 and their like are spellings of IPv4 addresses, not names.
    last_label = host.rstrip(".").rpartition(".")[2]
    if len(host) > MAX_HOST_LENGTH or not _NAME.fullmatch(host):
        raise BadTarget("The target URL cannot be read; check its host and port.")
    if _NUMERIC_LABEL.fullmatch(last_label):
        raise BadTarget("Write an IPv4 address in the target URL as four plain decimal numbers.")
    return None
