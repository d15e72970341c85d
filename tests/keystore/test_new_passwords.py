"""A new password: it opens, the old one does not, and what the old one began is over."""

from collections.abc import Callable

import pytest

from keystore import audit
from keystore.accounts import Accounts
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.credentials import SecretValue
from keystore.db import Database
from keystore.errors import (
    AccountError,
    SignInOver,
)
from keystore.models import Organization, Role, User
from keystore.people import People
from keystore.services import Services
from keystore.sessions import Sessions
from tests.conftest import PASSWORD
from tests.properties.together import interleaved
from tests.support.mailbox import letters

NEW = "staple and another horse"
OTHER = "a third horse and no staple"


@pytest.fixture
def people(services: Services) -> People:
    return services.people


def test_a_new_password_ends_all_other_sign_ins(
    database: Database,
    accounts: Accounts,
    people: People,
    clock: ManualClock,
    admin: User,
    member: User,
) -> None:
    sessions = Sessions(clock)

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
    database: Database, accounts: Accounts, people: People, clock: ManualClock, admin: User
) -> None:
    sessions = Sessions(clock)
    with database.session() as session:
        token = sessions.begin(session, admin, address=None, agent="").reveal()
        found = sessions.find(session, token)
        assert found is not None
        with pytest.raises(AccountError, match="12 to 1024"):
            people.change_password(session, admin, SecretValue("x"), kept=found[0], actor=SYSTEM)
        assert sessions.find(session, token) is not None
        assert accounts.authenticate(session, admin.email, SecretValue(PASSWORD)) is not None


def test_of_two_who_change_one_password_at_once_the_second_changes_nothing(
    database: Database,
    accounts: Accounts,
    people: People,
    clock: ManualClock,
    add_user: Callable[[str, Role], User],
) -> None:
    """Both have shown the present one. Whatever the point, whoever is first has the last word."""
    sessions = Sessions(clock)

    def alive(token: str) -> bool:
        with database.session() as session:
            return sessions.find(session, token) is not None

    def works(user: User, password: str) -> bool:
        with database.session() as session:
            return accounts.authenticate(session, user.email, SecretValue(password)) is not None

    def changing(user: User, password: str) -> tuple[str, Callable[[], str]]:
        with database.session() as session:
            token = sessions.begin(session, user, address=None, agent="").reveal()
            found = sessions.find(session, token)
            shown = accounts.authenticate(session, user.email, SecretValue(PASSWORD))
        assert found is not None
        assert shown is not None

        def change() -> str:
            with database.session() as session:
                people.change_password(
                    session, shown, SecretValue(password), kept=found[0], actor=SYSTEM
                )
            return password

        return token, change

    statement, reached, first = 0, True, set()
    while reached:
        statement += 1
        ada = add_user(f"Ada{statement}", Role.ADMIN)
        (mine, change), (theirs, steal) = (changing(ada, one) for one in (NEW, OTHER))
        (won, lost), reached = interleaved(database.engine, steal, change, statement)
        if isinstance(won, SignInOver):
            won, lost = lost, won

        assert isinstance(lost, SignInOver), statement
        assert {one: works(ada, one) for one in (PASSWORD, NEW, OTHER)} == {
            one: one == won for one in (PASSWORD, NEW, OTHER)
        }
        assert [alive(mine), alive(theirs)] == [won == NEW, won == OTHER]
        first.add(won)
    assert first == {NEW, OTHER}


def test_who_was_signed_out_in_the_meantime_changes_no_password(
    services: Services, people: People, admin: User
) -> None:
    with services.db.session() as session:
        token = services.sessions.begin(session, admin, address=None, agent="").reveal()
        found = services.sessions.find(session, token)
        assert found is not None
        assert services.sessions.end(session, admin, found[0].id, SYSTEM)

        with pytest.raises(SignInOver):
            people.change_password(session, admin, SecretValue(NEW), kept=found[0], actor=SYSTEM)
        assert services.accounts.authenticate(session, admin.email, SecretValue(PASSWORD))
    assert letters(services.db, services.vault) == []


def test_whoever_changes_their_password_is_told(
    services: Services, people: People, admin: User
) -> None:
    with services.db.session() as session:
        token = services.sessions.begin(session, admin, address=None, agent="").reveal()
        found = services.sessions.find(session, token)
        assert found is not None
        people.change_password(session, admin, SecretValue(NEW), kept=found[0], actor=SYSTEM)

    [letter] = letters(services.db, services.vault)
    assert (letter.to, letter.subject) == (admin.email, "Your password was changed")
    assert NEW not in letter.text


def test_an_address_that_no_mail_gets_to_keeps_nobody_from_a_new_password(
    services: Services, people: People, organization: Organization
) -> None:
    with services.db.session() as session:
        odd = services.accounts.create_user(
            session,
            organization_id=organization.id,
            email="jürgen@northwind.example",
            name="Jürgen",
            role=Role.MEMBER,
            password=SecretValue(PASSWORD),
            actor=SYSTEM,
        )
        token = services.sessions.begin(session, odd, address=None, agent="").reveal()
        found = services.sessions.find(session, token)
        assert found is not None
        people.change_password(session, odd, SecretValue(NEW), kept=found[0], actor=SYSTEM)
        assert services.accounts.authenticate(session, odd.email, SecretValue(NEW)) is not None
