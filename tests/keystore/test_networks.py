"""Networks of a key, and whose word counts for where a request came from."""

from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keystore import networks
from keystore.errors import BadNetworks

PROXIES = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]
some_addresses = st.ip_addresses().map(str)


def test_networks_are_kept_in_their_usual_spelling() -> None:
    given = [" 203.0.113.0/24", "2001:DB8:0::/32", "192.0.2.7", "203.0.113.0/24"]

    assert networks.parse(given) == ["192.0.2.7/32", "203.0.113.0/24", "2001:db8::/32"]
    assert networks.parse([]) == []


@pytest.mark.parametrize(
    "text", ["", "10.1.2.3/8", "office", "300.1.1.1", "10.0.0.0/33", "::1/129"]
)
def test_what_is_no_network_is_named(text: str) -> None:
    with pytest.raises(BadNetworks, match="give networks like"):
        networks.parse(["192.0.2.0/24", text])


@pytest.mark.parametrize("text", ["fe80::1%eth0", "fe80::%1/64", "fe80::1%\ud800", "::1%\x00"])
def test_a_zone_is_refused_as_it_may_hold_anything(text: str) -> None:
    with pytest.raises(BadNetworks, match="without its zone") as refused:
        networks.parse([text])

    assert refused.value.detail.isprintable()


def test_there_is_a_most() -> None:
    with pytest.raises(BadNetworks, match="100"):
        networks.parse(f"10.0.{number}.0/24" for number in range(101))


def test_an_ipv4_address_is_the_same_in_ipv6_clothes() -> None:
    assert networks.allow(("192.0.2.0/24",), "::ffff:192.0.2.7")
    assert networks.parse(["::ffff:192.0.2.0/120"]) == ["192.0.2.0/24"]
    assert networks.allow(("192.0.2.0/24",), "192.0.2.9")
    assert not networks.allow(("::/0",), "192.0.2.7"), "not without saying so"


@pytest.mark.parametrize("address", [None, "", "unknown", "192.0.2.7, 10.0.0.1", "192.0.2.7\n"])
def test_what_is_not_an_address_is_in_no_network(address: str | None) -> None:
    assert not networks.allow(("0.0.0.0/0", "::/0"), address)


@given(st.ip_addresses(), st.integers(0, 128))
def test_an_address_is_in_each_network_around_it_and_not_in_its_neighbour(
    address: IPv4Address | IPv6Address, bits: int
) -> None:
    bits = min(bits, address.max_prefixlen)
    if getattr(address, "ipv4_mapped", None) is not None:
        return
    around = ip_network(f"{address}/{bits}", strict=False)
    [text] = networks.parse([str(around)])
    assert networks.allow((text,), str(address))
    if bits:
        flipped = int(around.network_address) ^ (1 << (address.max_prefixlen - bits))
        neighbour = ip_network((flipped, bits))
        assert not networks.allow((str(neighbour),), str(address))


def test_an_unknown_peers_word_counts_for_nothing() -> None:
    assert networks.client_address("192.0.2.7", ["198.51.100.1"], PROXIES) == "192.0.2.7"
    assert networks.client_address("192.0.2.7", ["198.51.100.1"], []) == "192.0.2.7"


def test_a_trusted_proxy_is_believed_as_far_as_it_could_see() -> None:
    peer = "10.0.0.1"
    assert networks.client_address(peer, ["198.51.100.1"], PROXIES) == "198.51.100.1"
    assert networks.client_address(peer, ["1.1.1.1, 198.51.100.1"], PROXIES) == "198.51.100.1"
    assert networks.client_address(peer, ["1.1.1.1", "198.51.100.1, fd00::2"], PROXIES) == (
        "198.51.100.1"
    )
    assert networks.client_address("::ffff:10.0.0.1", ["2001:db8::7"], PROXIES) == "2001:db8::7"
    assert networks.client_address(peer, ["198.51.100.1:4711"], PROXIES) == "198.51.100.1"
    assert networks.client_address(peer, ["[2001:db8::7]:4711"], PROXIES) == "2001:db8::7"


@pytest.mark.parametrize("header", [[], [""], ["unknown"], ["198.51.100.1, _hidden"], ["1.2.3"]])
def test_where_the_trail_ends_the_last_known_hop_is_the_address(header: list[str]) -> None:
    assert networks.client_address("10.0.0.1", header, PROXIES) == "10.0.0.1"


@given(some_addresses, st.lists(some_addresses, max_size=4), some_addresses)
def test_what_a_sender_claims_never_changes_where_it_is_seen(
    sender: str, claims: list[str], other: str
) -> None:
    def seen(claimed: list[str]) -> str | None:
        return networks.client_address("10.0.0.1", [", ".join([*claimed, sender])], PROXIES)

    if any(one.version == 4 for one in [ip_network(sender)]) and not sender.startswith("10."):
        assert seen(claims) == seen([other]) == sender
