"""What a key may do. A scope is `resource:operation`, or the name of a resource for all of it."""

from collections.abc import Iterable

from keystore.errors import BadScopes

OPERATIONS = {
    "meetings:read": "Read meetings, transcripts and notes",
    "meetings:write": "Add and change meetings",
    "webhooks": "Subscribe to events and see the samples",
}

#: What a key gets when nobody chose: what the connectors need.
DEFAULT = frozenset(OPERATIONS)


def parse(names: Iterable[str]) -> frozenset[str]:
    """Return the set of scopes with these names. An empty set means: nothing.

    Raises BadScopes, naming those we do not know.
    """
    asked = frozenset(names)
    if unknown := sorted(asked - OPERATIONS.keys()):
        known = ", ".join(OPERATIONS)
        raise BadScopes(f"Unknown scope {', '.join(unknown)}; choose from {known}.")
    return asked
