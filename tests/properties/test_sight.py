"""Whatever becomes of scopes, people, keys and meetings, in whatever order: nothing reaches a key,
by asking or by being sent, that lies outside what it may see at that moment; and all else does.

The model is a few flat facts: what each key was granted, who is who, how each meeting is now, and
which deliveries wait. What is handed to the transport is what a claim returns.
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import update

from connector.meetings.events import event_types
from connector.meetings.links import Links
from connector.meetings.queries import MeetingsQuery
from connector.meetings.sight import Sight
from connector.meetings.store import Meetings
from keystore import scopes
from keystore.accounts import Accounts
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.credentials import SecretValue
from keystore.db import Database, writing
from keystore.grants import Grants
from keystore.keys import Issued, Keys
from keystore.models import Role, User
from keystore.scopes import DataScope
from keystore.vault import Vault
from keystore.verification import Verification
from tests.conftest import PASSWORD, QUICK_HASHER
from tests.connector.meetings.support import NOTES, read
from webhooks import leases, outbox
from webhooks.catalog import Catalog
from webhooks.fairness import Room
from webhooks.health import Health
from webhooks.outcome import Ending, Outcome
from webhooks.picking import Job
from webhooks.retry import Decision, Delivered, Retry
from webhooks.subscriptions import Subscriptions

KINDS = ["AINOTE", "new_conversation", "notes.ready", "meeting.ended", "privacy.changed"]
TALK = {"meetings:read", "notes:read", "transcripts:read", "webhooks:manage"}
NEEDS = {
    "AINOTE": TALK,
    "new_conversation": TALK,
    "notes.ready": {"meetings:read", "webhooks:manage"},
    "meeting.ended": {"meetings:read", "webhooks:manage"},
    "privacy.changed": {"meetings:read", "webhooks:manage"},
}
NAMES = ["ada", "mel", "zoe"]
HOUR = timedelta(hours=1)
ALWAYS = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))

some_scopes = st.one_of(
    st.just(frozenset(scopes.OPERATIONS)),
    st.frozensets(st.sampled_from(sorted(scopes.OPERATIONS))),
)
some_people = st.frozensets(st.sampled_from(NAMES))
some_data = st.sampled_from([one for one in DataScope if one is not DataScope.LEGACY])
which_key = st.integers(0, 2)
whose = st.sampled_from(NAMES[:2])


@dataclass
class Person:
    """Somebody who signs in."""

    id: UUID
    is_admin: bool = False
    is_active: bool = True


@dataclass
class Holder:
    """A key as its owner remembers it."""

    issued: Issued
    granted: frozenset[str]
    data: str = "org_full"
    owner: Person | None = None
    owner_name: str = ""
    awake: bool = True


@dataclass(frozen=True)
class Told:
    """One delivery that is to come: to this key, of this type, about this meeting."""

    key: int
    kind: str
    meeting: UUID


@dataclass
class Shown:
    """A meeting as it is now."""

    people: frozenset[str]
    private: bool
    kinds: set[str] = field(default_factory=set)
    was_private: bool | None = None  # when it was saved last


class Sights(RuleBasedStateMachine):
    """Rescope, leave and return, change roles, sleep and wake, publish, claim, send, fail."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        self.clock = ManualClock()
        vault = Vault([SecretValue("k" * 64)])
        self.keys = Keys(vault, self.clock)
        self.verification = Verification(database, vault, self.clock)
        self.meetings = Meetings(self.clock, Links(vault, "https://keyhook.example"))
        catalog = Catalog()
        for event_type in event_types():
            catalog.register(event_type)
        self.subscriptions = Subscriptions(vault, self.clock, catalog)
        self.shown: dict[UUID, Shown] = {}
        self.waiting: list[Told] = []
        self.subscribed: dict[UUID, tuple[int, str]] = {}

    @initialize()
    def begin(self) -> None:
        accounts = Accounts(self.clock, QUICK_HASHER)
        with self.database.session() as session:
            self.organization = accounts.create_organization(
                session, name=str(uuid4()), actor=SYSTEM
            )
        self.at = f"{self.organization.id.hex}.example"
        self.people = {}
        for name in NAMES[:2]:
            role = Role.ADMIN if name == "ada" else Role.MEMBER
            with self.database.session() as session:
                user = accounts.create_user(
                    session,
                    organization_id=self.organization.id,
                    email=f"{name}@{self.at}",
                    name=name,
                    role=role,
                    password=SecretValue(PASSWORD),
                    actor=SYSTEM,
                )
            self.people[name] = Person(user.id, name == "ada")
        self.holders = [self._holder(number) for number in range(3)]
        for private in (False, True):  # so that something waits whatever comes next
            self.a_meeting_ends(frozenset({"ada"}), private=private, notes=True)
            self.a_meeting_ends(frozenset({"mel"}), private=private, notes=False)

    def _holder(self, number: int) -> Holder:
        everything = frozenset(scopes.OPERATIONS)
        with self.database.session() as session:
            issued = self.keys.create(
                session,
                organization_id=self.organization.id,
                name=str(number),
                granted=everything,
                actor=SYSTEM,
            )
        for kind in KINDS:
            with self.database.session() as session:
                made = self.subscriptions.subscribe(
                    session,
                    organization_id=self.organization.id,
                    key_id=issued.key.id,
                    event_type=kind,
                    target_url="https://hooks.example.com/",
                    operations=everything,
                    actor=SYSTEM,
                )
            self.subscribed[made.subscription.id] = (number, kind)
        return Holder(issued, everything)

    @rule(number=which_key, granted=some_scopes, data=some_data, name=whose)
    def rescope(self, number: int, granted: frozenset[str], data: DataScope, name: str) -> None:
        person = self.people[name] if data.is_personal else None
        if person is not None and not person.is_active:
            return
        with self.database.session() as session:
            Grants(self.clock).rescope(
                session,
                self.holders[number].issued.key.id,
                organization_id=self.organization.id,
                granted=granted,
                data=data,
                owner_id=None if person is None else person.id,
                actor=SYSTEM,
            )
        holder = self.holders[number]
        holder.granted, holder.data, holder.owner = granted, data.value, person
        holder.owner_name = name

    @rule(name=whose, is_active=st.booleans(), is_admin=st.booleans())
    def somebody_leaves_or_returns_or_has_another_role(
        self, name: str, *, is_active: bool, is_admin: bool
    ) -> None:
        role = Role.ADMIN if is_admin else Role.MEMBER
        with self.database.session() as session, writing(session):
            session.execute(
                update(User)
                .where(User.id == self.people[name].id)
                .values(is_active=is_active, role=role)
            )
        self.people[name].is_active, self.people[name].is_admin = is_active, is_admin

    @rule(number=which_key, awake=st.booleans())
    def put_to_sleep_or_wake(self, number: int, *, awake: bool) -> None:
        owner = self.holders[number].owner
        if awake and owner is not None and not owner.is_active:
            return  # refused: it waits for its person
        change = self.keys.enable if awake else self.keys.disable
        with self.database.session() as session:
            change(
                session,
                self.holders[number].issued.key.id,
                organization_id=self.organization.id,
                actor=SYSTEM,
            )
        self.holders[number].awake = awake

    @rule(people=some_people, private=st.booleans(), notes=st.booleans())
    def a_meeting_ends(self, people: frozenset[str], *, private: bool, notes: bool) -> None:
        uuid = uuid4()
        self.shown[uuid] = Shown(people, private)
        self._save(uuid, notes=notes)

    @rule(data=st.data(), people=some_people, private=st.booleans(), notes=st.booleans())
    def a_meeting_changes(
        self, data: st.DataObject, people: frozenset[str], *, private: bool, notes: bool
    ) -> None:
        if self.shown:
            uuid = data.draw(st.sampled_from(sorted(self.shown)))
            self.shown[uuid].people, self.shown[uuid].private = people, private
            self._save(uuid, notes=notes)

    def _save(self, uuid: UUID, *, notes: bool) -> None:
        shown = self.shown[uuid]
        given = read(
            subject=str(uuid),
            organizer_email="zed@elsewhere.example",
            is_private=shown.private,
            attendees=[
                {"email": f"{one.upper()}@{self.at}", "response_status": "accepted"}
                for one in sorted(shown.people)
            ],
            **({"notes": NOTES} if notes else {}),
        )
        with self.database.session() as session:
            self.meetings.save(session, Sight(self.organization.id), uuid, given)
        told = {"meeting.ended", *(NEEDS if notes else ())} - {"privacy.changed"}
        happened = told - shown.kinds
        shown.kinds |= told
        if shown.was_private not in {None, shown.private}:
            happened.add("privacy.changed")
            shown.kinds.add("privacy.changed")
        shown.was_private = shown.private
        self.waiting += [
            Told(number, kind, uuid)
            for kind in happened
            for number in range(3)
            if self._may_get(number, kind, uuid)
        ]

    @rule(arrives=st.booleans())
    def send(self, *, arrives: bool) -> None:
        """All that is due: it arrives, or it fails and is due again later."""
        expected = [one for one in self.waiting if self._may_get(one.key, one.kind, one.meeting)]
        jobs = []
        while more := self._claim():
            jobs += more
        handed = [
            Told(*self.subscribed[lane], UUID(json.loads(job.body)["uuid"]))
            for job in jobs
            # Others are a former, failed run's.
            if (lane := job.endpoint.subscription_id) in self.subscribed
        ]
        assert sorted(map(repr, handed)) == sorted(map(repr, expected)), "Z1"
        decision: Decision = Delivered() if arrives else Retry(HOUR)
        outcome = Outcome(Ending.ANSWERED, 1, status=200 if arrives else 500)
        results = [leases.Result(job, self.clock.now(), (), outcome, decision) for job in jobs]
        with self.database.session() as session, writing(session):
            leases.settle(session, results, now=self.clock.now(), health=Health(1000 * HOUR))
        self.clock.advance(2 * HOUR)
        self.waiting = [] if arrives else expected

    def _rights(self, number: int) -> frozenset[str] | None:
        """Return what a key may do now; None when it does not work."""
        holder = self.holders[number]
        if not holder.awake:
            return None
        if holder.owner is None:
            return holder.granted
        if not holder.owner.is_active:
            return None
        return holder.granted if holder.owner.is_admin else holder.granted - {"keys:manage"}

    def _may_see(self, number: int, uuid: UUID) -> bool:
        holder, shown = self.holders[number], self.shown[uuid]
        if shown.private and holder.data in {"user_non_private", "org_non_private"}:
            return False
        return holder.data.startswith("org_") or holder.owner_name in shown.people

    def _claim(self) -> list[Job]:
        """Take some of what is due; nothing of it is under way yet."""
        room = Room(10_000, 10_000, 10_000, {})
        with self.database.session() as session, writing(session):
            now = self.clock.now()
            return leases.claim(session, now=now, owner="one", lease=HOUR, room=room).jobs

    def _may_get(self, number: int, kind: str, uuid: UUID) -> bool:
        operations = self._rights(number)
        return operations is not None and NEEDS[kind] <= operations and self._may_see(number, uuid)

    @invariant()
    def z1_a_key_sees_what_it_may_and_nothing_else(self) -> None:
        for number, holder in enumerate(self.holders):
            secret = holder.issued.client_secret.reveal()
            proved = self.verification.by_secret(holder.issued.key.client_key, secret)
            operations = self._rights(number)
            assert (proved is None) == (operations is None)
            if proved is None or operations is None:
                continue
            assert proved.scopes == operations
            seen = {str(uuid) for uuid in self.shown if self._may_see(number, uuid)}
            sight = Sight.of(self.organization.id, proved.rights)
            query = MeetingsQuery(*ALWAYS, page_size=1000)
            with self.database.session() as session:
                found = self.meetings.list(session, sight, query)
            assert {one.subject for one in found.results} == seen
            assert found.count == len(seen)
            for kind in KINDS:
                with self.database.session() as session:
                    told = outbox.recent(session, self.organization.id, kind, 1000, proved.rights)
                assert {event.subject for event in told} == {
                    str(uuid)
                    for uuid, shown in self.shown.items()
                    if kind in shown.kinds and self._may_get(number, kind, uuid)
                }

    def teardown(self) -> None:
        """End each run with what waits, and leave nothing to the next one."""
        self.send(arrives=True)


def test_z1_nothing_out_of_sight_is_shown_or_sent(database: Database) -> None:
    run_state_machine_as_test(
        lambda: Sights(database),  # type: ignore[arg-type]  # any factory will do
        settings=settings(max_examples=40, stateful_step_count=12),
    )
