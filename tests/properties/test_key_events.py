"""Whatever is done to keys in whatever order: an event for each change, and for nothing else.

The model is a list of what ought to have been told, and what a person would remember of each key.
"""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Any
from uuid import UUID, uuid4

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.keys import publishing
from keystore.accounts import Accounts
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.credentials import SecretValue
from keystore.db import Database
from keystore.errors import KeystoreError
from keystore.expiries import Expiries
from keystore.key_events import KeyEvent
from keystore.keys import Keys
from keystore.leak_records import Record
from keystore.leaks import Leaks
from keystore.mail import Mails
from keystore.models import Role
from keystore.people import People
from keystore.rotation import LeakPolicy
from keystore.scopes import DataScope
from keystore.vault import Vault
from tests.conftest import PASSWORD, QUICK_HASHER
from tests.properties.together import Stop, at_once
from webhooks.models import Event

DAY = timedelta(days=1)
NEVER = datetime.max.replace(tzinfo=UTC)
lefts = st.sampled_from([None, 0.5, 3, 20, 45]).map(
    lambda days: None if days is None else days * DAY
)


@dataclass
class Known:
    """One key as a person remembers it."""

    expires_at: datetime | None
    mine: bool  # Mel's
    generation: int = 1
    disabled: bool = False
    deleted: bool = False
    secret_until: datetime = NEVER  # the newest that somebody holds
    told: float = inf  # the nearest threshold that its expiry was told of

    def over(self, now: datetime) -> bool:
        return self.deleted or (self.expires_at is not None and now >= self.expires_at)


class KeyEvents(RuleBasedStateMachine):
    """Changes to keys, some of which fail at the last moment; time passes, processes look."""

    keys_made = Bundle("keys_made")

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        self.clock = ManualClock()
        self.fails = False
        self.told: Counter[tuple[object, ...]] = Counter()
        self.known: dict[UUID, Known] = {}
        self.secrets: dict[UUID, SecretValue] = {}
        vault, told = Vault([SecretValue("k" * 64)]), [publishing.publish, self._fail]
        mails, self.accounts = Mails(vault), Accounts(self.clock, QUICK_HASHER)
        self.keys = Keys(vault, self.clock, on_event=told)
        self.leaks = Leaks(vault, self.clock, mails, "https://keyhook.example", on_event=told)
        self.expiries = Expiries(self.clock, mails, "https://keyhook.example", on_event=told)
        self.people = People(
            self.accounts, mails, self.clock, base_url="https://keyhook.example", on_event=told
        )

    def _fail(self, _session: Session, _event: KeyEvent) -> None:
        if self.fails:
            raise Stop

    @initialize()
    def found_an_organization(self) -> None:
        with self.database.session() as session:
            organization = self.accounts.create_organization(
                session, name=str(uuid4()), actor=SYSTEM
            )
        self.where: dict[str, Any] = {"organization_id": organization.id, "actor": SYSTEM}
        for role in Role:
            with self.database.session() as session:
                self.mel = self.accounts.create_user(
                    session,
                    organization_id=organization.id,
                    email=f"{uuid4()}@northwind.example",
                    name=role,
                    role=role,
                    password=SecretValue(PASSWORD),
                    actor=SYSTEM,
                )

    @rule(
        target=keys_made,
        name=st.sampled_from(["Zapier", "n8n", "Make", "BI"]),
        left=lefts,
        mine=st.booleans(),
        fails=st.booleans(),
    )
    def create(self, name: str, left: timedelta | None, mine: bool, fails: bool) -> object:
        expires_at = None if left is None else self.clock.now() + left
        personal: dict[str, Any] = (
            {"data": DataScope.USER_FULL, "owner_id": self.mel.id} if mine else {}
        )
        issued = self._try(
            lambda session: self.keys.create(
                session, name=name, expires_at=expires_at, **personal, **self.where
            ),
            fails=fails,
        )
        if issued is None:
            return multiple()
        key_id = issued.key.id
        self.known[key_id] = known = Known(expires_at, mine)
        known.told = self._reached(known)
        self.secrets[key_id] = issued.client_secret
        self.told["key.created", key_id] += 1
        return key_id

    @rule(key_id=keys_made, name=st.sampled_from(["Zapier", "Other"]))
    def rename(self, key_id: UUID, name: str) -> None:
        """Nothing that anybody is told of."""
        self._try(lambda session: self.keys.rename(session, key_id, name=name, **self.where))

    @rule(key_id=keys_made, behind=st.sampled_from([0, 0, 1]), fails=st.booleans())
    def regenerate(self, key_id: UUID, behind: int, fails: bool) -> None:
        known = self.known[key_id]
        issued = self._try(lambda session: self._regenerate(session, key_id, behind), fails=fails)
        awake = not known.over(self.clock.now()) and not known.disabled
        assert (issued is not None) == (awake and behind == 0 and not fails)
        if issued is not None:
            self._regenerated(key_id, issued)

    @rule(key_id=keys_made)
    def regenerate_twice_at_once(self, key_id: UUID) -> None:
        """The one that is refused is not told of."""
        won, _ = at_once(*[lambda: self._do(lambda one: self._regenerate(one, key_id, 0))] * 2)
        assert len(won) <= 1
        for issued in won:
            self._regenerated(key_id, issued)

    @rule(key_id=keys_made, left=lefts)
    def set_expiry(self, key_id: UUID, left: timedelta | None) -> None:
        known = self.known[key_id]
        expires_at = None if left is None else self.clock.now() + left
        changed = self._try(
            lambda session: self.keys.set_expiry(
                session, key_id, expires_at=expires_at, **self.where
            )
        )
        if changed is not None and known.expires_at != expires_at:
            known.expires_at, known.told = expires_at, inf

    @rule(key_id=keys_made, disabled=st.booleans(), fails=st.booleans())
    def disable_or_enable(self, key_id: UUID, disabled: bool, fails: bool) -> None:
        """What is so already, or cannot be, is not told of."""
        known = self.known[key_id]
        switch = self.keys.disable if disabled else self.keys.enable
        changes = known.disabled != disabled
        done = self._try(lambda session: switch(session, key_id, **self.where), fails=fails)
        if done is not None and changes:
            known.disabled = disabled
            self.told["key.revoked" if disabled else "key.enabled", key_id] += 1

    @rule(key_id=keys_made, hands=st.sampled_from([1, 2]), fails=st.booleans())
    def delete(self, key_id: UUID, hands: int, fails: bool) -> None:
        def delete(session: Session) -> bool:
            self.keys.delete(session, key_id, **self.where)
            return True

        known, self.fails = self.known[key_id], fails
        won, _ = at_once(*[lambda: self._do(delete)] * hands)
        self.fails = False
        assert len(won) == (not known.deleted and not fails)
        if won:
            known.deleted = True
            self.told["key.revoked", key_id] += 1

    @rule(key_id=keys_made, policy=st.sampled_from(LeakPolicy), fails=st.booleans())
    def the_secret_leaks(self, key_id: UUID, policy: LeakPolicy, fails: bool) -> None:
        """The newest that somebody holds; told twice, it has leaked once."""
        known, now = self.known[key_id], self.clock.now()
        record = Record(self.secrets[key_id], "t", str(uuid4()), "s")
        self._do(lambda session: self.leaks.set_policy(session, policy=policy, **self.where))
        for failing in (fails, False, False):
            self._try(
                lambda session: self.leaks.report(session, record, reporter=SYSTEM), fails=failing
            )
        if known.over(now) or now >= known.secret_until:
            return
        self.told["key.leaked", key_id] += 1
        if not known.disabled and policy is not LeakPolicy.NOTIFY:
            known.generation += known.secret_until == NEVER  # it has no successor yet
            end = now if policy is LeakPolicy.KILL else now + DAY
            known.secret_until = min(known.secret_until, end)

    @rule(fails=st.booleans())
    def the_person_leaves_and_comes_back(self, fails: bool) -> None:
        now = self.clock.now()
        theirs = [
            (key_id, known)
            for key_id, known in self.known.items()
            if known.mine and not known.over(now) and not known.disabled
        ]
        left = self._try(
            lambda session: self.people.deactivate(session, self.mel.id, **self.where), fails=fails
        )
        assert (left is None) == (fails and theirs != [])
        if left is not None:
            for key_id, known in theirs:
                known.disabled = True
                self.told["key.revoked", key_id] += 1
        self._do(lambda session: self.people.activate(session, self.mel.id, **self.where))

    @rule(days=st.sampled_from([0.3, 1, 5, 14]))
    def time_passes(self, days: float) -> None:
        self.clock.advance(days * DAY)

    @rule(processes=st.sampled_from([1, 1, 2, 3]), fails=st.booleans())
    def processes_look_for_what_is_due(self, processes: int, fails: bool) -> None:
        self.fails = fails
        _, lost = at_once(*[lambda: self._do(self.expiries.tell)] * processes)
        self.fails = False
        for key_id, known in self.known.items():
            reached = self._reached(known)
            if known.deleted or reached >= known.told:
                continue
            if fails:
                assert lost
                continue
            known.told = reached
            self.told["key.expiring" if reached else "key.expired", key_id] += 1

    @invariant()
    def all_changes_are_told_of_and_nothing_else(self) -> None:
        if not hasattr(self, "where"):
            return
        found: Counter[tuple[object, ...]] = Counter()
        with self.database.session() as session, session.begin():
            own = Event.organization_id == self.where["organization_id"]
            for event in session.scalars(select(Event).where(own)):
                body = json.loads(event.body)
                assert body["event_type"] == event.type
                assert event.subject == f"key:{body['key']['id']}"
                found[event.type, UUID(body["key"]["id"])] += 1
        assert found == +self.told

    def _reached(self, known: Known) -> float:
        if known.expires_at is None:
            return inf
        left = known.expires_at - self.clock.now()
        return min((days for days in (30, 7, 1, 0) if left <= days * DAY), default=inf)

    def _regenerate(self, session: Session, key_id: UUID, behind: int) -> Any:
        seen = self.known[key_id].generation - behind
        return self.keys.regenerate(session, key_id, generation=seen, **self.where)

    def _regenerated(self, key_id: UUID, issued: Any) -> None:
        self.known[key_id].generation += 1
        self.known[key_id].secret_until = NEVER
        self.secrets[key_id] = issued.client_secret
        self.told["key.regenerated", key_id] += 1

    def _do(self, change: Callable[[Session], Any]) -> Any:
        with self.database.session() as session:
            return change(session)

    def _try(self, change: Callable[[Session], Any], *, fails: bool = False) -> Any:
        """Return what came of a change; None when it was refused or failed."""
        self.fails = fails
        try:
            return self._do(change)
        except (KeystoreError, Stop):
            return None
        finally:
            self.fails = False


def test_each_committed_change_is_told_of_once_and_no_other(database: Database) -> None:
    run_state_machine_as_test(
        lambda: KeyEvents(database),  # type: ignore[arg-type]  # any factory will do
        settings=settings(max_examples=30, stateful_step_count=30),
    )
