"""The check of a secret takes one and the same time for whatever is wrong with it.

Two kinds of wrong pairs are shown in a shuffled order, 2,000 of them, and the times are compared by
a t-test. On a machine that does other things as well, neighbours in time are alike and distant ones
are not; so it is the differences within blocks of 20 that are tested, and the blocks that stand out
are trimmed (Yuen's test). As times that are equal differ by |t| > 3 now and then, a difference
counts when three fresh samples in a row show it; a leak shows in every one.

Measured is this thread's processor time on SQLite, where it does all the work itself, and passing
time on PostgreSQL. Some microseconds of ours are beneath what can be seen there; a read is not.
"""

import random
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from random import SystemRandom

import pytest

from keystore import credentials
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.db import Database
from keystore.keys import Issued, Keys
from keystore.models import Organization
from keystore.vault import Vault
from keystore.verification import Verification
from tests.support.statements import statements

SAMPLES = 2_000
BLOCK = 20  # half of it of each kind
TRIMMED = 0.2  # of the blocks at either end
MOST = 3.0
TRIES = 10  # as a busy machine adds some to either side; a leak is seen in each
#: So many that hardly any Client Key made up comes before all of them.
KEYS = 200

Pair = tuple[str, str]
Source = Callable[[], Pair]
Check = Callable[[str, str], object]


@pytest.fixture
def population(database: Database, keys: Keys, organization: Organization) -> list[Issued]:
    made = []
    for number in range(KEYS):
        with database.session() as session:
            made.append(
                keys.create(
                    session, organization_id=organization.id, name=str(number), actor=SYSTEM
                )
            )
    return made


def unknown() -> Pair:
    client_key = credentials.generate_client_key(SystemRandom())
    return client_key, wrong_secret(client_key)


def wrong_secret(client_key: str) -> str:
    return credentials.generate_client_secret(client_key, SystemRandom()).reveal()


def wrong(some: Sequence[Issued]) -> Pair:
    client_key = random.choice(some).key.client_key
    return client_key, wrong_secret(client_key)


def right(some: Sequence[Issued]) -> Pair:
    issued = random.choice(some)
    return issued.key.client_key, issued.client_secret.reveal()


def fresh(pair: Pair) -> Pair:
    """Return copies, as every request brings: what lies in memory for long takes longer to read."""
    client_key, client_secret = (text.encode().decode() for text in pair)
    return client_key, client_secret


def t(check: Check, sources: tuple[Source, Source], watch: Callable[[], int]) -> float:
    """Return t of the difference between the times that checks of these two kinds take."""
    differences = []
    for _ in range(SAMPLES // BLOCK):
        pairs = [(kind, fresh(sources[kind]())) for kind in (0, 1) for _ in range(BLOCK // 2)]
        random.shuffle(pairs)
        times: tuple[list[int], list[int]] = ([], [])
        for kind, pair in pairs:
            start = watch()
            check(*pair)
            times[kind].append(watch() - start)
        differences.append(statistics.median(times[0]) - statistics.median(times[1]))
    return trimmed_t(differences)


def trimmed_t(values: list[float]) -> float:
    """Return Yuen's t for a mean of nought (K. K. Yuen, Biometrika 61, 1974)."""
    values, count = sorted(values), len(values)
    cut = int(TRIMMED * count)
    kept = values[cut : count - cut]
    winsorized = [kept[0]] * cut + kept + [kept[-1]] * cut
    spread = statistics.stdev(winsorized) / ((1 - 2 * TRIMMED) * count**0.5)
    return float(statistics.mean(kept) / spread)


def differ(database: Database, check: Check, one: Source, other: Source) -> bool:
    watch = time.thread_time_ns if database.is_sqlite else time.perf_counter_ns
    for source in (one, other) * 50:  # until everything is compiled and cached
        check(*source())
    return all(abs(t(check, (one, other), watch)) >= MOST for _ in range(TRIES))


def test_a7_an_unknown_key_takes_as_long_as_a_wrong_secret(
    database: Database, verification: Verification, population: list[Issued]
) -> None:
    assert not differ(database, verification.by_secret, unknown, lambda: wrong(population))


@pytest.mark.parametrize("how", ["retired", "disabled", "deleted", "expired"])
def test_a7_the_right_secret_of_a_dead_key_takes_as_long_as_a_wrong_one(
    database: Database,
    keys: Keys,
    verification: Verification,
    clock: ManualClock,
    population: list[Issued],
    how: str,
) -> None:
    """Once the end of an expired one is written down, which its first showing does."""
    for issued in population:
        end(database, keys, clock, issued, how)
    clock.advance(timedelta(hours=2))
    for issued in population:
        assert verification.by_secret(*right([issued])) is None
    assert not differ(
        database, verification.by_secret, lambda: right(population), lambda: wrong(population)
    )


def test_a7_a_leak_of_one_digest_or_one_read_would_be_seen(
    database: Database, verification: Verification, vault: Vault, population: list[Issued]
) -> None:
    """What the tests above rest on. A digest is some 2 of 25 microseconds on SQLite."""
    known: set[str] = set()

    def leaky(client_key: str, client_secret: str) -> object:
        if client_key in known and database.is_sqlite:
            vault.digests(client_secret)
        elif client_key in known:
            verification.by_secret(client_key, client_secret)
        return verification.by_secret(client_key, client_secret)

    def told() -> Pair:
        pair = wrong(population)
        known.add(pair[0])
        return pair

    assert differ(database, leaky, unknown, told)


def test_a7_every_wrong_pair_costs_the_same_reads_and_digests(
    database: Database,
    keys: Keys,
    vault: Vault,
    clock: ManualClock,
    organization: Organization,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worked: list[str] = []
    digest, among = vault.digests, vault.among

    def counted_digests(text: str) -> list[str]:
        worked.append("digest")
        return digest(text)

    def counted_among(stored: str, digests: list[str]) -> bool:
        worked.append("comparison")
        return among(stored, digests)

    monkeypatch.setattr(vault, "digests", counted_digests)
    monkeypatch.setattr(vault, "among", counted_among)
    verification = Verification(database, vault, clock)
    pairs = {"unknown": unknown()}
    for how in ("alive", "retired", "disabled", "deleted", "expired"):
        with database.session() as session:
            issued = keys.create(session, organization_id=organization.id, name=how, actor=SYSTEM)
        if how != "alive":
            end(database, keys, clock, issued, how)
        pairs[how] = right([issued])
        pairs[f"wrong and {how}"] = wrong([issued])
    clock.advance(timedelta(hours=2))
    del pairs["alive"]
    assert verification.by_secret(*pairs["expired"]) is None  # its end is written down

    costs = set()
    for pair in pairs.values():
        worked.clear()
        with statements(database) as asked:
            assert verification.by_secret(*pair) is None
        costs.add((*asked, *worked))

    [(read, *worked)] = costs
    assert read.startswith("SELECT")
    assert worked == ["digest", "comparison", "comparison"]


def test_a_dead_secret_that_is_still_in_use_makes_nobody_write(
    database: Database, keys: Keys, verification: Verification, issued: Issued
) -> None:
    with database.session() as session:
        keys.delete(
            session, issued.key.id, organization_id=issued.key.organization_id, actor=SYSTEM
        )

    with statements(database) as asked:
        assert verification.by_secret(*right([issued])) is None

    assert [sql.split()[0] for sql in asked] == ["SELECT"]


def test_a_right_secret_is_looked_up_again_after_any_commit(
    database: Database, keys: Keys, verification: Verification, issued: Issued
) -> None:
    """On PostgreSQL each time, as nothing tells there whether there was one."""
    looks = []
    for number in range(4):
        with statements(database) as asked:
            assert verification.by_secret(*right([issued])) is not None
        looks.append(len(asked))
        if number == 1:
            with database.session() as session:
                keys.rename(
                    session,
                    issued.key.id,
                    organization_id=issued.key.organization_id,
                    name="renamed",
                    actor=SYSTEM,
                )

    assert looks == ([1, 0, 1, 0] if database.is_sqlite else [1, 1, 1, 1])


def test_of_a_wrong_pair_nothing_is_remembered(
    database: Database, verification: Verification, issued: Issued
) -> None:
    for pair in (wrong([issued]), unknown()):
        for _ in range(3):
            with statements(database) as asked:
                assert verification.by_secret(*pair) is None
            assert len(asked) == 1


@pytest.mark.parametrize("how", ["retiring", "expired"])
def test_a_secret_in_use_ends_at_its_time_though_nobody_commits_anything(
    database: Database,
    keys: Keys,
    vault: Vault,
    issued: Issued,
    clock: ManualClock,
    how: str,
) -> None:
    verification = Verification(database, vault, clock)
    ends_at = clock.now() + timedelta(hours=1)
    end(database, keys, clock, issued, how)
    assert verification.by_secret(*right([issued])) is not None

    clock.advance(ends_at - clock.now() - timedelta(microseconds=1))
    assert verification.by_secret(*right([issued])) is not None
    clock.advance(timedelta(microseconds=1))
    assert verification.by_secret(*right([issued])) is None
    clock.advance(timedelta(hours=-1))
    assert verification.by_secret(*right([issued])) is None


class Meddler(ManualClock):
    """A clock during a look at which somebody else does something, once."""

    act: Callable[[], object] | None = None

    def now(self) -> datetime:
        act, self.act = self.act, None
        if act is not None:
            act()
        return super().now()


def test_a_key_whose_expiry_is_moved_in_its_last_moment_lives_on(
    database: Database, keys: Keys, vault: Vault, clock: ManualClock, issued: Issued
) -> None:
    def move(until: timedelta) -> None:
        with database.session() as session:
            keys.set_expiry(
                session,
                issued.key.id,
                organization_id=issued.key.organization_id,
                expires_at=clock.now() + until,
                actor=SYSTEM,
            )

    move(timedelta(hours=1))
    meddler = Meddler(clock.now() + timedelta(hours=1))
    verification = Verification(database, vault, meddler)
    meddler.act = lambda: move(timedelta(days=30))

    verification.by_secret(*right([issued]))  # has read the row before it was changed

    assert verification.by_secret(*right([issued])) is not None


def end(database: Database, keys: Keys, clock: ManualClock, issued: Issued, how: str) -> None:
    """Make a key's secret one that no longer works, or not in an hour."""
    key = issued.key
    with database.session() as session:
        match how:
            case "retired" | "retiring":
                keys.regenerate(
                    session,
                    key.id,
                    organization_id=key.organization_id,
                    generation=1,
                    overlap=timedelta(hours=1 if how == "retiring" else 0),
                    actor=SYSTEM,
                )
            case "disabled":
                keys.disable(session, key.id, organization_id=key.organization_id, actor=SYSTEM)
            case "deleted":
                keys.delete(session, key.id, organization_id=key.organization_id, actor=SYSTEM)
            case "expired":
                keys.set_expiry(
                    session,
                    key.id,
                    organization_id=key.organization_id,
                    expires_at=clock.now() + timedelta(hours=1),
                    actor=SYSTEM,
                )
