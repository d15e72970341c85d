from collections.abc import Callable
from uuid import uuid4

import pytest

from keystore import audit
from keystore.accounts import Accounts
from keystore.audit import SYSTEM, Actor
from keystore.clock import ManualClock
from keystore.credentials import SecretValue
from keystore.db import Database
from keystore.errors import BadName, NameTaken, NoSuchPerson, NoSuchTeam
from keystore.models import Organization, Role, User
from keystore.team_models import Team
from keystore.teams import Teams

ADA = Actor("cli", "ada")

Create = Callable[[str], Team]


@pytest.fixture
def teams(clock: ManualClock) -> Teams:
    return Teams(clock)


@pytest.fixture
def create(teams: Teams, database: Database, organization: Organization) -> Create:
    def create(name: str) -> Team:
        with database.session() as session:
            return teams.create(session, name, organization_id=organization.id, actor=ADA)

    return create


def known(teams: Teams, database: Database, organization: Organization) -> dict[str, set[str]]:
    with database.session() as session:
        found = teams.list(session, organization.id)
    return {one.team.name: set(map(str, one.people)) for one in found}


def test_teams_have_names_and_people_and_each_change_is_on_record(
    teams: Teams,
    create: Create,
    database: Database,
    organization: Organization,
    admin: User,
    member: User,
) -> None:
    support, sales = create(" Support "), create("Sales")
    for people in ([member.id, admin.id], [member.id], [member.id]):
        with database.session() as session:
            teams.set_members(session, sales.id, people, organization_id=organization.id, actor=ADA)
    assert known(teams, database, organization) == {"Sales": {str(member.id)}, "Support": set()}
    with database.session() as session:
        teams.delete(session, sales.id, organization_id=organization.id, actor=ADA)
        told = [
            (event.action, event.subject_id)
            for event in audit.events(session, organization.id)
            if event.subject_type == "team"
        ]
    assert known(teams, database, organization) == {"Support": set()}
    assert told == [
        ("team.created", str(support.id)),
        ("team.created", str(sales.id)),
        ("team.members_changed", str(sales.id)),
        ("team.members_changed", str(sales.id)),
        ("team.deleted", str(sales.id)),
    ]


@pytest.mark.parametrize(
    ("name", "error"), [("", BadName), ("x" * 81, BadName), ("a\nb", BadName), ("Sales", NameTaken)]
)
def test_a_name_is_a_new_one_that_can_be_read(
    create: Create,
    teams: Teams,
    database: Database,
    organization: Organization,
    name: str,
    error: type[Exception],
) -> None:
    create("Sales")
    with pytest.raises(error):
        create(name)
    assert list(known(teams, database, organization)) == ["Sales"]


def test_strangers_are_in_no_team_and_their_teams_are_not_there(
    create: Create,
    teams: Teams,
    database: Database,
    organization: Organization,
    accounts: Accounts,
    member: User,
) -> None:
    sales = create("Sales")
    with database.session() as session:
        other = accounts.create_organization(session, name="Southwind", actor=SYSTEM)
    with database.session() as session:
        stranger = accounts.create_user(
            session,
            organization_id=other.id,
            email="sue@southwind.example",
            name="Sue",
            role=Role.ADMIN,
            password=SecretValue("correct horse battery"),
            actor=SYSTEM,
        )
    for people in ([stranger.id], [member.id, uuid4()]):
        with database.session() as session, pytest.raises(NoSuchPerson):
            teams.set_members(session, sales.id, people, organization_id=organization.id, actor=ADA)
    with database.session() as session, pytest.raises(NoSuchTeam):
        teams.set_members(session, sales.id, [], organization_id=other.id, actor=ADA)
    with database.session() as session, pytest.raises(NoSuchTeam):
        teams.delete(session, sales.id, organization_id=other.id, actor=ADA)
    assert known(teams, database, other) == {}
    assert known(teams, database, organization) == {"Sales": set()}
