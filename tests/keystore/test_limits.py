import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy.engine import make_url

from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.db import Database
from keystore.keys import Issued, Keys
from keystore.limit_models import KeyWindow
from keystore.limits import Budget, Limits
from keystore.models import Organization
from keystore.rates import Rates
from keystore.verification import Verification, VerifiedKey
from keystore.window import MOST_GRANTS
from tests.support.databases import fresh_database
from tests.support.statements import counted_statements, statements

MINUTE = timedelta(minutes=1)
INSTANT = timedelta(microseconds=1)

Make = Callable[..., Issued]
Show = Callable[[Issued], VerifiedKey]


@pytest.fixture
def limits(database: Database, clock: ManualClock) -> Limits:
    return Limits(database, clock, 60)


@pytest.fixture
def make(database: Database, keys: Keys, organization: Organization) -> Make:
    def make(limit: int | None = None, name: str = "Limited") -> Issued:
        with database.session() as session:
            return keys.create(
                session,
                organization_id=organization.id,
                name=name,
                rate_limit=limit,
                actor=SYSTEM,
            )

    return make


@pytest.fixture
def show(verification: Verification) -> Show:
    def show(issued: Issued) -> VerifiedKey:
        verified = verification.by_secret(issued.key.client_key, issued.client_secret.reveal())
        assert verified is not None
        return verified

    return show


@pytest.fixture
def elsewhere(database_url: str, clock: ManualClock) -> Iterator[Limits]:
    """Another process on the same database."""
    with fresh_database(database_url) as database:
        yield Limits(database, clock, 60)


def passed(limits: Limits, key: VerifiedKey, times: int) -> int:
    return sum(limits.take(key).allowed for _ in range(times))


def test_a_key_of_which_nothing_was_said_has_the_installations_limit(
    limits: Limits, make: Make, show: Show
) -> None:
    key = show(make())
    assert limits.take(key) == Budget(True, limit=60, remaining=59, reset_s=60, window_s=60)
    assert passed(limits, key, 100) == 59
    assert limits.take(key) == Budget(False, limit=60, remaining=0, reset_s=60, window_s=60)


def test_a_request_passes_again_exactly_when_the_oldest_leaves(
    limits: Limits, make: Make, show: Show, clock: ManualClock
) -> None:
    key = show(make(2))
    limits.take(key)
    clock.advance(20)
    limits.take(key)
    assert limits.take(key).reset_s == 40
    clock.advance(timedelta(seconds=40) - INSTANT)
    assert limits.take(key) == Budget(False, 2, 0, 1, 60), "whole seconds, never too few"
    clock.advance(INSTANT)
    assert limits.take(key).allowed
    assert not limits.take(key).allowed


def test_l1_two_processes_share_one_budget(
    limits: Limits, elsewhere: Limits, make: Make, show: Show
) -> None:
    key = show(make())
    taken = [process.take(key).allowed for _ in range(50) for process in (limits, elsewhere)]
    assert taken == [True] * 60 + [False] * 40


def test_l1_a_lease_that_another_process_holds_is_not_given_twice(
    limits: Limits, elsewhere: Limits, make: Make, show: Show, clock: ManualClock
) -> None:
    key = show(make(600))  # leases of 10
    assert elsewhere.take(key).remaining == 599
    assert passed(limits, key, 700) == 590, "the other has 9 in hand"
    assert passed(elsewhere, key, 100) == 9
    clock.advance(timedelta(seconds=61) - INSTANT)
    assert passed(limits, key, 1) + passed(elsewhere, key, 1) == 0
    clock.advance(INSTANT)
    assert passed(limits, key, 300) + passed(elsewhere, key, 300) == 600


def test_what_a_lease_had_left_is_not_lost(
    limits: Limits, make: Make, show: Show, clock: ManualClock
) -> None:
    key = show(make(6000))  # leases of 100
    for second in range(50):
        assert limits.take(key).remaining == 6000 - second - 1
        clock.advance(1)
    assert limits.used(key.key_id) == 49 + 100


def test_a_request_within_a_lease_asks_no_database(
    limits: Limits, make: Make, show: Show, database: Database
) -> None:
    key = show(make(6000))
    with statements(database) as asked, counted_statements(database) as counted:
        for _ in range(100):
            assert limits.take(key).allowed
    assert asked == []
    assert len(counted) == 2, "the log was read and written, once"


def test_who_is_refused_again_and_again_asks_no_database_either(
    limits: Limits, make: Make, show: Show, database: Database
) -> None:
    key = show(make(3))
    passed(limits, key, 4)
    with statements(database) as asked, counted_statements(database) as counted:
        assert passed(limits, key, 100) == 0
    assert (asked, counted) == ([], [])


def test_a_lease_is_not_for_keeping(
    limits: Limits, elsewhere: Limits, make: Make, show: Show, clock: ManualClock
) -> None:
    key = show(make(120))  # leases of 2
    limits.take(key)
    clock.advance(1)
    assert passed(elsewhere, key, 200) == 118
    assert passed(limits, key, 1) == 1, "its old one is given back, and makes place for this"
    assert passed(limits, key, 1) == 0


def test_i1_keys_do_not_notice_each_other(limits: Limits, make: Make, show: Show) -> None:
    one, other = show(make(2, "One")), show(make(2, "Other"))
    assert passed(limits, one, 5) == 2
    assert passed(limits, other, 5) == 2


def test_r8_two_live_secrets_and_a_new_one_share_one_budget(
    limits: Limits,
    make: Make,
    show: Show,
    database: Database,
    keys: Keys,
    organization: Organization,
) -> None:
    old = make(5)
    assert passed(limits, show(old), 2) == 2
    with database.session() as session:
        new = keys.regenerate(
            session,
            old.key.id,
            organization_id=organization.id,
            generation=1,
            overlap=timedelta(hours=1),
            actor=SYSTEM,
        )
    assert [limits.take(show(one)).allowed for one in (new, old, new, old)] == [True] * 3 + [False]


def test_r1_renaming_and_regenerating_leave_the_consumed_part_as_it_is(
    limits: Limits,
    make: Make,
    show: Show,
    database: Database,
    keys: Keys,
    organization: Organization,
) -> None:
    issued = make(5)
    passed(limits, show(issued), 4)
    where = {"organization_id": organization.id, "actor": SYSTEM}
    with database.session() as session:
        before = session.get_one(KeyWindow, issued.key.id).log
    with database.session() as session:
        keys.rename(session, issued.key.id, name="Other", **where)  # type: ignore[arg-type]
        keys.disable(session, issued.key.id, **where)  # type: ignore[arg-type]
        keys.enable(session, issued.key.id, **where)  # type: ignore[arg-type]
        issued = keys.regenerate(session, issued.key.id, generation=1, **where)  # type: ignore[arg-type]
        assert session.get_one(KeyWindow, issued.key.id).log == before
    assert passed(limits, show(issued), 5) == 1


def test_a_lowered_limit_counts_at_once_also_within_a_lease(
    limits: Limits,
    make: Make,
    show: Show,
    database: Database,
    rates: Rates,
    organization: Organization,
    clock: ManualClock,
) -> None:
    issued = make(6000)
    assert passed(limits, show(issued), 10) == 10
    with database.session() as session:
        rates.set_limit(
            session, issued.key.id, organization_id=organization.id, limit=10, actor=SYSTEM
        )
    assert not limits.take(show(issued)).allowed
    clock.advance(61)
    assert passed(limits, show(issued), 20) == 10


def plan(
    database: Database, rates: Rates, issued: Issued, starts_at: datetime, ends_at: datetime
) -> None:
    with database.session() as session:
        rates.plan(
            session,
            issued.key.id,
            organization_id=issued.key.organization_id,
            starts_at=starts_at,
            ends_at=ends_at,
            limit=600,
            reason="Import",
            actor=SYSTEM,
        )


def test_l2_a_spike_opens_and_closes_at_its_very_moments(
    limits: Limits,
    make: Make,
    show: Show,
    database: Database,
    rates: Rates,
    clock: ManualClock,
) -> None:
    issued = make(5)
    begin = clock.now() + timedelta(hours=1)
    plan(database, rates, issued, begin, begin + timedelta(hours=1))
    clock.advance(timedelta(hours=1) - INSTANT)
    assert limits.take(show(issued)).limit == 5
    clock.advance(INSTANT)
    assert limits.take(show(issued)).limit == 600
    assert passed(limits, show(issued), 600) == 598
    clock.advance(timedelta(hours=1) - INSTANT)
    assert limits.take(show(issued)).limit == 600, "with a lease that would last beyond the end"
    clock.advance(INSTANT)
    assert limits.take(show(issued)).limit == 5
    clock.advance(timedelta(seconds=61))
    assert passed(limits, show(issued), 20) == 5, "exactly as before"


def test_l2_what_was_used_in_a_spike_still_counts_after_it(
    limits: Limits, make: Make, show: Show, database: Database, rates: Rates, clock: ManualClock
) -> None:
    issued = make(5)
    plan(database, rates, issued, clock.now(), clock.now() + MINUTE)
    clock.advance(MINUTE - INSTANT)
    passed(limits, show(issued), 100)
    clock.advance(INSTANT)
    assert not limits.take(show(issued)).allowed


def test_without_a_spike_to_come_a_check_costs_no_look_for_one(
    limits: Limits, make: Make, show: Show, database: Database, rates: Rates, clock: ManualClock
) -> None:
    issued = make(5)
    plan(database, rates, issued, clock.now(), clock.now() + MINUTE)
    clock.advance(MINUTE)
    key = show(issued)
    with statements(database) as asked:
        limits.take(key)
    assert asked == []


def test_a_clock_set_back_gives_no_more(
    limits: Limits, elsewhere: Limits, make: Make, show: Show, clock: ManualClock
) -> None:
    key, high = show(make(5)), show(make(6000, "High"))
    passed(limits, key, 5)
    assert limits.take(high).allowed
    clock.advance(timedelta(hours=-1))
    assert passed(limits, key, 1) + passed(elsewhere, key, 1) == 0
    assert passed(elsewhere, high, 6000) == 5900, "what the first had leased still counts"
    clock.advance(61)
    assert passed(limits, key, 5) == 5, "and nobody is shut out for an hour"


@pytest.fixture
def locked(database: Database) -> Iterator[Callable[[], sqlite3.Connection]]:
    """Let somebody else write to the file and not come to an end."""
    other = sqlite3.connect(str(make_url(database.url).database), isolation_level=None)

    def lock() -> sqlite3.Connection:
        other.execute("BEGIN IMMEDIATE")
        return other

    yield lock
    other.close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # the other locks single rows
def test_u1_a_database_that_cannot_be_written_keeps_nobody_out(
    locked: Callable[[], sqlite3.Connection],
    limits: Limits,
    elsewhere: Limits,
    make: Make,
    show: Show,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    key = show(make(5))
    passed(elsewhere, key, 2)
    writer = locked()
    with caplog.at_level(logging.WARNING):
        assert passed(limits, key, 10) == 3, "counted here, beside what was written before"
        clock.advance(1)
        assert passed(limits, key, 10) == 0
    assert len(caplog.messages) == 1
    assert "each process for itself" in caplog.messages[0]
    writer.execute("ROLLBACK")
    clock.advance(1)
    assert passed(elsewhere, key, 1) == 1, "which knows nothing of these"
    assert passed(limits, key, 1) == 0, "too late for that one"
    clock.advance(57)
    assert passed(elsewhere, key, 5) == 0, "now it knows"
    clock.advance(1)
    assert passed(elsewhere, key, 5) == 4


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_u1_postgresql_that_only_reads_keeps_nobody_out(
    database: Database, clock: ManualClock, make: Make, show: Show
) -> None:
    key = show(make(5))
    with fresh_database(f"{database.url}&options=-cdefault_transaction_read_only%3Don") as standby:
        assert passed(Limits(standby, clock, 60), key, 10) == 5


def test_l1_many_threads_and_two_processes_pass_exactly_the_limit(
    limits: Limits, elsewhere: Limits, make: Make, show: Show
) -> None:
    low, high = show(make()), show(make(1200, "High"))
    counts: dict[str, list[int]] = {"low": [], "high": []}

    def hammer(process: Limits) -> None:
        counts["low"].append(passed(process, low, 40))
        counts["high"].append(passed(process, high, 400))

    threads = [
        threading.Thread(target=hammer, args=(process,))
        for process in (limits, elsewhere)
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts["low"]) == 60
    assert 1200 - 20 <= sum(counts["high"]) <= 1200, "one may end with a lease in hand"


def test_a_row_stays_small(
    limits: Limits, make: Make, show: Show, database: Database, clock: ManualClock
) -> None:
    key = show(make(100_000))
    for _ in range(300):
        limits.take(key)
        clock.advance(timedelta(seconds=1, milliseconds=7))
    with database.session() as session:
        stored = session.get_one(KeyWindow, key.key_id).log
    assert len(stored) < 24 * MOST_GRANTS


def test_what_a_lowered_limit_makes_of_a_lease_is_given_back_for_good(
    limits: Limits, make: Make, show: Show, clock: ManualClock
) -> None:
    low = show(make(5))
    assert passed(limits, low, 4) == 4
    clock.advance(10)
    assert limits.take(low._replace(rate_limit=600)).allowed  # of a lease of 10
    refused = limits.take(low)
    assert (refused.allowed, refused.reset_s) == (False, 50), "there are 5, not 14"
    clock.advance(refused.reset_s)
    assert passed(limits, low, 9) == 4
