"""Which networks a key may be used from, and which address a request came from. Pure decisions."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    collapse_addresses,
    ip_address,
    ip_network,
)

from keystore.errors import BadNetworks

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MOST = 100  # networks of one key
FORWARDED_LENGTH = 2000  # of an X-Forwarded-For header that we read


def parse(texts: Iterable[str]) -> list[str]:
    """Return networks (CIDR, or single addresses) in their usual spelling, each once, sorted.

    Raises BadNetworks, naming the first that is none. `10.1.2.3/8` is none: it may be meant as a
    host or as a network. An IPv6 zone (`fe80::1%eth0`; RFC 4007, section 11) is none either: it
    means something on one machine alone, and ipaddress takes any text for one.
    """
    found = set()
    for text in texts:
        if "%" in text:
            raise BadNetworks(f"{text!r} does not name a network here; give it without its zone.")
        try:
            found.add(_unmapped(ip_network(text.strip())))
        except ValueError as error:
            raise BadNetworks(
                f"{error}; give networks like 203.0.113.0/24, 2001:db8::/32 or single addresses."
            ) from None
    if len(found) > MOST:
        raise BadNetworks(f"A key can have {MOST} networks at most; give wider ones.")
    ordered = sorted(found, key=lambda one: (one.version, int(one.network_address), one.prefixlen))
    return [str(one) for one in ordered]


@lru_cache(maxsize=4096)
def allow(networks: tuple[str, ...], address: str | None) -> bool:
    """Tell whether a request from this address may use a key with these networks.

    An IPv4 address is the same in its IPv6 clothes (`::ffff:192.0.2.1`; RFC 4291, 2.5.5.2). What is
    not an address is in no network. Answers are kept: a key is used again and again from one place.
    """
    try:
        here = _plain(address or "")
    except ValueError:
        return False
    return any(here.version == one.version and here in one for one in map(ip_network, networks))


def within(inner: Iterable[str], outer: Iterable[str]) -> bool:
    """Tell whether all that the inner networks let in the outer ones do, too; none: from anywhere.

    Neighbours count together: 10.0.0.0/24 is within its two halves.
    """
    outer_networks = [ip_network(one) for one in outer]
    inner_networks = [ip_network(one) for one in inner]
    if not outer_networks:
        return True
    if not inner_networks:
        return False
    return all(
        any(_is_part(one, other) for other in _merged(outer_networks)) for one in inner_networks
    )


def client_address(
    peer: str | None, forwarded: Iterable[str], trusted: Sequence[Network]
) -> str | None:
    """Return where a request came from, as far as those who say so are trusted.

    peer: who has connected to us. forwarded: the X-Forwarded-For headers in their order. Each proxy
    adds, on the right, who had connected to it; so they are read from the right, for as long as the
    one who wrote it is one of the trusted. What an unknown sender put to the left of that is never
    believed.
    """
    hops = ",".join(forwarded)[-FORWARDED_LENGTH:].split(",")
    here = peer
    for hop in reversed(hops):
        try:
            current = _plain(here or "")
            claimed = _plain(_without_port(hop.strip()))
        except ValueError:
            break
        if not any(current.version == one.version and current in one for one in trusted):
            break
        here = str(claimed)
    return here


def _merged(networks: Iterable[Network]) -> list[Network]:
    """Return the same addresses in as few networks as can be."""
    fours = [one for one in networks if isinstance(one, IPv4Network)]
    sixes = [one for one in networks if isinstance(one, IPv6Network)]
    return [*collapse_addresses(fours), *collapse_addresses(sixes)]


def _is_part(one: Network, other: Network) -> bool:
    if isinstance(one, IPv4Network):
        return isinstance(other, IPv4Network) and one.subnet_of(other)
    return isinstance(other, IPv6Network) and one.subnet_of(other)


def _without_port(hop: str) -> str:
    """Return the address in `192.0.2.1:4711` or `[2001:db8::1]:4711`, as some proxies write it."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _plain(text: str) -> Address:
    address = ip_address(text)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _unmapped(network: Network) -> Network:
    """Return an IPv4 network for one in IPv6 clothes: addresses are compared without them."""
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is None or network.prefixlen < 96:  # noqa: PLR2004 - the bits of the clothes
        return network
    return ip_network(f"{mapped}/{network.prefixlen - 96}")
