"""What a key may do, by name."""

import pytest

from keystore import scopes
from keystore.errors import BadScopes


def test_known_names_make_a_set_and_none_makes_the_empty_one() -> None:
    assert scopes.parse(["meetings:read", "webhooks", "meetings:read"]) == {
        "meetings:read",
        "webhooks",
    }
    assert scopes.parse([]) == frozenset()


def test_unknown_names_are_named_beside_the_known_ones() -> None:
    with pytest.raises(BadScopes, match=r"meetings:\*.*choose from meetings:read"):
        scopes.parse(["webhooks", "meetings:*"])
