"""Sign-ins: held by a token, found in the database, ended there and nowhere else."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from keystore import audit
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.credentials import SecretValue
from keystore.db import Database
from keystore.keys import Issued
from keystore.models import SignIn, User
from keystore.sessions import LIFETIME, RECENT, SEEN_EVERY, Sessions


@pytest.fixture
def sessions(clock: ManualClock) -> Sessions:
    return Sessions(clock)


def begin(database: Database, sessions: Sessions, user: User, agent: str = "Firefox") -> str:
    with database.session() as session:
        token = sessions.begin(session, user, address="192.0.2.1", agent=agent)
    return token.reveal()


def found(database: Database, sessions: Sessions, token: str) -> SignIn | None:
    with database.session() as session:
        known = sessions.find(session, token)
    return None if known is None else known[0]


def test_a_token_finds_its_person_and_no_other_text_does(
    database: Database, sessions: Sessions, admin: User
) -> None:
    token = begin(database, sessions, admin)

    with database.session() as session:
        known = sessions.find(session, token)
    assert known is not None
    assert known[1].id == admin.id
    for other in ("", token[:-1], token + "A", token.swapcase(), "\ud800", "\x00"):
        assert found(database, sessions, other) is None


def test_the_database_does_not_hold_the_token(
    database: Database, sessions: Sessions, admin: User
) -> None:
    token = begin(database, sessions, admin)

    with database.engine.connect() as connection:
        rows = [
            *connection.execute(text("SELECT * FROM sign_ins")),
            *connection.execute(text("SELECT * FROM audit_events")),
        ]
    assert token not in repr(rows)


def test_what_a_browser_calls_itself_is_kept_in_part(
    database: Database, sessions: Sessions, admin: User
) -> None:
    begin(database, sessions, admin, agent="x\x00\ud800" + "y" * 5000)

    with database.session() as session:
        [listed] = sessions.list(session, admin)
    assert listed.agent == ("x??" + "y" * 5000)[:200]
    assert listed.address == "192.0.2.1"


def test_a_secret_among_what_a_browser_calls_itself_is_not_kept(
    database: Database, sessions: Sessions, admin: User, issued: Issued
) -> None:
    begin(database, sessions, admin, agent=f"Firefox {issued.client_secret.reveal()}")
    with database.session() as session:
        [listed] = sessions.list(session, admin)
    assert listed.agent.startswith("Firefox ")
    assert issued.client_secret.reveal() not in listed.agent


def test_it_ends_after_its_lifetime_and_not_before(
    database: Database, sessions: Sessions, clock: ManualClock, admin: User
) -> None:
    token = begin(database, sessions, admin)

    clock.advance(LIFETIME - timedelta(microseconds=1))
    assert found(database, sessions, token) is not None
    clock.advance(timedelta(microseconds=1))
    assert found(database, sessions, token) is None
    with database.session() as session:
        assert sessions.list(session, admin) == []

    begin(database, sessions, admin)
    with database.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM sign_ins")).scalar_one() == 1


def test_another_process_sees_the_end_with_its_next_request(
    database: Database, clock: ManualClock, admin: User
) -> None:
    here, elsewhere = Sessions(clock), Sessions(clock)
    token, other = begin(database, here, admin), begin(database, here, admin)
    known = found(database, elsewhere, token)
    assert known is not None

    with database.session() as session:
        assert here.end(session, admin, known.id, SYSTEM)
        assert not here.end(session, admin, known.id, SYSTEM)

    assert found(database, elsewhere, token) is None
    assert found(database, elsewhere, other) is not None


def test_nobody_ends_the_sign_in_of_somebody_else(
    database: Database, sessions: Sessions, admin: User, member: User
) -> None:
    token = begin(database, sessions, admin)
    known = found(database, sessions, token)
    assert known is not None

    with database.session() as session:
        assert not sessions.end(session, member, known.id, SYSTEM)

    assert found(database, sessions, token) is not None


def test_all_others_end_and_each_end_is_audited(
    database: Database, sessions: Sessions, admin: User, member: User
) -> None:
    tokens = [begin(database, sessions, admin) for _ in range(3)]
    mels = begin(database, sessions, member)
    kept = found(database, sessions, tokens[1])
    assert kept is not None

    with database.session() as session:
        assert sessions.end_others(session, admin, kept, SYSTEM) == 2

    alive = [found(database, sessions, token) is not None for token in [*tokens, mels]]
    assert alive == [False, True, False, True]
    with database.session() as session:
        actions = [event.action for event in audit.events(session, admin.organization_id)]
    assert actions.count("session.started") == 4
    assert actions.count("session.ended") == 2


def test_a_changed_password_ends_even_a_sign_in_that_was_just_beginning(
    database: Database, sessions: Sessions, admin: User
) -> None:
    # The password was checked, then changed by somebody else, and only then the row is written.
    with database.session() as session, session.begin():
        session.get_one(User, admin.id).password_hash = "$argon2id$another"
    token = begin(database, sessions, admin)

    assert found(database, sessions, token) is None


def test_the_last_use_is_written_once_a_minute(
    database: Database, sessions: Sessions, clock: ManualClock, admin: User
) -> None:
    token, start = begin(database, sessions, admin), clock.now()

    def seen() -> timedelta:
        known = found(database, sessions, token)
        assert known is not None
        return known.last_seen_at - start

    clock.advance(SEEN_EVERY - timedelta(seconds=1))
    assert seen() == timedelta(0)
    clock.advance(1)
    assert seen() == SEEN_EVERY
    clock.advance(-30)
    assert seen() == SEEN_EVERY


def test_a_sign_in_is_recent_for_ten_minutes_after_each_confirmation(
    database: Database, sessions: Sessions, clock: ManualClock, admin: User
) -> None:
    token = begin(database, sessions, admin)

    def recent() -> bool:
        known = found(database, sessions, token)
        assert known is not None
        return sessions.is_recent(known)

    clock.advance(RECENT - timedelta(microseconds=1))
    assert recent()
    clock.advance(timedelta(microseconds=1))
    assert not recent()
    known = found(database, sessions, token)
    assert known is not None
    with database.session() as session:
        sessions.confirm(session, known, admin, SYSTEM)
    assert recent()


def test_a_token_does_not_show_itself(database: Database, sessions: Sessions, admin: User) -> None:
    with database.session() as session:
        token = sessions.begin(session, admin, address=None, agent="")

    assert isinstance(token, SecretValue)
    assert token.reveal() not in f"{token} {token!r}"
