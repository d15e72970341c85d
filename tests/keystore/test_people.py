"""A new password: it opens, the old one does not, and what the old one began is over."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from keystore import audit
from keystore.accounts import Accounts
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.credentials import SecretValue
from keystore.db import Database
from keystore.errors import AccountError, LastAdmin, NoSuchPerson
from keystore.models import Role, User
from keystore.people import People
from keystore.sessions import Sessions
from tests.conftest import PASSWORD

NEW = "staple and another horse"


def test_a_new_password_ends_all_other_sign_ins(
    database: Database, accounts: Accounts, clock: ManualClock, admin: User, member: User
) -> None:
    people, sessions = People(accounts, clock), Sessions(clock)

    def begin(user: User) -> str:
        with database.session() as session:
            return sessions.begin(session, user, address=None, agent="").reveal()

    def alive(token: str) -> bool:
        with database.session() as session:
            return sessions.find(session, token) is not None

    here, there, mels = begin(admin), begin(admin), begin(member)
    with database.session() as session:
        found = sessions.find(session, here)
        assert found is not None
        people.change_password(session, admin, SecretValue(NEW), kept=found[0], actor=SYSTEM)

    assert [alive(token) for token in (here, there, mels)] == [True, False, True]
    with database.session() as session:
        assert accounts.authenticate(session, admin.email, SecretValue(PASSWORD)) is None
        assert accounts.authenticate(session, admin.email, SecretValue(NEW)) is not None
        last = audit.events(session, admin.organization_id)[-1]
    assert (last.action, last.subject_id) == ("user.password_changed", str(admin.id))
    assert last.detail == {"email": admin.email, "sessions_ended": 1}


def test_a_password_that_is_too_short_changes_nothing(
    database: Database, accounts: Accounts, clock: ManualClock, admin: User
) -> None:
    people, sessions = People(accounts, clock), Sessions(clock)
    with database.session() as session:
        token = sessions.begin(session, admin, address=None, agent="").reveal()
        found = sessions.find(session, token)
        assert found is not None
        with pytest.raises(AccountError, match="12 to 1024"):
            people.change_password(session, admin, SecretValue("x"), kept=found[0], actor=SYSTEM)
        assert sessions.find(session, token) is not None
        assert accounts.authenticate(session, admin.email, SecretValue(PASSWORD)) is not None


@pytest.fixture
def people(accounts: Accounts, clock: ManualClock) -> People:
    return People(accounts, clock)


def test_who_is_deactivated_is_out_at_once_and_may_be_let_in_again(
    database: Database,
    accounts: Accounts,
    people: People,
    clock: ManualClock,
    admin: User,
    member: User,
) -> None:
    sessions, of = Sessions(clock), member.organization_id
    with database.session() as session:
        token = sessions.begin(session, member, address=None, agent="").reveal()
        people.deactivate(session, member.id, organization_id=of, actor=SYSTEM)
        people.deactivate(session, member.id, organization_id=of, actor=SYSTEM)
        assert accounts.authenticate(session, member.email, SecretValue(PASSWORD)) is None

        people.activate(session, member.id, organization_id=of, actor=SYSTEM)
        people.activate(session, member.id, organization_id=of, actor=SYSTEM)
        assert sessions.find(session, token) is None
        assert accounts.authenticate(session, member.email, SecretValue(PASSWORD)) is not None
    with database.session() as session:
        actions = [event.action for event in audit.events(session, of)]
    assert actions[-2:] == ["user.deactivated", "user.activated"]


def test_a_role_is_changed_and_audited_with_before_and_after(
    database: Database, people: People, admin: User, member: User
) -> None:
    of = member.organization_id
    with database.session() as session:
        for _ in range(2):
            people.change_role(session, member.id, Role.ADMIN, organization_id=of, actor=SYSTEM)
        assert [(user.name, user.role) for user in people.list(session, of)] == [
            ("Ada", Role.ADMIN),
            ("Mel", Role.ADMIN),
        ]
        changes = [e for e in audit.events(session, of) if e.action == "user.role_changed"]
    assert [(c.detail["before"], c.detail["after"]) for c in changes] == [("member", "admin")]


def test_nobody_changes_the_people_of_another_organization(
    database: Database, accounts: Accounts, people: People, admin: User
) -> None:
    with database.session() as session:
        contoso = accounts.create_organization(session, name="Contoso", actor=SYSTEM)
    for change in (people.deactivate, people.activate):
        with database.session() as session, pytest.raises(NoSuchPerson):
            change(session, admin.id, organization_id=contoso.id, actor=SYSTEM)
    with database.session() as session:
        assert people.list(session, contoso.id) == []


def test_two_admins_who_step_down_at_once_leave_one(
    database: Database,
    accounts: Accounts,
    people: People,
    admin: User,
    add_user: Callable[[str, Role], User],
) -> None:
    other = add_user("Bob", Role.ADMIN)
    at_once = Barrier(2)

    def step_down(user: User) -> bool:
        at_once.wait()
        with database.session() as session:
            try:
                people.change_role(
                    session,
                    user.id,
                    Role.MEMBER,
                    organization_id=user.organization_id,
                    actor=SYSTEM,
                )
            except LastAdmin:
                return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(step_down, [admin, other])) == [False, True]
    with database.session() as session:
        assert len(accounts.admins(session, admin.organization_id)) == 1
