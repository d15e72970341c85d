"""Whatever is done to keys and their limits, and by whichever process: no minute holds too many.

The model is a flat list of the moments at which each key was let in, and of the limits and spikes
that somebody asked for. Up to the limits that are counted one by one a request is let in exactly
when the list has room for it; beyond, never without room.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from keystore import window
from keystore.accounts import Accounts
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.credentials import SecretValue
from keystore.db import Database
from keystore.keys import Issued, Keys
from keystore.limits import Limits
from keystore.rates import Rates
from keystore.vault import Vault
from keystore.verification import Verification
from tests.conftest import QUICK_HASHER
from tests.support.databases import fresh_database

MINUTE = timedelta(minutes=1)
TICK = timedelta(microseconds=1)
LEASE = timedelta(seconds=1)
DEFAULT = 4
limits = st.sampled_from([1, 3, 30, 120, 600])
steps = st.sampled_from(
    [TICK, LEASE - TICK, LEASE, 7 * LEASE, MINUTE - TICK, MINUTE, MINUTE + LEASE, 3 * MINUTE]
)


@dataclass
class Planned:
    """A spike that somebody asked for."""

    starts_at: datetime
    ends_at: datetime
    limit: int


@dataclass
class Account:
    """One key as the model sees it."""

    secrets: list[Issued]  # that work
    limit: int | None = None
    spikes: dict[UUID, Planned] = field(default_factory=dict)
    admitted: list[datetime] = field(default_factory=list)
    leased_at: datetime | None = None  # when there was last a limit with leases

    def limit_at(self, now: datetime) -> int:
        running = [one.limit for one in self.spikes.values() if one.starts_at <= now < one.ends_at]
        return max([self.limit or DEFAULT, *running])

    def in_a_minute(self, now: datetime) -> int:
        return sum(now - MINUTE < moment for moment in self.admitted)


class Throttled(RuleBasedStateMachine):
    """Two processes on one database; time passes."""

    made = Bundle("made")

    def __init__(self, one: Database, other: Database) -> None:
        super().__init__()
        self.databases = (one, other)
        self.clock = ManualClock()
        vault = Vault([SecretValue("k" * 64)])
        self.keys = Keys(vault, self.clock)
        self.rates = Rates(self.clock, default=DEFAULT, ceiling=6000)
        self.checks = [Verification(each, vault, self.clock) for each in self.databases]
        self.processes = [Limits(each, self.clock, DEFAULT) for each in self.databases]
        self.accounts: dict[UUID, Account] = {}
        self.where: dict[str, Any] = {"actor": SYSTEM}

    @initialize()
    def found_an_organization(self) -> None:
        with self.databases[0].session() as session:
            organization = Accounts(self.clock, QUICK_HASHER).create_organization(
                session, name=str(uuid4()), actor=SYSTEM
            )
        self.where["organization_id"] = organization.id

    @rule(target=made)
    def make(self) -> UUID:
        with self.databases[0].session() as session:
            issued = self.keys.create(session, name=str(uuid4()), **self.where)
        self.accounts[issued.key.id] = Account([issued])
        return issued.key.id

    @rule(
        key_id=made,
        process=st.integers(0, 1),
        which=st.integers(0, 1),
        times=st.sampled_from([1, 2, 5, 35, 150]),
    )
    def call(self, key_id: UUID, process: int, which: int, times: int) -> None:
        account, now = self.accounts[key_id], self.clock.now()
        shown = account.secrets[which % len(account.secrets)]
        limit = account.limit_at(now)
        if window.share(limit) > 1:
            account.leased_at = now
        leased = account.leased_at
        exact = leased is None or now - leased > MINUTE + LEASE
        key = self.checks[process].by_secret(shown.key.client_key, shown.client_secret.reveal())
        assert key is not None
        for _ in range(times):
            room = limit - account.in_a_minute(now)
            budget = self.processes[process].take(key)
            assert budget.limit == limit
            assert room > 0 or not budget.allowed
            assert not exact or budget.allowed == (room > 0)
            assert not exact or budget.remaining == max(0, room - 1)
            account.admitted += [now] * budget.allowed

    @rule(key_id=made)
    def come_back_when_told(self, key_id: UUID) -> None:
        """Nobody else calls meanwhile: then waiting as long as one is told is enough."""
        account, shown = self.accounts[key_id], self.accounts[key_id].secrets[0]
        pair = (shown.key.client_key, shown.client_secret.reveal())
        key = self.checks[0].by_secret(*pair)
        assert key is not None
        budget = self.processes[0].take(key)
        account.admitted += [self.clock.now()] * budget.allowed
        before = account.limit_at(self.clock.now())
        if not budget.allowed:
            self.clock.advance(budget.reset_s)
            later = account.limit_at(self.clock.now())
            key = self.checks[0].by_secret(*pair)
            assert key is not None
            budget = self.processes[0].take(key)
            account.admitted += [self.clock.now()] * budget.allowed
            assert budget.allowed or later < before
        if window.share(max(before, account.limit_at(self.clock.now()))) > 1:
            account.leased_at = self.clock.now()

    @rule(key_id=made, limit=limits | st.none())
    def change_the_limit(self, key_id: UUID, limit: int | None) -> None:
        with self.databases[0].session() as session:
            self.rates.set_limit(session, key_id, limit=limit, **self.where)
        self.accounts[key_id].limit = limit

    @rule(key_id=made, begin=st.sampled_from([0, 1, 7, 60]), last=st.sampled_from([1, 60, 200]))
    def plan_a_spike(self, key_id: UUID, begin: int, last: int) -> None:
        account = self.accounts[key_id]
        if len(account.spikes) >= 3:
            return
        starts_at = self.clock.now() + timedelta(seconds=begin)
        planned = Planned(starts_at, starts_at + timedelta(seconds=last), 700 + begin)
        with self.databases[1].session() as session:
            spike = self.rates.plan(
                session,
                key_id,
                starts_at=planned.starts_at,
                ends_at=planned.ends_at,
                limit=planned.limit,
                reason="Import",
                **self.where,
            )
        account.spikes[spike.id] = planned

    @rule(key_id=made)
    def cancel_a_spike(self, key_id: UUID) -> None:
        account, now = self.accounts[key_id], self.clock.now()
        for spike_id, planned in list(account.spikes.items()):
            del account.spikes[spike_id]
            if now < planned.ends_at:
                with self.databases[0].session() as session:
                    self.rates.cancel(session, key_id, spike_id=spike_id, **self.where)
                return

    @rule(key_id=made)
    def regenerate(self, key_id: UUID) -> None:
        """With an overlap that outlasts the story, so that two secrets work."""
        account = self.accounts[key_id]
        with self.databases[0].session() as session:
            issued = self.keys.regenerate(
                session,
                key_id,
                generation=account.secrets[-1].key.generation,
                overlap=timedelta(days=7),
                **self.where,
            )
        account.secrets = [account.secrets[-1], issued]

    @rule(step=steps)
    def pass_time(self, step: timedelta) -> None:
        self.clock.advance(step)

    @rule()
    def go_to_the_next_edge_of_a_spike(self) -> None:
        now = self.clock.now()
        edges = [
            edge
            for account in self.accounts.values()
            for spike in account.spikes.values()
            for edge in (
                spike.starts_at - TICK,
                spike.starts_at,
                spike.ends_at - TICK,
                spike.ends_at,
            )
            if edge > now
        ]
        if edges:
            self.clock.advance(min(edges) - now)

    @rule(process=st.integers(0, 1))
    def restart(self, process: int) -> None:
        """Whatever a process had leased is lost with it, and counts for its time."""
        self.processes[process] = Limits(self.databases[process], self.clock, DEFAULT)


def test_l1_l2_r8_i1_no_minute_holds_more_than_the_limit_of_its_end(
    database: Database, database_url: str
) -> None:
    with fresh_database(database_url) as other:
        run_state_machine_as_test(
            lambda: Throttled(database, other),  # type: ignore[arg-type]  # any factory will do
            settings=settings(max_examples=150, stateful_step_count=40),
        )
