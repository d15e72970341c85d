"""What a key may do and see: what was granted, never more than its owner may at this moment."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keystore import scopes
from keystore.errors import BadScopes
from keystore.scopes import DataScope, Owner, Rights

ADA, MEL = "ada@northwind.example", "mel@northwind.example"
EVERYTHING = frozenset(scopes.OPERATIONS)

some_operations = st.frozensets(st.sampled_from(sorted(scopes.OPERATIONS)))
some_data = st.sampled_from(DataScope)
some_people = st.sampled_from([ADA, MEL])
some_owners = st.builds(Owner, some_people, st.booleans(), st.booleans())
some_rights = st.builds(Rights, some_operations, some_data, st.none() | some_people)
some_meetings = st.tuples(st.frozensets(some_people), st.booleans())


def test_known_names_make_a_set_and_none_makes_the_empty_one() -> None:
    assert scopes.parse(["meetings:read", "webhooks:manage", "meetings:read"]) == {
        "meetings:read",
        "webhooks:manage",
    }
    assert scopes.parse([]) == frozenset()


def test_unknown_names_are_named_beside_the_known_ones() -> None:
    with pytest.raises(BadScopes, match=r"meetings:\*.*choose from meetings:read"):
        scopes.parse(["webhooks:manage", "meetings:*"])


def test_a_new_key_chooses_among_four_data_scopes() -> None:
    assert scopes.parse_data("user_full") is DataScope.USER_FULL
    for name in ("legacy", "everything", ""):
        with pytest.raises(BadScopes, match="choose from user_non_private"):
            scopes.parse_data(name)


def test_presets_hold_known_scopes_only() -> None:
    for preset in scopes.PRESETS.values():
        assert preset.operations <= scopes.OPERATIONS.keys()


@pytest.mark.parametrize(
    ("data", "own", "own_private", "others", "others_private"),
    [
        (DataScope.USER_NON_PRIVATE, True, False, False, False),
        (DataScope.USER_FULL, True, True, False, False),
        (DataScope.ORG_NON_PRIVATE, True, False, True, False),
        (DataScope.ORG_FULL, True, True, True, True),
        (DataScope.LEGACY, True, True, True, True),
    ],
)
def test_each_data_scope_shows_its_own_part_of_the_meetings(
    data: DataScope,
    *,
    own: bool,
    own_private: bool,
    others: bool,
    others_private: bool,
) -> None:
    found = scopes.rights(EVERYTHING, data, Owner(ADA, is_admin=True, is_active=True))

    assert found is not None
    assert found.sees([ADA, MEL], private=False) == own
    assert found.sees([ADA, MEL], private=True) == own_private
    assert found.sees([MEL], private=False) == others
    assert found.sees([MEL], private=True) == others_private


@given(some_operations, some_data, st.none() | some_owners)
def test_z1_a_key_never_may_more_than_was_granted_nor_than_its_owner(
    granted: frozenset[str], data: DataScope, owner: Owner | None
) -> None:
    found = scopes.rights(granted, data, owner)

    if data.is_personal and (owner is None or not owner.is_active):
        assert found is None
        return
    assert found is not None
    assert found.operations <= granted
    assert found.data is data
    assert (found.person is not None) == data.is_personal
    if data.is_personal and owner is not None:
        assert found.person == owner.email
        assert owner.is_admin or found.operations <= scopes.OF_MEMBERS


@given(some_rights, some_rights, some_meetings)
def test_z1_rights_that_are_covered_show_and_allow_nothing_more(
    wide: Rights, narrow: Rights, meeting: tuple[frozenset[str], bool]
) -> None:
    people, private = meeting
    assert wide.cover(wide)
    if wide.cover(narrow):
        assert narrow.operations <= wide.operations
        assert wide.sees(people, private=private) or not narrow.sees(people, private=private)


@given(some_rights, some_operations)
def test_z1_a_token_only_narrows(rights: Rights, operations: frozenset[str]) -> None:
    assert rights.cover(rights.only(operations))


def test_a_set_without_scopes_means_nothing() -> None:
    found = scopes.rights(frozenset(), DataScope.ORG_FULL, None)

    assert found is not None
    assert found.operations == frozenset()
