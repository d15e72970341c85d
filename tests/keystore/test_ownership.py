"""Whose keys somebody may lay hands on, tried with every service method that touches a key."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from keystore.audit import SYSTEM, Actor
from keystore.clock import ManualClock
from keystore.db import Database, writing
from keystore.errors import BeyondMembers, KeyNotFound
from keystore.grants import Grants
from keystore.keys import Issued, Keys
from keystore.members import Members
from keystore.models import Key, Organization, Role, User
from keystore.scopes import OF_MEMBERS, DataScope

READ = frozenset({"meetings:read"})
DAY = timedelta(days=1)


def acting(user: User) -> Actor:
    return Actor("user", user.email, id=str(user.id))


@dataclass
class Office:
    """An organization with a key of each kind, and whoever wants something with them."""

    database: Database
    keys: Keys
    grants: Grants
    members: Members
    clock: ManualClock
    organization_id: UUID
    owner: User

    def create(
        self, actor: Actor = SYSTEM, data: DataScope = DataScope.USER_FULL, **more: object
    ) -> Issued:
        values: dict[str, object] = {"granted": READ, "name": uuid4().hex}
        values |= {"owner_id": self.owner.id if data.is_personal else None, **more}
        with self.database.session() as session:
            return self.keys.create(
                session,
                organization_id=self.organization_id,
                data=data,
                actor=actor,
                **values,  # type: ignore[arg-type]
            )

    def allow(self, allowed: bool = True) -> None:
        with self.database.session() as session:
            self.members.set_policy(
                session, organization_id=self.organization_id, allowed=allowed, actor=SYSTEM
            )

    def act(self, name: str, key: Key, actor: Actor) -> object:
        """Call one of the methods that change or show a key."""
        needs: dict[str, dict[str, object]] = {
            "rename": {"name": uuid4().hex},
            "regenerate": {"generation": key.generation},
            "set_expiry": {"expires_at": self.clock.now() + DAY},
            "rescope": {"granted": READ, "data": key.data_scope, "owner_id": key.owner_id},
            "set_networks": {"allowed": ["203.0.113.0/24"]},
        }
        more = needs.get(name, {})
        service = self.keys if hasattr(self.keys, name) else self.grants
        with self.database.session() as session:
            where = {"organization_id": self.organization_id, "actor": actor}
            done: object = getattr(service, name)(session, key.id, **where, **more)
            return done


@pytest.fixture
def office(
    database: Database, keys: Keys, clock: ManualClock, organization: Organization, member: User
) -> Office:
    return Office(
        database, keys, Grants(clock), Members(clock), clock, organization.id, owner=member
    )


ENDING = {"finish", "disable", "delete"}
LOOKING = {"get", "secrets"}
CHANGING = {"rename", "regenerate", "set_expiry", "rescope", "set_networks"}
ALL = sorted(ENDING | LOOKING | CHANGING | {"enable"})


def test_every_method_that_takes_a_key_is_tried_here() -> None:
    methods = {
        name
        for service in (Keys, Grants)
        for name, method in inspect.getmembers(service, inspect.isfunction)
        if not name.startswith("_") and "key_id" in inspect.signature(method).parameters
    }

    assert methods - {"create"} == set(ALL)


@pytest.mark.parametrize("name", ALL)
def test_an_admin_and_the_machine_may_do_all_with_every_key(
    office: Office, admin: User, name: str
) -> None:
    for actor in (acting(admin), SYSTEM, Actor("cli", "root")):
        for data in (DataScope.USER_FULL, DataScope.ORG_FULL):
            office.act(name, office.create(data=data).key, actor)


@pytest.mark.parametrize("name", sorted(ENDING | LOOKING | CHANGING))
def test_a_member_may_do_all_with_a_key_of_their_own(office: Office, name: str) -> None:
    office.allow()

    office.act(name, office.create().key, acting(office.owner))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("allowed", [True, False])
def test_a_member_finds_no_other_key(
    office: Office, add_user: Callable[[str, Role], User], name: str, allowed: bool
) -> None:
    office.allow(allowed)
    others = [office.create(data=DataScope.ORG_FULL).key]
    others.append(office.create(owner_id=add_user("Moe", Role.MEMBER).id).key)

    for key in others:
        with pytest.raises(KeyNotFound):
            office.act(name, key, acting(office.owner))


@pytest.mark.parametrize("name", ALL)
def test_nobody_who_has_left_finds_a_key(office: Office, admin: User, name: str) -> None:
    office.allow()
    key, actors = office.create().key, [acting(office.owner), acting(admin)]
    with office.database.session() as session, writing(session):
        for user in (office.owner, admin):
            session.get_one(User, user.id).is_active = False

    for actor in (*actors, Actor("user", "eve", id=str(uuid4())), Actor("user", "eve")):
        with pytest.raises(KeyNotFound):
            office.act(name, key, actor)
        with pytest.raises(KeyNotFound), office.database.session() as session:
            office.keys.list(session, office.organization_id, actor=actor)


@pytest.mark.parametrize("name", sorted(CHANGING | {"enable"}))
def test_without_leave_a_member_changes_nothing(office: Office, name: str) -> None:
    with pytest.raises(BeyondMembers, match="does not let members"):
        office.act(name, office.create().key, acting(office.owner))


@pytest.mark.parametrize("name", sorted(ENDING | LOOKING))
def test_without_leave_a_member_still_sees_and_ends_what_shows_their_meetings(
    office: Office, name: str
) -> None:
    office.act(name, office.create().key, acting(office.owner))


def test_a_member_wakes_only_what_they_put_to_sleep(office: Office, admin: User) -> None:
    office.allow()
    key = office.create().key
    office.act("disable", key, acting(office.owner))
    office.act("enable", key, acting(office.owner))

    for somebody in (acting(admin), SYSTEM):
        office.act("disable", key, somebody)
        with pytest.raises(BeyondMembers, match="Somebody else"):
            office.act("enable", key, acting(office.owner))
        office.act("enable", key, acting(admin))


def test_a_member_makes_a_personal_key_if_the_organization_lets_them(office: Office) -> None:
    with pytest.raises(BeyondMembers, match="does not let members"):
        office.create(acting(office.owner))
    office.allow()

    for data in (DataScope.USER_FULL, DataScope.USER_NON_PRIVATE):
        made = office.create(acting(office.owner), data, granted=OF_MEMBERS)
        assert made.key.owner_id == office.owner.id


def test_a_member_makes_no_key_that_sees_more_than_they_do(office: Office, admin: User) -> None:
    office.allow()
    mine = acting(office.owner)
    for data in (DataScope.ORG_FULL, DataScope.ORG_NON_PRIVATE):
        with pytest.raises(BeyondMembers, match="own meetings"):
            office.create(mine, data)
    with pytest.raises(BeyondMembers, match="own meetings"):
        office.create(mine, owner_id=admin.id)
    with pytest.raises(BeyondMembers, match="keys:manage"):
        office.create(mine, granted=frozenset({"keys:manage"}))


def test_a_member_widens_no_key_beyond_that_either(office: Office, admin: User) -> None:
    office.allow()
    key = office.create().key
    for granted, data, owner_id in (
        (READ, DataScope.ORG_FULL, None),
        (READ, DataScope.USER_FULL, admin.id),
        (frozenset({"keys:manage"}), DataScope.USER_FULL, office.owner.id),
    ):
        with office.database.session() as session, pytest.raises(BeyondMembers):
            office.grants.rescope(
                session,
                key.id,
                organization_id=office.organization_id,
                granted=granted,
                data=data,
                owner_id=owner_id,
                actor=acting(office.owner),
            )


def test_the_list_shows_an_admin_all_and_a_member_their_own(office: Office, admin: User) -> None:
    own, other = office.create().key.id, office.create(data=DataScope.ORG_FULL).key.id

    def listed(actor: Actor) -> set[UUID]:
        with office.database.session() as session:
            return {key.id for key in office.keys.list(session, own_organization, actor=actor)}

    own_organization = office.organization_id
    assert listed(acting(admin)) == {own, other}
    assert listed(acting(office.owner)) == {own}


def test_an_admin_of_elsewhere_is_nobody_here(office: Office, admin: User) -> None:
    with office.database.session() as session, writing(session):
        elsewhere = Organization(id=uuid4(), name="Elsewhere", created_at=office.clock.now())
        session.add(elsewhere)
        session.flush()
        session.get_one(User, admin.id).organization_id = elsewhere.id

    with pytest.raises(KeyNotFound):
        office.act("get", office.create().key, acting(admin))
    with pytest.raises(BeyondMembers):
        office.create(acting(admin), DataScope.ORG_FULL, owner_id=None)
