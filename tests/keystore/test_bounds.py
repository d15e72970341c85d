"""Whether one key reaches further than another: in scopes, in sight, in place, in time."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from keystore import networks
from keystore.bounds import Bounds
from keystore.scopes import OPERATIONS, DataScope, Rights

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
READ = frozenset({"meetings:read"})
ALL = Bounds(Rights(frozenset(OPERATIONS), DataScope.ORG_FULL))

people = st.sampled_from(["ada@northwind.example", "mel@northwind.example"])
scopes = st.frozensets(st.sampled_from(sorted(OPERATIONS)))
rights = st.one_of(
    st.builds(Rights, scopes, st.sampled_from([one for one in DataScope if not one.is_personal])),
    st.builds(
        Rights, scopes, st.sampled_from([one for one in DataScope if one.is_personal]), people
    ),
)
places = st.lists(
    st.sampled_from(
        ["203.0.113.0/24", "203.0.113.0/25", "203.0.113.128/25", "2001:db8::/32", "10.0.0.1/32"]
    ),
    unique=True,
)
ends = st.none() | st.integers(1, 3).map(lambda days: NOON + timedelta(days=days))
bounds = st.builds(Bounds, rights, places.map(tuple), ends)


@given(bounds)
def test_z1_a_key_does_not_reach_beyond_itself(one: Bounds) -> None:
    assert one.lacks(one) is None


@given(bounds, bounds, bounds)
def test_z1_what_is_handed_on_twice_reaches_no_further_than_the_first(
    one: Bounds, other: Bounds, third: Bounds
) -> None:
    if one.lacks(other) is None and other.lacks(third) is None:
        assert one.lacks(third) is None


@given(
    bounds,
    bounds,
    st.sampled_from(sorted(OPERATIONS)),
    st.booleans(),
    people,
    st.sampled_from(["203.0.113.7", "203.0.113.200", "10.0.0.1", "2001:db8::1", "192.0.2.1"]),
    st.integers(0, 4),
)
def test_z1_nothing_is_possible_with_what_is_within_that_is_not_possible_anyway(
    one: Bounds,
    other: Bounds,
    operation: str,
    private: bool,
    person: str,
    address: str,
    days: int,
) -> None:
    """Tried out: may it do this, does it see that meeting, from there, then?"""

    def can(key: Bounds) -> bool:
        moment = NOON + timedelta(days=days)
        return (
            operation in key.rights.operations
            and key.rights.sees([person], private=private)
            and (not key.networks or networks.allow(tuple(key.networks), address))
            and (key.expires_at is None or moment < key.expires_at)
        )

    if one.lacks(other) is None and can(other):
        assert can(one)


def test_the_sentence_says_what_is_missing() -> None:
    here = Bounds(ALL.rights, ("203.0.113.0/24",))
    for one, other, word in (
        (Bounds(Rights(READ, DataScope.ORG_FULL)), ALL, "meetings:write"),
        (Bounds(Rights(ALL.rights.operations, DataScope.ORG_NON_PRIVATE)), ALL, "all the meetings"),
        (here, ALL, "203.0.113.0/24 only"),
        (Bounds(ALL.rights, (), NOON), ALL, "2026-01-01 12:00"),
    ):
        lack = one.lacks(other)
        assert lack is not None
        assert word in lack


def test_a_network_is_within_its_halves_together_and_in_no_other_family() -> None:
    halves = ["203.0.113.0/25", "203.0.113.128/25"]
    assert networks.within(["203.0.113.0/24"], halves)
    assert not networks.within(["203.0.112.0/23"], halves)
    assert networks.within(["2001:db8::1/128"], ["2001:db8::/32", "203.0.113.0/24"])
    assert not networks.within(["::/0"], ["0.0.0.0/0"])
    assert networks.within(halves, [])
    assert not networks.within([], halves)
