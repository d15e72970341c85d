"""A list of keys by state, in pages, those that are over among them."""

from datetime import timedelta
from uuid import uuid4

import pytest

from keystore.accounts import Accounts
from keystore.audit import SYSTEM, Actor
from keystore.clock import ManualClock
from keystore.db import Database
from keystore.errors import KeyNotFound
from keystore.inventory import Inventory
from keystore.keys import Keys
from keystore.models import Key, Organization, User
from keystore.rotation import KeyState
from keystore.scopes import DataScope

DAY = timedelta(days=1)


def make(
    database: Database,
    keys: Keys,
    organization: Organization,
    name: str,
    *steps: str,
    **more: object,
) -> Key:
    with database.session() as session:
        where = {"organization_id": organization.id, "actor": SYSTEM}
        key = keys.create(session, name=name, **where, **more).key  # type: ignore[arg-type]
        for step in steps:
            getattr(keys, step)(session, key.id, **where)
    return key


def test_every_key_has_one_state_and_is_listed_under_it(
    database: Database, keys: Keys, organization: Organization, clock: ManualClock
) -> None:
    end = {"expires_at": clock.now() + DAY}
    make(database, keys, organization, "active", expires_at=clock.now() + 2 * DAY)
    make(database, keys, organization, "active for ever")
    make(database, keys, organization, "disabled", "disable")
    make(database, keys, organization, "expired", **end)
    make(database, keys, organization, "expired asleep", "disable", **end)
    make(database, keys, organization, "deleted", "disable", "delete", **end)
    clock.advance(DAY)
    inventory = Inventory(clock)

    for state in KeyState:
        with database.session() as session:
            page = inventory.page(session, organization.id, actor=SYSTEM, state=state)
        assert page.items
        assert page.count == len(page.items)
        for item in page.items:
            assert item.key.name.startswith(state), item
            assert item.state is state
    with database.session() as session:
        assert inventory.page(session, organization.id, actor=SYSTEM).count == 5, "less the deleted"


def test_pages_hold_each_key_once_newest_first(
    database: Database, keys: Keys, organization: Organization, clock: ManualClock
) -> None:
    names = []
    for number in range(7):
        clock.advance(number % 2)  # two at a time were made in the same moment
        names.append(make(database, keys, organization, f"key {number}").name)
    inventory, seen = Inventory(clock), []
    for page in (1, 2, 3, 4):
        with database.session() as session:
            found = inventory.page(session, organization.id, actor=SYSTEM, page=page, page_size=3)
        assert found.count == 7
        seen += [item.key for item in found.items]

    assert sorted(key.name for key in seen) == names
    moments = [key.created_at for key in seen]
    assert moments == sorted(moments, reverse=True)


def test_one_key_is_found_with_its_person_also_when_it_is_deleted(
    database: Database, keys: Keys, organization: Organization, clock: ManualClock, member: User
) -> None:
    personal = {"data": DataScope.USER_FULL, "owner_id": member.id}
    key = make(database, keys, organization, "Zapier", "delete", **personal)

    with database.session() as session:
        item = Inventory(clock).get(session, key.id, organization_id=organization.id, actor=SYSTEM)

    assert (item.state, item.owner) == (KeyState.DELETED, member.email)


def test_a_member_sees_their_own_and_nobody_another_organizations(
    database: Database,
    keys: Keys,
    organization: Organization,
    clock: ManualClock,
    member: User,
    accounts: Accounts,
) -> None:
    own = make(database, keys, organization, "own", data=DataScope.USER_FULL, owner_id=member.id)
    other = make(database, keys, organization, "other")
    inventory, acting = Inventory(clock), Actor("user", member.email, id=str(member.id))
    with database.session() as session:
        stranger = accounts.create_organization(session, name="Southwind", actor=SYSTEM)

    with database.session() as session:
        page = inventory.page(session, organization.id, actor=acting)
        assert [item.key.id for item in page.items] == [own.id]
        assert inventory.page(session, stranger.id, actor=SYSTEM).count == 0
    for key_id, organization_id, actor in (
        (other.id, organization.id, acting),
        (own.id, stranger.id, SYSTEM),
        (uuid4(), organization.id, SYSTEM),
    ):
        with pytest.raises(KeyNotFound), database.session() as session:
            inventory.get(session, key_id, organization_id=organization_id, actor=actor)
