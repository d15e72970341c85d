"""Whose keys somebody may lay hands on, tried with every service method that touches a key.

And what is for admins alone, tried with every method of that kind.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy.orm import Session

from keystore import audit
from keystore.accounts import Accounts
from keystore.audit import SYSTEM, Actor
from keystore.clock import ManualClock
from keystore.credentials import SecretValue
from keystore.db import Database, writing
from keystore.errors import BeyondMembers, KeyNotFound
from keystore.grants import Grants
from keystore.invitations import Invitations
from keystore.keys import Issued, Keys
from keystore.leaks import Leaks
from keystore.members import Members
from keystore.models import Key, Organization, Role, User
from keystore.people import People
from keystore.rates import Rates
from keystore.rotation import LeakPolicy
from keystore.scopes import OF_MEMBERS, DataScope
from keystore.services import Services
from keystore.teams import Teams
from tests.conftest import PASSWORD

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


#: One thing that is for admins alone.
Business = Callable[[Session, Actor], object]


@pytest.fixture
def business(
    services: Services, organization: Organization, admin: User, member: User
) -> dict[str, Business]:
    """All that is for admins alone, in an order in which one of them may do it."""
    of = {"organization_id": organization.id}
    invitation = {"email": "bob@northwind.example", "role": Role.ADMIN, "inviter": "Ada"}
    with services.db.session() as session:
        team = services.teams.create(session, "Sales", actor=SYSTEM, **of).id
        invited = services.invitations.invite(session, actor=SYSTEM, **of, **invitation).id  # type: ignore[arg-type]

    def by(method: Callable[..., object], *given: object, **more: object) -> Business:
        return lambda session, actor: method(session, *given, actor=actor, **of, **more)

    people, invitations, teams = services.people, services.invitations, services.teams
    return {
        "People.change_role": by(people.change_role, member.id, Role.ADMIN),
        "People.deactivate": by(people.deactivate, member.id),
        "People.activate": by(people.activate, member.id),
        "People.reset_second_factor": by(people.reset_second_factor, member.id, admin=admin),
        "Invitations.invite": by(invitations.invite, **invitation),
        "Invitations.send_again": by(invitations.send_again, invited, inviter="Ada"),
        "Invitations.withdraw": by(invitations.withdraw, invited),
        "Teams.create": by(teams.create, "Support"),
        "Teams.set_members": by(teams.set_members, team, [member.id]),
        "Teams.delete": by(teams.delete, team),
        "Leaks.set_policy": by(services.leaks.set_policy, policy=LeakPolicy.KILL),
        "Members.set_policy": by(services.members.set_policy, allowed=True),
        "Rates.set_default": by(services.rates.set_default, limit=7),
    }


def test_all_that_is_for_admins_alone_is_tried_here(business: dict[str, Business]) -> None:
    methods = {
        f"{service.__name__}.{name}"
        for service in (People, Invitations, Teams, Leaks, Members, Rates)
        for name, method in inspect.getmembers(service, inspect.isfunction)
        if not name.startswith("_")
        and {"actor", "organization_id"} <= inspect.signature(method).parameters.keys()
        and "key_id" not in inspect.signature(method).parameters
    }

    assert methods - {"Leaks.check"} == set(business)


@pytest.mark.parametrize("kind", ["user", "cli", "system"])
def test_an_admin_and_the_machine_may_do_all_of_it(
    services: Services, business: dict[str, Business], admin: User, kind: str
) -> None:
    actor = {"user": acting(admin), "cli": Actor("cli", "root"), "system": SYSTEM}[kind]

    for do in business.values():
        with services.db.session() as session:
            do(session, actor)


@pytest.mark.parametrize("end", ["demoted", "deactivated"])
def test_who_is_no_admin_or_none_any_more_may_do_nothing_of_it(
    services: Services,
    accounts: Accounts,
    business: dict[str, Business],
    organization: Organization,
    admin: User,
    member: User,
    add_user: Callable[[str, Role], User],
    end: str,
) -> None:
    former, of = add_user("Bob", Role.ADMIN), {"organization_id": organization.id}
    with services.db.session() as session:
        elsewhere = accounts.found(
            session,
            name="Southwind",
            email="sue@southwind.example",
            password=SecretValue(PASSWORD),
            actor=SYSTEM,
        )
        [sue] = accounts.admins(session, elsewhere.id)
        if end == "demoted":
            services.people.change_role(session, former.id, Role.MEMBER, actor=acting(admin), **of)
        else:
            services.people.deactivate(session, former.id, actor=acting(admin), **of)
        key = services.keys.create(
            session, name="Terraform", organization_id=organization.id, actor=SYSTEM
        ).key
        done = len(audit.events(session, organization.id))

    for actor in (acting(former), acting(member), acting(sue), Actor("key", "x", str(key.id))):
        for do in business.values():
            with services.db.session() as session, pytest.raises(BeyondMembers):
                do(session, actor)

    with services.db.session() as session:
        assert len(audit.events(session, organization.id)) == done
