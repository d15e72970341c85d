"""The second factor: confirmed before it counts, each code good once, on paper and in the app."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from keystore import audit, one_time_codes
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.credentials import SecretValue
from keystore.db import Database
from keystore.errors import AlreadyDone, WrongCode
from keystore.models import User
from keystore.second_factor import RECOVERY_CODES, SecondFactor
from keystore.vault import Vault
from tests.properties.together import interleaved

PERIOD = one_time_codes.PERIOD


@pytest.fixture
def factor(vault: Vault, clock: ManualClock) -> SecondFactor:
    return SecondFactor(vault, clock)


class Phone:
    """An authenticator app."""

    def __init__(self, clock: ManualClock, secret: SecretValue) -> None:
        self.clock = clock
        self.secret = one_time_codes.as_bytes(secret)

    def code(self) -> str:
        return one_time_codes.code(self.secret, one_time_codes.step(self.clock.now()))


@pytest.fixture
def phone(database: Database, factor: SecondFactor, clock: ManualClock, admin: User) -> Phone:
    with database.session() as session:
        return Phone(clock, factor.prepare(session, admin))


@pytest.fixture
def paper(database: Database, factor: SecondFactor, phone: Phone, admin: User) -> list[str]:
    """The recovery codes of a factor that is on."""
    with database.session() as session:
        codes = factor.turn_on(session, admin, phone.code(), SYSTEM)
    phone.clock.advance(PERIOD)
    return [code.reveal() for code in codes]


def opens(database: Database, factor: SecondFactor, user: User, code: str) -> bool:
    with database.session() as session:
        return factor.check(session, user, code, SYSTEM)


def test_it_counts_once_a_code_was_right(
    database: Database, factor: SecondFactor, phone: Phone, admin: User, clock: ManualClock
) -> None:
    with database.session() as session:
        assert not factor.is_on(session, admin.id)
        with pytest.raises(WrongCode):
            factor.turn_on(session, admin, "000000", SYSTEM)
        assert not factor.is_on(session, admin.id)
        assert one_time_codes.as_bytes(factor.prepare(session, admin)) == phone.secret
        codes = factor.turn_on(session, admin, f" {phone.code()[:3]} {phone.code()[3:]} ", SYSTEM)
        assert factor.is_on(session, admin.id)
        with pytest.raises(AlreadyDone):
            factor.prepare(session, admin)
        with pytest.raises(AlreadyDone):
            factor.turn_on(session, admin, phone.code(), SYSTEM)

    assert len({code.reveal() for code in codes}) == RECOVERY_CODES


def test_the_page_opened_twice_at_once_shows_the_same_secret(
    database: Database, factor: SecondFactor, admin: User
) -> None:
    def prepare() -> str:
        with database.session() as session:
            return factor.prepare(session, admin).reveal()

    (one, other), reached = interleaved(database.engine, prepare, prepare, statement=2)

    assert reached
    assert one == other == prepare()


def test_a_code_opens_once_and_no_older_one_does_afterwards(
    database: Database,
    factor: SecondFactor,
    phone: Phone,
    paper: Sequence[str],
    admin: User,
    clock: ManualClock,
) -> None:
    older = phone.code()
    clock.advance(PERIOD)
    newer = phone.code()

    assert opens(database, factor, admin, newer)
    assert not opens(database, factor, admin, newer)
    assert not opens(database, factor, admin, older)
    clock.advance(-PERIOD)
    assert not opens(database, factor, admin, older)


def test_the_code_that_turned_it_on_opens_nothing(
    database: Database, factor: SecondFactor, phone: Phone, admin: User
) -> None:
    with database.session() as session:
        factor.turn_on(session, admin, phone.code(), SYSTEM)

    assert not opens(database, factor, admin, phone.code())


def test_one_code_sent_many_times_at_once_opens_once(
    database: Database, factor: SecondFactor, phone: Phone, paper: Sequence[str], admin: User
) -> None:
    for code in (phone.code(), paper[3]):
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda c: opens(database, factor, admin, c), [code] * 8))
        assert answers.count(True) == 1


def test_a_recovery_code_opens_once_however_it_is_typed(
    database: Database, factor: SecondFactor, paper: Sequence[str], admin: User, member: User
) -> None:
    assert not opens(database, factor, member, paper[0])
    assert opens(database, factor, admin, f"  {paper[0].upper().replace('-', ' ')} ")
    assert not opens(database, factor, admin, paper[0])
    assert opens(database, factor, admin, paper[1].replace("-", ""))
    for wrong in ("", paper[2][:-1], paper[2] + "0", "\ud800", "x" * 100_000):
        assert not opens(database, factor, admin, wrong)
    with database.session() as session:
        assert factor.recovery_codes_left(session, admin.id) == RECOVERY_CODES - 2


def test_new_recovery_codes_end_the_old_ones(
    database: Database, factor: SecondFactor, paper: Sequence[str], admin: User
) -> None:
    with database.session() as session:
        renewed = factor.renew_recovery_codes(session, admin, SYSTEM)

    assert not opens(database, factor, admin, paper[0])
    assert opens(database, factor, admin, renewed[0].reveal())


def test_off_is_off(
    database: Database, factor: SecondFactor, phone: Phone, paper: Sequence[str], admin: User
) -> None:
    with database.session() as session:
        assert factor.turn_off(session, admin, SYSTEM)
        assert not factor.turn_off(session, admin, SYSTEM)
        assert not factor.is_on(session, admin.id)
        with pytest.raises(WrongCode):
            factor.renew_recovery_codes(session, admin, SYSTEM)
    assert not opens(database, factor, admin, phone.code())
    assert not opens(database, factor, admin, paper[0])
    with database.session() as session:
        assert one_time_codes.as_bytes(factor.prepare(session, admin)) != phone.secret
        actions = [event.action for event in audit.events(session, admin.organization_id)]
    assert actions[-2:] == ["second_factor.on", "second_factor.off"]


def test_nothing_in_the_database_opens_the_door(
    database: Database, factor: SecondFactor, phone: Phone, paper: Sequence[str], admin: User
) -> None:
    with database.engine.connect() as connection:
        rows = "".join(
            repr(connection.execute(text(f"SELECT * FROM {table}")).all())
            for table in ("factors", "recovery_codes", "audit_events")
        )

    base32 = one_time_codes.as_text(phone.secret).reveal()
    for plain in (base32, repr(phone.secret)[2:-1], *paper, *(c.replace("-", "") for c in paper)):
        assert plain not in rows
