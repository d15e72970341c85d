from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from keystore import audit, trail
from keystore.audit import SYSTEM, Actor
from keystore.clock import ManualClock
from keystore.db import Database
from keystore.errors import (
    BadLimit,
    BadSpike,
    BeyondMembers,
    KeyExpired,
    KeyNotFound,
    SpikeNotFound,
)
from keystore.keys import Issued, Keys
from keystore.limit_models import MOST_PLANNED, Spike
from keystore.members import Members
from keystore.models import Organization, Outcome, User
from keystore.rates import LONGEST, Rates
from keystore.scopes import DataScope
from keystore.trail import Filter
from keystore.verification import Verification

HOUR = timedelta(hours=1)


class Planner:
    """An admin who changes one key's limits."""

    def __init__(
        self, database: Database, rates: Rates, issued: Issued, admin: User, clock: ManualClock
    ) -> None:
        self.database, self.rates, self.key_id = database, rates, issued.key.id
        self.clock, self.admin = clock, admin
        self.where: dict[str, Any] = {
            "organization_id": issued.key.organization_id,
            "actor": Actor("user", admin.name, id=str(admin.id)),
        }

    def limit(self, limit: int | None) -> None:
        with self.database.session() as session:
            self.rates.set_limit(session, self.key_id, limit=limit, **self.where)

    def plan(
        self,
        starts_at: datetime | None = None,
        ends_at: datetime | None = None,
        limit: int = 600,
        reason: str = "Import",
    ) -> Spike:
        starts_at = starts_at or self.clock.now()
        with self.database.session() as session:
            return self.rates.plan(
                session,
                self.key_id,
                starts_at=starts_at,
                ends_at=ends_at or starts_at + HOUR,
                limit=limit,
                reason=reason,
                created_by=self.admin.id,
                **self.where,
            )

    def cancel(self, spike: Spike) -> None:
        with self.database.session() as session:
            self.rates.cancel(session, self.key_id, spike_id=spike.id, **self.where)

    def planned(self) -> list[tuple[int, datetime]]:
        with self.database.session() as session:
            planned = self.rates.of(session, self.key_id, **self.where).planned
        return [(spike.rate_limit, spike.starts_at) for spike in planned]

    def audited(self) -> list[tuple[str, dict[str, Any]]]:
        with self.database.session() as session:
            events = audit.events(session, self.where["organization_id"])
        told = [(event.action, event.detail) for event in events if event.subject_type == "key"]
        return told[1:]  # less that the key was made


@pytest.fixture
def rates(clock: ManualClock) -> Rates:
    return Rates(clock, default=60, ceiling=6000)


@pytest.fixture
def planner(
    database: Database,
    rates: Rates,
    keys: Keys,
    organization: Organization,
    admin: User,
    clock: ManualClock,
) -> Planner:
    with database.session() as session:
        issued = keys.create(session, organization_id=organization.id, name="Zap", actor=SYSTEM)
    return Planner(database, rates, issued, admin, clock)


def test_a_limit_is_changed_and_given_up_again_on_record(planner: Planner) -> None:
    planner.limit(120)
    planner.limit(120)
    planner.limit(None)
    assert planner.audited() == [
        ("key.limit_changed", {"before": {"rate_limit": None}, "after": {"rate_limit": 120}}),
        ("key.limit_changed", {"before": {"rate_limit": 120}, "after": {"rate_limit": None}}),
    ]


@pytest.mark.parametrize("limit", [-1, 0, 6001])
def test_a_limit_must_be_one_that_the_installation_allows(planner: Planner, limit: int) -> None:
    with pytest.raises(BadLimit, match="from 1 to 6,000"):
        planner.limit(limit)
    with pytest.raises(BadSpike, match="from 1 to 6,000"):
        planner.plan(limit=limit)


def test_what_was_refused_is_on_record_too(planner: Planner, database: Database) -> None:
    with pytest.raises(BadLimit):
        planner.limit(0)
    with pytest.raises(BadSpike):
        planner.plan(reason="")
    with database.session() as session:
        page = trail.page(
            session, planner.where["organization_id"], Filter(outcome=Outcome.REFUSED)
        )
    assert [(one.action, one.detail["reason"]) for one in page.events] == [
        ("key.spike_planned", "BadSpike"),
        ("key.limit_changed", "BadLimit"),
    ]


def test_the_organizations_limit_is_for_keys_without_one_of_their_own(
    planner: Planner, database: Database, rates: Rates, organization: Organization, keys: Keys
) -> None:
    with database.session() as session:
        for limit in (90, 90):
            changed = rates.set_default(
                session, organization_id=organization.id, limit=limit, actor=SYSTEM
            )
        key = keys.get(session, planner.key_id, **planner.where)
        assert rates.base(key, changed) == 90
        planner.limit(30)
        key = keys.get(session, planner.key_id, **planner.where)
        assert rates.base(key, changed) == 30
        events = audit.events(session, organization.id)
    changes = [one.detail for one in events if one.action == "organization.limit_changed"]
    assert changes == [{"before": {"rate_limit": None}, "after": {"rate_limit": 90}}]


def test_what_keys_without_a_limit_may_do_is_told_with_its_origin(
    database: Database, rates: Rates, organization: Organization
) -> None:
    with database.session() as session:
        for chosen, now in ((None, rates.default), (90, 90), (None, rates.default)):
            rates.set_default(session, organization_id=organization.id, limit=chosen, actor=SYSTEM)
            standard = rates.standard(session, organization.id)
            assert (standard.chosen, standard.installed) == (chosen, rates.default)
            assert standard.now == now


def test_a_check_sees_the_keys_limit_before_the_organizations(
    planner: Planner,
    database: Database,
    rates: Rates,
    keys: Keys,
    organization: Organization,
    verification: Verification,
) -> None:
    with database.session() as session:
        issued = keys.create(session, organization_id=organization.id, name="New", actor=SYSTEM)
        rates.set_default(session, organization_id=organization.id, limit=90, actor=SYSTEM)

    def seen() -> int | None:
        secret = issued.client_secret.reveal()
        verified = verification.by_secret(issued.key.client_key, secret)
        assert verified is not None
        return verified.rate_limit

    assert seen() == 90
    with database.session() as session:
        rates.set_limit(
            session, issued.key.id, organization_id=organization.id, limit=7, actor=SYSTEM
        )
    assert seen() == 7


def test_a_spike_is_planned_and_cancelled_on_record(planner: Planner, clock: ManualClock) -> None:
    begin = clock.now() + HOUR
    spike = planner.plan(begin, begin + HOUR, reason="  The yearly \n import ")
    assert planner.planned() == [(600, begin)]
    planner.cancel(spike)
    assert planner.planned() == []
    told = {
        "starts_at": begin.isoformat(),
        "ends_at": (begin + HOUR).isoformat(),
        "rate_limit": 600,
        "reason": "The yearly import",
    }
    assert planner.audited() == [
        ("key.spike_planned", {"after": told}),
        ("key.spike_cancelled", {"before": told}),
    ]


def test_one_that_should_have_begun_already_begins_now(
    planner: Planner, clock: ManualClock
) -> None:
    assert planner.plan(clock.now() - HOUR, clock.now() + HOUR).starts_at == clock.now()


def test_a_spike_that_is_over_or_cancelled_cannot_be_cancelled(
    planner: Planner, clock: ManualClock
) -> None:
    spike, other = planner.plan(), planner.plan()
    planner.cancel(other)
    clock.advance(HOUR)
    assert planner.planned() == []
    for gone in (spike, other):
        with pytest.raises(SpikeNotFound):
            planner.cancel(gone)


def test_the_key_knows_when_its_last_spike_ends(
    planner: Planner, database: Database, keys: Keys, clock: ManualClock
) -> None:
    def until() -> datetime | None:
        with database.session() as session:
            return keys.get(session, planner.key_id, **planner.where).spikes_until

    long = planner.plan(clock.now(), clock.now() + 3 * HOUR)
    short = planner.plan(clock.now(), clock.now() + HOUR)
    assert until() == clock.now() + 3 * HOUR
    planner.cancel(long)
    assert until() == clock.now() + HOUR
    planner.cancel(short)
    assert until() is None


@pytest.mark.parametrize(
    ("starts", "ends", "reason"),
    [
        (HOUR, HOUR, "Import"),
        (HOUR, HOUR / 2, "Import"),
        (-2 * HOUR, -HOUR, "Import"),
        (HOUR, LONGEST + HOUR + timedelta(microseconds=1), "Import"),
        (HOUR, 2 * HOUR, " "),
        (HOUR, 2 * HOUR, "x" * 201),
        (HOUR, 2 * HOUR, "un\u200bseen"),
    ],
)
def test_a_spike_needs_a_beginning_an_end_and_a_reason(
    planner: Planner, clock: ManualClock, starts: timedelta, ends: timedelta, reason: str
) -> None:
    with pytest.raises(BadSpike):
        planner.plan(clock.now() + starts, clock.now() + ends, reason=reason)
    assert planner.planned() == []


def test_a_spike_is_higher_than_what_the_key_has_anyway(planner: Planner) -> None:
    with pytest.raises(BadSpike, match="higher"):
        planner.plan(limit=60)
    planner.limit(600)
    with pytest.raises(BadSpike, match="higher"):
        planner.plan(limit=600)


def test_so_many_spikes_and_no_more(planner: Planner, clock: ManualClock) -> None:
    for _ in range(MOST_PLANNED):
        planner.plan()
    with pytest.raises(BadSpike, match="cancel one first"):
        planner.plan()
    clock.advance(HOUR)
    planner.plan()


def test_another_organizations_key_is_not_there(planner: Planner) -> None:
    spike = planner.plan()
    planner.where["organization_id"] = uuid4()
    with pytest.raises(KeyNotFound):
        planner.plan()
    with pytest.raises(KeyNotFound):
        planner.planned()
    with pytest.raises(KeyNotFound):
        planner.cancel(spike)


def test_a_member_changes_no_limit_not_even_of_a_key_of_their_own(
    planner: Planner,
    database: Database,
    rates: Rates,
    keys: Keys,
    organization: Organization,
    member: User,
) -> None:
    with database.session() as session:
        own = keys.create(
            session,
            name="Own",
            data=DataScope.USER_FULL,
            owner_id=member.id,
            **planner.where,
        )
    spike = planner.plan()
    planner.where["actor"] = Actor("user", member.name, id=str(member.id))
    with pytest.raises(KeyNotFound):
        planner.cancel(spike)
    planner.key_id = own.key.id
    assert planner.planned() == []
    with database.session() as session, pytest.raises(BeyondMembers):
        rates.set_default(session, limit=100, **planner.where)
    with database.session() as session:
        Members(planner.clock).set_policy(
            session, organization_id=organization.id, allowed=True, actor=SYSTEM
        )
    with pytest.raises(BeyondMembers):
        planner.limit(100)
    with pytest.raises(BeyondMembers):
        planner.plan()


def test_r5_an_expired_key_gets_no_new_limit(
    planner: Planner, database: Database, keys: Keys, verification: Verification, clock: ManualClock
) -> None:
    with database.session() as session:
        issued = keys.create(session, name="Short", **planner.where)
        keys.set_expiry(session, issued.key.id, expires_at=clock.now() + HOUR, **planner.where)
    clock.advance(HOUR)
    assert not verification.by_secret(issued.key.client_key, issued.client_secret.reveal())
    planner.key_id = issued.key.id
    with pytest.raises(KeyExpired):
        planner.limit(100)
    with pytest.raises(KeyExpired):
        planner.plan()
