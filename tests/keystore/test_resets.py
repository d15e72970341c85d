"""A link for a new password: good once, for an hour, and only for the password it replaces."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from sqlalchemy import select, text

from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.credentials import SecretValue
from keystore.db import Database, writing
from keystore.errors import AccountError, LinkOver
from keystore.models import AuditEvent, Outcome, User
from keystore.resets import LIFETIME
from keystore.services import Services
from tests.conftest import PASSWORD
from tests.support.mailbox import Letter, letters

NEW = "staple and another horse"


def forget(services: Services, user: User) -> str:
    """Have a link sent, and return its token."""
    before = mailbox(services)
    with services.db.session() as session, writing(session):
        services.resets.post(session, user, SYSTEM)
    [letter] = [one for one in mailbox(services) if one not in before]
    return letter.token


def use(services: Services, token: str, password: str = NEW) -> User:
    with services.db.session() as session:
        return services.resets.use(session, token, SecretValue(password), address="192.0.2.7")


def mailbox(services: Services) -> list[Letter]:
    return letters(services.db, services.vault)


def opens(services: Services, user: User, password: str) -> bool:
    with services.db.session() as session:
        found = services.accounts.authenticate(session, user.email, SecretValue(password))
    return found is not None


def sign_in(services: Services, user: User) -> str:
    with services.db.session() as session:
        return services.sessions.begin(session, user, address=None, agent="").reveal()


def is_signed_in(services: Services, token: str) -> bool:
    with services.db.session() as session:
        return services.sessions.find(session, token) is not None


def test_a_new_password_ends_what_the_forgotten_one_began(
    services: Services, admin: User, member: User, clock: ManualClock
) -> None:
    here, elsewhere = sign_in(services, admin), sign_in(services, member)
    token = forget(services, admin)
    assert opens(services, admin, PASSWORD), "asking changes nothing"
    clock.advance(1)

    use(services, token)

    assert (opens(services, admin, PASSWORD), opens(services, admin, NEW)) == (False, True)
    assert (is_signed_in(services, here), is_signed_in(services, elsewhere)) == (False, True)
    assert opens(services, member, PASSWORD)
    told = mailbox(services)[-1]
    assert (told.to, told.subject) == (admin.email, "Your password was changed")


def test_a_link_is_good_once(services: Services, admin: User) -> None:
    token = forget(services, admin)
    use(services, token)

    with pytest.raises(LinkOver):
        use(services, token, "yet another password")

    assert opens(services, admin, NEW)
    with services.db.session() as session:
        rows = session.scalars(select(AuditEvent).order_by(AuditEvent.seq)).all()
    assert [(row.action, row.outcome) for row in rows][-3:] == [
        ("user.password_reset_sent", Outcome.DONE),
        ("user.password_reset", Outcome.DONE),
        ("user.password_reset", Outcome.REFUSED),
    ]
    assert rows[-1].address == "192.0.2.7"


def test_it_works_strictly_before_its_end(
    services: Services, admin: User, clock: ManualClock
) -> None:
    token = forget(services, admin)
    clock.advance(LIFETIME)
    with pytest.raises(LinkOver):
        use(services, token)
    with services.db.session() as session, pytest.raises(LinkOver):
        services.resets.find(session, token)

    clock.advance(-timedelta(microseconds=1))
    use(services, token)


def test_a_changed_password_ends_every_link(
    services: Services, admin: User, clock: ManualClock
) -> None:
    first, second = forget(services, admin), forget(services, admin)
    assert first != second
    admin = use(services, first)
    with pytest.raises(LinkOver):
        use(services, second)

    third = forget(services, admin)
    sign = sign_in(services, admin)
    with services.db.session() as session:
        found = services.sessions.find(session, sign)
        assert found is not None
        services.people.change_password(
            session, admin, SecretValue(PASSWORD), kept=found[0], actor=SYSTEM
        )
    with pytest.raises(LinkOver):
        use(services, third)
    assert opens(services, admin, PASSWORD)


def test_who_has_left_chooses_no_password(services: Services, admin: User, member: User) -> None:
    token = forget(services, member)
    with services.db.session() as session:
        services.people.deactivate(
            session, member.id, organization_id=member.organization_id, actor=SYSTEM
        )

    with pytest.raises(LinkOver):
        use(services, token)


def test_a_bad_password_uses_nothing_up(services: Services, admin: User) -> None:
    token = forget(services, admin)
    with pytest.raises(AccountError, match="12 to 1024"):
        use(services, token, "short")

    use(services, token)


@pytest.mark.parametrize("token", ["", "khl", "khl" + "0" * 40, "\x00", "ä" * 50, "\udc80"])
def test_what_is_no_link_is_over(services: Services, admin: User, token: str) -> None:
    with pytest.raises(LinkOver):
        use(services, token)


def test_the_database_holds_no_link(services: Services, database: Database, admin: User) -> None:
    token = forget(services, admin)
    with database.engine.connect() as connection:
        for table in ("password_resets", "mails", "audit_events"):
            assert token[3:11] not in str(connection.execute(text(f"SELECT * FROM {table}")).all())


def test_of_two_who_use_links_at_once_one_sets_the_password(
    services: Services, admin: User
) -> None:
    tokens = [forget(services, admin), forget(services, admin)]
    at_once = Barrier(2)

    def choose(number: int) -> bool:
        at_once.wait()
        try:
            use(services, tokens[number], f"the password of {number}")
        except LinkOver:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        won = list(pool.map(choose, range(2)))

    assert sorted(won) == [False, True]
    assert [opens(services, admin, f"the password of {number}") for number in range(2)] == won
