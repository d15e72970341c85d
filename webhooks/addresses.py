"""Which addresses a webhook may be sent to. Judges the number that a socket is about to dial.

A URL can spell one address in many ways, and a name can change its answer; so nothing here reads
URLs. The table is our own: the IANA special-purpose registries (IPv4 and IPv6, RFC 6890 and
successors), multicast, reserved space, the transition formats that carry an IPv4 address inside
an IPv6 one, and addresses on which clouds hand out credentials.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an address may be dialled, and the kind of address it is (`global` when it may)."""

    ok: bool
    kind: str


GLOBAL = Verdict(True, "global")
ALLOWED = Verdict(True, "allowed by the operator")
_UNREADABLE = Verdict(False, "not an IP address")

#: Refused unless the operator allows the network they are in.
SPECIAL_V4 = (
    ("0.0.0.0/8", "this network"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "shared by carriers"),
    ("127.0.0.0/8", "loopback"),
    ("169.254.0.0/16", "link-local"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "protocol assignments"),
    ("192.0.2.0/24", "documentation"),
    ("192.31.196.0/24", "AS112"),
    ("192.52.193.0/24", "multicast tunnelling"),
    ("192.88.99.0/24", "6to4 relay"),
    ("192.168.0.0/16", "private"),
    ("192.175.48.0/24", "AS112"),
    ("198.18.0.0/15", "benchmarking"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
)
SPECIAL_V6 = (
    ("::/128", "unspecified"),
    ("::1/128", "loopback"),
    ("64:ff9b:1::/48", "local translation"),
    ("100::/64", "discard"),
    ("100:0:0:1::/64", "dummy prefix"),
    ("2001::/23", "protocol assignments"),
    ("2001:db8::/32", "documentation"),
    ("2002::/16", "6to4"),
    ("2620:4f:8000::/48", "AS112"),
    ("3fff::/20", "documentation"),
    ("5f00::/16", "segment routing"),
    ("fc00::/7", "private"),
    ("fe80::/10", "link-local"),
    ("fec0::/10", "site-local"),
    ("ff00::/8", "multicast"),
    ("::/8", "reserved"),
)
#: Refused whatever the operator allows: nobody's webhook, and often a door to a cloud account.
NEVER = (
    ("169.254.0.0/16", "link-local"),
    ("168.63.129.16/32", "cloud metadata"),  # Azure
    ("100.100.100.200/32", "cloud metadata"),  # Alibaba
    ("192.0.0.192/32", "cloud metadata"),  # Oracle
    ("224.0.0.0/4", "multicast"),
    ("255.255.255.255/32", "broadcast"),
    ("fe80::/10", "link-local"),
    ("fd00:ec2::/32", "cloud metadata"),  # Amazon
    ("fd20:ce::254/128", "cloud metadata"),  # Google
    ("fd00:42::42/128", "cloud metadata"),  # Scaleway
    ("ff00::/8", "multicast"),
)
#: Only this eighth of IPv6 has been handed out; what lies outside is refused without a name.
GLOBAL_UNICAST = IPv6Network("2000::/3")

MAPPED = IPv6Network("::ffff:0:0/96")
#: A translator's prefix (RFC 6052): on an IPv6-only host every IPv4 receiver lies behind it.
NAT64 = IPv6Network("64:ff9b::/96")
#: Other places where the last 32 bits are an IPv4 address.
LAST_32_BITS = (
    NAT64,
    IPv6Network("::/96"),  # IPv4-compatible (RFC 4291)
    IPv6Network("::ffff:0:0:0/96"),  # SIIT (RFC 2765)
    IPv6Network("64:ff9b:1::/48"),  # local translation (RFC 8215)
)
SIX_TO_FOUR = IPv6Network("2002::/16")  # RFC 3056: bits 16 to 48
TEREDO = IPv6Network("2001::/32")  # RFC 4380: server in bits 32 to 64, client inverted at the end
ISATAP = (0x00005EFE, 0x02005EFE)  # RFC 5214: bits 64 to 96, under any prefix

Table = tuple[tuple[Network, Verdict], ...]


def _table(rows: Sequence[tuple[str, str]]) -> Table:
    return tuple((ip_network(network), Verdict(False, kind)) for network, kind in rows)


_SPECIAL = _table(SPECIAL_V4) + _table(SPECIAL_V6)
_NEVER = _table(NEVER)
_RESERVED = Verdict(False, "reserved")


def judge(address: str, allowed: Sequence[Network] = ()) -> Verdict:
    """Judge one numeric address (an IPv6 zone such as `%eth0` is ignored).

    allowed: networks that the operator opens. They open special ranges such as loopback and
    private networks, never a link-local, multicast or cloud metadata address, in any spelling.
    """
    try:
        number = ip_address(address.partition("%")[0])
    except (AddressValueError, ValueError):
        return _UNREADABLE
    number = _unmapped(number)
    for form in (number, *_embedded(number)):
        if (never := _find(form, _NEVER)) is not None:
            return never
    if any(number in network for network in allowed):
        return ALLOWED
    if number in NAT64:
        # Its operator's allowance is for the IPv4 network itself, not for a translator's view of
        # it: RFC 6052, section 3.1 keeps private addresses out of this prefix.
        return _plain(IPv4Address(int(number) & 0xFFFFFFFF))
    return _plain(number)


def _plain(number: Address) -> Verdict:
    """Judge by the tables alone."""
    special = _find(number, _SPECIAL)
    if special is None and isinstance(number, IPv6Address):
        if number not in GLOBAL_UNICAST:
            return _RESERVED
        for inner in _embedded(number):
            special = special or _find(inner, _SPECIAL)
    return special or GLOBAL


def _find(number: Address, table: Table) -> Verdict | None:
    return next((verdict for network, verdict in table if number in network), None)


def _unmapped(number: Address) -> Address:
    """Return the IPv4 address that a mapped one stands for: the kernel dials that."""
    if isinstance(number, IPv6Address) and number in MAPPED:
        return IPv4Address(int(number) & 0xFFFFFFFF)
    return number


def _embedded(number: Address) -> Iterator[IPv4Address]:
    """Return the IPv4 addresses that an IPv6 address carries, by every format we know."""
    if isinstance(number, IPv4Address):
        return
    bits = int(number)
    if any(number in network for network in LAST_32_BITS):
        yield IPv4Address(bits & 0xFFFFFFFF)
    if number in SIX_TO_FOUR:
        yield IPv4Address(bits >> 80 & 0xFFFFFFFF)
    if number in TEREDO:
        yield IPv4Address(bits >> 64 & 0xFFFFFFFF)
        yield IPv4Address(~bits & 0xFFFFFFFF)
    if bits >> 32 & 0xFFFFFFFF in ISATAP:
        yield IPv4Address(bits & 0xFFFFFFFF)
