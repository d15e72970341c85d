"""When a key was last used: noted without waiting, written at most once a minute, never back."""

from datetime import timedelta

from sqlalchemy import text

from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.db import Database
from keystore.keys import Issued, Keys
from keystore.uses import Use, Uses
from keystore.verification import Verification, VerifiedKey


def verified(verification: Verification, issued: Issued) -> VerifiedKey:
    found = verification.by_secret(issued.key.client_key, issued.client_secret.reveal())
    assert found is not None
    return found


def seen(database: Database, uses: Uses, issued: Issued) -> list[Use]:
    with database.session() as session:
        return list(uses.of_key(session, issued.key.id))


def test_a_use_is_there_once_it_was_flushed(
    database: Database, verification: Verification, clock: ManualClock, issued: Issued
) -> None:
    uses = Uses(clock)
    key = verified(verification, issued)

    uses.note(key, address="192.0.2.7", agent="Zapier\x00" + "x" * 300)
    assert seen(database, uses, issued) == []
    uses.flush(database)

    [use] = seen(database, uses, issued)
    assert (use.generation, use.at, use.address) == (1, clock.now(), "192.0.2.7")
    assert use.agent is not None
    assert use.agent.startswith("Zapier?x")
    assert len(use.agent) <= 200
    with database.session() as session:
        assert uses.last(session, [issued.key.id]) == {issued.key.id: clock.now()}


def test_a_secret_among_what_a_client_calls_itself_is_not_kept(
    database: Database, verification: Verification, clock: ManualClock, issued: Issued
) -> None:
    uses, secret = Uses(clock), issued.client_secret.reveal()
    uses.note(verified(verification, issued), address=None, agent=f"{'x' * 150} {secret}")
    uses.flush(database)
    [use] = seen(database, uses, issued)
    assert use.agent is not None
    assert use.agent.startswith("x" * 150)
    assert secret[:40] not in use.agent


def test_it_is_written_once_a_minute_and_every_request_is_counted(
    database: Database, verification: Verification, clock: ManualClock, issued: Issued
) -> None:
    uses, first = Uses(clock), clock.now()
    key = verified(verification, issued)
    for _ in range(7):
        uses.note(key, address=None, agent=None)
        uses.flush(database)
        clock.advance(10)
    assert [use.at for use in seen(database, uses, issued)] == [first + timedelta(minutes=1)]

    with database.session() as session:
        assert uses.last_week(session, issued.key.id) == 7
    clock.advance(timedelta(days=7))
    with database.session() as session:
        assert uses.last_week(session, issued.key.id) == 0


def test_each_secret_of_an_overlap_tells_its_own_last_use(
    database: Database,
    keys: Keys,
    verification: Verification,
    clock: ManualClock,
    issued: Issued,
) -> None:
    uses = Uses(clock)
    with database.session() as session:
        renewed = keys.regenerate(
            session,
            issued.key.id,
            organization_id=issued.key.organization_id,
            generation=1,
            actor=SYSTEM,
            overlap=timedelta(hours=1),
        )
    uses.note(verified(verification, issued), address="192.0.2.1", agent=None)
    clock.advance(60)
    uses.note(verified(verification, renewed), address="192.0.2.2", agent=None)
    uses.flush(database)

    assert [(use.generation, use.address) for use in seen(database, uses, issued)] == [
        (2, "192.0.2.2"),
        (1, "192.0.2.1"),
    ]


def test_u1_it_never_moves_back_whatever_process_is_late(
    database: Database, verification: Verification, clock: ManualClock, issued: Issued
) -> None:
    late, prompt = Uses(clock), Uses(clock)
    key = verified(verification, issued)
    late.note(key, address="early", agent=None)
    clock.advance(60)
    prompt.note(key, address="later", agent=None)

    prompt.flush(database)
    late.flush(database)

    assert [use.address for use in seen(database, prompt, issued)] == ["later"]


def test_u1_what_cannot_be_written_is_kept_and_nobody_fails(
    database: Database, verification: Verification, clock: ManualClock, issued: Issued
) -> None:
    uses = Uses(clock)
    uses.note(verified(verification, issued), address="192.0.2.7", agent=None)
    with database.engine.begin() as connection:
        connection.execute(text("ALTER TABLE secret_uses RENAME TO away"))
    uses.flush(database)
    with database.engine.begin() as connection:
        connection.execute(text("ALTER TABLE away RENAME TO secret_uses"))

    uses.flush(database)

    assert len(seen(database, uses, issued)) == 1
    with database.session() as session:
        assert uses.last_week(session, issued.key.id) == 1
