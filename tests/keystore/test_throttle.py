"""Guessing gets slower and slower, whoever guesses, however many at once; the owner gets in."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from keystore.clock import ManualClock
from keystore.db import Database
from keystore.errors import TooManyFailures
from keystore.throttle import (
    FORGOTTEN_AFTER,
    FREE_FOR_ACCOUNT,
    FREE_FOR_ADDRESS,
    LONGEST_WAIT,
    Throttle,
    Try,
    wait,
)
from keystore.vault import Vault

ADA = "ada@northwind.example"


@pytest.fixture
def throttle(vault: Vault, clock: ManualClock) -> Throttle:
    return Throttle(vault, clock)


def attempt(
    database: Database,
    throttle: Throttle,
    account: str = ADA,
    address: str | None = "192.0.2.1",
    device: str | None = None,
) -> Try:
    with database.session() as session:
        return throttle.begin(session, account, address=address, device=device)


def waits(
    database: Database,
    throttle: Throttle,
    account: str = ADA,
    address: str | None = "192.0.2.1",
    device: str | None = None,
) -> int:
    """Try, and return for how many seconds one is sent away; 0 when the try was let through."""
    try:
        attempt(database, throttle, account, address, device)
    except TooManyFailures as error:
        return error.seconds
    return 0


def test_the_first_failures_are_free_and_each_further_one_doubles_the_wait(
    database: Database, throttle: Throttle, clock: ManualClock
) -> None:
    assert [waits(database, throttle) for _ in range(FREE_FOR_ACCOUNT)] == [0] * FREE_FOR_ACCOUNT

    delays = []
    for _ in range(12):
        delays.append(waits(database, throttle))
        clock.advance(delays[-1])
        assert waits(database, throttle) == 0

    assert delays == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]


def test_being_sent_away_costs_nothing_more(
    database: Database, throttle: Throttle, clock: ManualClock
) -> None:
    for _ in range(FREE_FOR_ACCOUNT + 50):
        waits(database, throttle)

    clock.advance(1)

    assert waits(database, throttle) == 0


def test_a_hundred_tries_at_once_are_a_hundred_tries(
    database: Database, throttle: Throttle
) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: waits(database, throttle), range(40)))

    assert answers.count(0) == FREE_FOR_ACCOUNT


def test_a_right_password_begins_anew(database: Database, throttle: Throttle) -> None:
    for _ in range(3):
        for _ in range(FREE_FOR_ACCOUNT - 1):
            assert waits(database, throttle) == 0
        right = attempt(database, throttle)
        with database.session() as session:
            throttle.succeed(session, right)


def test_right_passwords_at_once_do_not_get_in_each_others_way(
    database: Database, throttle: Throttle
) -> None:
    def sign_in(_number: int) -> bool:
        with database.session() as session:
            right = throttle.begin(session, ADA, address="192.0.2.1")
        with database.session() as session:
            throttle.succeed(session, right)
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(sign_in, range(60)))
    with database.engine.connect() as connection:
        assert connection.execute(text("SELECT sum(count) FROM failures")).scalar_one() == 0


def test_one_address_may_not_try_many_accounts(
    database: Database, throttle: Throttle, clock: ManualClock
) -> None:
    answers = [waits(database, throttle, f"user{n}@x.example") for n in range(30)]

    assert answers == [0] * FREE_FOR_ADDRESS + [1] * 10
    assert waits(database, throttle, "user77@x.example", "192.0.2.2") == 0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.9", "192.0.2.9", True),
        (None, "nonsense", True),
    ],
)
def test_an_address_is_what_one_party_has(
    database: Database, throttle: Throttle, one: str | None, other: str, same: bool
) -> None:
    for number in range(FREE_FOR_ADDRESS):
        assert waits(database, throttle, f"{number}", one) == 0

    assert (waits(database, throttle, "another", other) > 0) == same


def test_a_known_browser_is_not_held_up_by_strangers_and_has_no_endless_tries_either(
    database: Database, throttle: Throttle
) -> None:
    for _ in range(100):
        waits(database, throttle)

    answers = [waits(database, throttle, device="d1") for _ in range(7)]

    assert answers == [0] * FREE_FOR_ACCOUNT + [1, 1]
    assert waits(database, throttle, account="mel@northwind.example", address="192.0.2.9") == 0


def test_all_is_forgotten_after_a_day_and_nothing_is_kept(
    database: Database, throttle: Throttle, clock: ManualClock
) -> None:
    for _ in range(FREE_FOR_ACCOUNT + 1):
        waits(database, throttle)
    clock.advance(FORGOTTEN_AFTER)

    assert waits(database, throttle, "another", "192.0.2.7") == 0
    with database.engine.connect() as connection:
        rows = connection.execute(text("SELECT * FROM failures")).all()
    assert len(rows) == 2
    assert "another" not in repr(rows)
    assert "192.0.2" not in repr(rows)


@given(st.integers(-100, 10**6))
def test_a_wait_grows_and_has_an_end(failures: int) -> None:
    assert timedelta(0) <= wait(failures) <= wait(failures + 1) <= LONGEST_WAIT


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 second."),
        (59.5, "60 seconds."),
        (61, "2 minutes."),
        (900, "15 minutes."),
    ],
)
def test_the_wait_is_told_in_words(seconds: float, words: str) -> None:
    assert TooManyFailures(timedelta(seconds=seconds)).detail.endswith(f"Try again in {words}")
