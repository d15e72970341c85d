"""A new password: it opens, the old one does not, and what the old one began is over."""

import pytest

from keystore import audit
from keystore.accounts import Accounts
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.credentials import SecretValue
from keystore.db import Database
from keystore.errors import AccountError
from keystore.models import User
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
    assert (last.action, last.detail) == ("user.password_changed", {"sessions_ended": 1})


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
