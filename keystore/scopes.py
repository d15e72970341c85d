"""What a key may do, and what of the meetings it may see. Pure decisions.

An operation scope is `resource:operation`. A data scope says whose meetings, and whether private
ones too. What a key may in the end (its Rights) is worked out each time it is used, from what was
granted to it and what its owner may now, so that a change of either counts at once. A set without
scopes means: nothing.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from keystore.errors import BadScopes

OPERATIONS = {
    "meetings:read": "Read meetings",
    "meetings:write": "Add and change meetings",
    "transcripts:read": "Read what was said",
    "notes:read": "Read notes and action items",
    "webhooks:manage": "Subscribe to events and see their samples",
    "keys:manage": "Create, regenerate and delete keys with no more rights than its own",
}
READING = frozenset({"meetings:read", "transcripts:read", "notes:read"})

#: What a member may hand to a key of their own; an admin may hand on everything.
OF_MEMBERS = frozenset(OPERATIONS) - {"keys:manage"}


@dataclass(frozen=True, slots=True)
class Preset:
    """The operation scopes that one kind of work needs."""

    title: str
    operations: frozenset[str]


PRESETS = {
    "connect": Preset(
        "Zapier, n8n, Make and the like",
        READING | {"meetings:write", "webhooks:manage"},
    ),
    "analyse": Preset("Read-only analytics", READING),
    "ingest": Preset("Bring meetings in", frozenset({"meetings:read", "meetings:write"})),
    # A key hands on no more than it has, so this one needs all that other keys are to have.
    "manage": Preset("Manage keys of all kinds", frozenset(OPERATIONS)),
}

#: What a key gets when nobody chose.
DEFAULT = PRESETS["connect"].operations


class DataScope(StrEnum):
    """Which meetings a key may see; the names are the contract's."""

    USER_NON_PRIVATE = "user_non_private"  # those its owner takes part in, if not private
    USER_FULL = "user_full"  # those its owner takes part in
    ORG_NON_PRIVATE = "org_non_private"  # all of the organization that are not private
    ORG_FULL = "org_full"  # all of the organization
    LEGACY = "legacy"  # as ORG_FULL; a key from before there was a choice

    @property
    def is_personal(self) -> bool:
        """Whether it is tied to one person, who then has to be named."""
        return self in {DataScope.USER_NON_PRIVATE, DataScope.USER_FULL}

    @property
    def sees_private(self) -> bool:
        """Whether private meetings are among what it shows."""
        return self not in {DataScope.USER_NON_PRIVATE, DataScope.ORG_NON_PRIVATE}


#: What a person calls a data scope, and what it shows, in a line.
TITLES = {
    DataScope.USER_NON_PRIVATE: (
        "User - limited access",
        "The meetings that one person takes part in, without the private ones",
    ),
    DataScope.USER_FULL: (
        "User - full access",
        "The meetings that one person takes part in, the private ones too",
    ),
    DataScope.ORG_NON_PRIVATE: (
        "Organization - limited access",
        "All meetings of the organization that are not private",
    ),
    DataScope.ORG_FULL: (
        "Organization - full access",
        "All meetings of the organization, the private ones too",
    ),
    DataScope.LEGACY: ("Legacy", "All meetings, as before there was a choice"),
}


@dataclass(frozen=True, slots=True)
class Owner:
    """As much of the person behind a key as bears on its rights."""

    email: str
    is_admin: bool
    is_active: bool


@dataclass(frozen=True, slots=True)
class Rights:
    """What a key may do at this moment. `person`: the one whose meetings it sees; None: all's."""

    operations: frozenset[str]
    data: DataScope
    person: str | None = None

    def sees(self, people: Collection[str], *, private: bool) -> bool:
        """Tell whether a meeting with these people (e-mail addresses, lower case) is in sight."""
        if private and not self.data.sees_private:
            return False
        return self.person is None or self.person in people

    def cover(self, other: "Rights") -> bool:
        """Tell whether somebody with these rights could hand on the others: they are no more."""
        return (
            other.operations <= self.operations
            and (self.data.sees_private or not other.data.sees_private)
            and (self.person is None or self.person == other.person)
        )

    def only(self, operations: frozenset[str]) -> "Rights":
        """Return these rights cut down to some operations."""
        return Rights(self.operations & operations, self.data, self.person)


class Reach(NamedTuple):
    """How much somebody's rights let them see: meetings, and how many of these are private."""

    meetings: int
    private: int


@lru_cache(maxsize=4096)
def rights(granted: frozenset[str], data: DataScope, owner: Owner | None) -> Rights | None:
    """Work out what a key may do now; None when it stopped because its owner has left.

    A personal key never may more than its owner; others belong to the organization, whoever made
    them. One without the owner that its data scope demands has nobody to be more than, and stops.
    """
    if not data.is_personal:
        return Rights(granted, data)
    if owner is None or not owner.is_active:
        return None
    allowed = granted if owner.is_admin else granted & OF_MEMBERS
    return Rights(allowed, data, owner.email)


def parse(names: Iterable[str]) -> frozenset[str]:
    """Return the set of operation scopes with these names. An empty set means: nothing.

    Raises BadScopes, naming those we do not know.
    """
    asked = frozenset(names)
    if unknown := sorted(asked - OPERATIONS.keys()):
        known = ", ".join(OPERATIONS)
        raise BadScopes(f"Unknown scope {', '.join(unknown)}; choose from {known}.")
    return asked


def parse_data(name: str) -> DataScope:
    """Return the data scope of this name, one that a new key may have. Raises BadScopes."""
    choices = [one for one in DataScope if one is not DataScope.LEGACY]
    if name not in choices:
        known = ", ".join(choices)
        raise BadScopes(f"Unknown data scope {name}; choose from {known}.")
    return DataScope(name)
