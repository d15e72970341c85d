from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webhooks import addresses
from webhooks.addresses import judge

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
EVERYTHING = (ip_network("0.0.0.0/0"), ip_network("::/0"))

#: Addresses that guards in the wild were found to let through, and the plain ones.
UNSAFE = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "168.63.129.16",
    "::",
    "::1",
    "::ffff:127.0.0.1",  # mapped
    "::ffff:100.64.0.1",
    "::7f00:1",  # IPv4-compatible
    "::ffff:0:7f00:1",  # SIIT
    "2001:db8::5efe:7f00:1",  # ISATAP
    "::5efe:7f00:1",
    "2a00:1450::5efe:7f00:1",
    "64:ff9b::7f00:1",  # NAT64 of loopback, and of the metadata address
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::7f00:1",
    "2002:7f00:1::",  # 6to4 of loopback
    "2001:0:7f00:1::1",  # Teredo
    "2001:db8::1",
    "3fff::1",
    "5f00::1",
    "100::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "4000::1",  # nobody has been given this
]
CLOUD_AND_LINK_LOCAL = [
    "169.254.169.254",
    "169.254.170.2",
    "168.63.129.16",
    "100.100.100.200",
    "192.0.0.192",
    "fe80::1",
    "fe80::a9fe:a9fe%2",
    "fd00:ec2::254",
    "fd00:ec2::23",
    "fd20:ce::254",
    "fd00:42::42",
    "::ffff:169.254.169.254",
    "::a9fe:a9fe",
    "::ffff:0:a9fe:a9fe",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "2001:0:a9fe:a9fe::1",
    "2001:0:1::5601:5601",  # Teredo client: the bits are inverted
    "2a00::5efe:a9fe:a9fe",
    "2a00::200:5efe:a9fe:a9fe",
]
GLOBAL = ["1.1.1.1", "8.8.8.8", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8"]

#: Both registries of special-purpose addresses (IANA; RFC 6890 and successors), each row that is
#: not globally reachable, or that no receiver can have. Written down apart from our own table.
IANA = [
    "0.0.0.0/8",
    "0.0.0.0/32",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.0.0/29",
    "192.0.0.8/32",
    "192.0.0.9/32",
    "192.0.0.10/32",
    "192.0.0.170/32",
    "192.0.0.171/32",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.88.99.2/32",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "240.0.0.0/4",
    "255.255.255.255/32",
    "::1/128",
    "::/128",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
    "2001::/23",
    "2001::/32",
    "2001:1::1/128",
    "2001:1::2/128",
    "2001:1::3/128",
    "2001:2::/48",
    "2001:3::/32",
    "2001:4:112::/48",
    "2001:10::/28",
    "2001:20::/28",
    "2001:30::/28",
    "2001:db8::/32",
    "2002::/16",
    "2620:4f:8000::/48",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
]

v4 = st.ip_addresses(v=4)
v6 = st.ip_addresses(v=6)
special_v4 = st.sampled_from([IPv4Network(row[0]) for row in addresses.SPECIAL_V4])
special_v6 = st.sampled_from([IPv6Network(row[0]) for row in addresses.SPECIAL_V6])


@pytest.mark.parametrize("address", UNSAFE)
def test_refuses(address: str) -> None:
    assert not judge(address).ok


@pytest.mark.parametrize("address", [*GLOBAL, "64:ff9b::808:808"])
def test_lets_through(address: str) -> None:
    assert judge(address) == addresses.GLOBAL


@pytest.mark.parametrize(
    "text",
    ["", "localhost", "0177.0.0.1", "127.1", "2130706433", "0x7f.0.0.1", "::1::", "1.2.3.4 "],
)
def test_refuses_what_is_not_an_address_in_plain_form(text: str) -> None:
    assert judge(text, EVERYTHING).kind == "not an IP address"


def test_says_what_kind_of_address_it_refuses() -> None:
    assert judge("::ffff:127.0.0.1").kind == "loopback"
    assert judge("64:ff9b::7f00:1").kind == "loopback"
    assert judge("169.254.169.254").kind == "link-local"
    assert judge("4000::1").kind == "reserved"


def test_an_operator_can_open_loopback_and_private_networks_in_every_spelling() -> None:
    assert judge("127.0.0.1", LOOPBACK) == addresses.ALLOWED
    assert judge("::ffff:127.0.0.1", LOOPBACK).ok
    assert judge("::1", LOOPBACK).ok
    assert judge("10.1.2.3", (ip_network("10.1.0.0/16"),)).ok
    assert judge("fd12::1", (ip_network("fd00::/8"),)).ok


def test_opening_one_network_opens_no_other() -> None:
    assert not judge("10.2.0.1", (ip_network("10.1.0.0/16"),)).ok
    assert not judge("::1", (ip_network("127.0.0.0/8"),)).ok
    assert not judge("64:ff9b::7f00:1", LOOPBACK).ok  # the translator's loopback, not ours
    assert not judge("2002:7f00:1::", LOOPBACK).ok


@pytest.mark.parametrize("address", CLOUD_AND_LINK_LOCAL)
def test_nothing_opens_link_local_and_cloud_addresses(address: str) -> None:
    exactly = () if "%" in address else (ip_network(address),)
    assert not judge(address, (*EVERYTHING, *exactly)).ok


@pytest.mark.parametrize("network", [*IANA, "224.0.0.0/4", "ff00::/8", "fec0::/10"])
@settings(max_examples=20)
@given(data=st.data())
def test_refuses_whatever_the_registries_call_special(network: str, data: st.DataObject) -> None:
    whole = ip_network(network)
    somewhere = data.draw(st.ip_addresses(network=network))
    for address in (whole[0], whole[-1], somewhere):
        assert not judge(str(address)).ok, address


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("9.255.255.255", "11.0.0.0"),
        ("100.63.255.255", "100.128.0.0"),
        ("126.255.255.255", "128.0.0.0"),
        ("169.253.255.255", "169.255.0.0"),
        ("172.15.255.255", "172.32.0.0"),
        ("191.255.255.255", "192.0.1.0"),
        ("192.167.255.255", "192.169.0.0"),
        ("198.17.255.255", "198.20.0.0"),
        ("203.0.112.255", "203.0.114.0"),
        ("223.255.255.255", "1.0.0.0"),
        ("2001:200::", "2001:db7:ffff::"),
        ("2001:db9::", "2003::"),
        ("3ffe:ffff::", "2620:4f:7fff::"),
    ],
)
def test_what_lies_beside_a_special_range_is_let_through(before: str, after: str) -> None:
    assert judge(before) == judge(after) == addresses.GLOBAL


@given(network=special_v4, data=st.data())
def test_refuses_every_special_ipv4_address_in_every_ipv6_dress(
    network: IPv4Network, data: st.DataObject
) -> None:
    plain = data.draw(st.ip_addresses(network=network))
    for dressed in (plain, *_dresses(IPv4Address(plain))):
        for text in _spellings(dressed):
            assert not judge(text).ok, text


@given(network=special_v6, data=st.data())
def test_refuses_every_special_ipv6_address(network: IPv6Network, data: st.DataObject) -> None:
    address = data.draw(st.ip_addresses(network=network))
    # Two prefixes in these ranges stand for IPv4 addresses, which may well be global.
    if address in addresses.NAT64 or address in addresses.MAPPED:
        return
    for text in _spellings(address):
        assert not judge(text).ok, text


@given(address=v4)
def test_ipv4_is_global_exactly_where_python_and_our_table_have_nothing_against_it(
    address: IPv4Address,
) -> None:
    ours = not any(address in IPv4Network(row[0]) for row in addresses.SPECIAL_V4)
    azure = str(address) == "168.63.129.16"
    assert judge(str(address)).ok == (ours and not azure)
    # The standard library knows less, never something that we do not.
    assert address.is_global or not judge(str(address)).ok


@given(address=v6)
def test_ipv6_that_python_finds_private_is_never_let_through(address: IPv6Address) -> None:
    if judge(str(address)).ok:
        assert (
            address in IPv6Network("2000::/3") or address.ipv4_mapped or address in addresses.NAT64
        )


@given(network=st.sampled_from([row[0] for row in addresses.NEVER]), data=st.data())
def test_no_allow_list_opens_what_is_never_open(network: str, data: st.DataObject) -> None:
    address = data.draw(st.ip_addresses(network=network))
    dresses = _dresses(address) if isinstance(address, IPv4Address) else []
    for dressed in (address, *dresses):
        allowed = (*EVERYTHING, ip_network(network), ip_network(str(dressed)))
        for text in _spellings(dressed):
            assert not judge(text, allowed).ok, text


@given(text=st.text())
def test_judging_never_fails(text: str) -> None:
    assert isinstance(judge(text, EVERYTHING).ok, bool)


def _dresses(plain: IPv4Address) -> list[IPv6Address]:
    """Return an IPv4 address in every IPv6 form that carries it."""
    bits = int(plain)
    return [
        IPv6Address(number)
        for number in (
            0xFFFF << 32 | bits,  # mapped
            bits,  # compatible
            0xFFFF << 48 | bits,  # SIIT
            0x64FF9B << 96 | bits,  # NAT64
            0x64FF9B0001 << 80 | bits,  # local NAT64
            0x2002 << 112 | bits << 80 | 1,  # 6to4
            0x20010000 << 96 | bits << 64 | 0xFFFFFFFF,  # Teredo, server
            0x20010000 << 96 | 0x08080808 << 64 | (~bits & 0xFFFFFFFF),  # Teredo, client
            0x2A00 << 112 | 0x5EFE << 32 | bits,  # ISATAP
            0x2A00 << 112 | 0x02005EFE << 32 | bits,
        )
    ]


def _spellings(address: IPv4Address | IPv6Address) -> list[str]:
    if isinstance(address, IPv4Address):
        return [str(address)]
    last = IPv4Address(int(address) & 0xFFFFFFFF)
    dotted = address.exploded.rsplit(":", 2)[0] + f":{last}"
    return [str(address), address.exploded, address.exploded.upper(), dotted, f"{address}%eth0"]
