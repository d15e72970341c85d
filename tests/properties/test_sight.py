"""Whatever becomes of scopes, people, keys, meetings and bookings, in whatever order: nothing
reaches a key, by asking or by being sent, that lies outside what it may see at that moment; and all
else does.

The model is a few flat facts: what each key was granted, who is who, how each meeting and booking
is now, and which deliveries wait. What is handed to the transport is what a claim returns.
"""

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
from sqlalchemy import select, update

from connector.bookings import events as booking_events
from connector.bookings import publishing
from connector.bookings.store import Bookings
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
from tests.connector.bookings import support as pages
from tests.connector.bookings.support import BOOKED, CANCELED, RESCHEDULED
from tests.connector.meetings.support import NOTES, read
from webhooks import leases, outbox, settling
from webhooks.catalog import Catalog
from webhooks.fairness import Room
from webhooks.health import Health
from webhooks.models import Event
from webhooks.outcome import Ending, Outcome
from webhooks.picking import Job
from webhooks.retry import Decision, Delivered, Retry
from webhooks.subscriptions import Subscriptions

READ = {"meetings:read", "webhooks:manage"}
TALK = READ | {"notes:read", "transcripts:read"}
NEEDS = {
    "AINOTE": TALK,
    "new_conversation": TALK,
    "notes.ready": READ,
    "meeting.ended": READ,
    "privacy.changed": READ,
    BOOKED: READ,
    RESCHEDULED: READ,
    CANCELED: READ,
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
    """One delivery that is to come: to this key, of this type, about this meeting or booking."""

    key: int
    kind: str
    subject: str


@dataclass
class Shown:
    """A meeting, or the booking of one, as it is now."""

    people: frozenset[str]
    private: bool
    booked: str | None = None  # the subject of the meeting that this is the booking of
    kinds: set[str] = field(default_factory=set)
    was_private: bool | None = None  # when it was saved last
    moves: int = 0


class Sights(RuleBasedStateMachine):
    """Rescope, leave and return, change roles, sleep and wake, publish, claim, send, fail."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        self.clock = ManualClock()
        vault = Vault([SecretValue("k" * 64)])
        self.keys = Keys(vault, self.clock)
        self.verification = Verification(database, vault, self.clock)
        links = Links(vault, "https://keyhook.example")
        self.meetings = Meetings(self.clock, links, [publishing.follow])
        self.bookings = Bookings(self.clock)
        catalog = Catalog()
        for event_type in (*event_types(), *booking_events.event_types()):
            catalog.register(event_type)
        self.subscriptions = Subscriptions(vault, self.clock, catalog)
        self.shown: dict[str, Shown] = {}
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
        # Keys of several kinds, and something for each, whatever comes next.
        everything = frozenset(scopes.OPERATIONS)
        self.rescope(1, everything, DataScope.ORG_NON_PRIVATE, "ada")
        self.rescope(2, everything, DataScope.USER_NON_PRIVATE, "mel")
        for private in (False, True):
            self.a_meeting_ends(frozenset({"ada"}), private=private, notes=True)
            self.a_meeting_ends(frozenset({"mel"}), private=private, notes=False)
        for meeting in self._meetings():
            subject = f"booking:{uuid4()}"
            self.shown[subject] = Shown(frozenset({"mel"}), private=False, booked=meeting)
            self._book(subject, BOOKED)

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
        for kind in NEEDS:
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
        subject = str(uuid4())
        self.shown[subject] = Shown(people, private)
        self._save(subject, notes=notes)

    @rule(data=st.data(), people=some_people, private=st.booleans(), notes=st.booleans())
    def a_meeting_changes(
        self, data: st.DataObject, people: frozenset[str], *, private: bool, notes: bool
    ) -> None:
        subject = data.draw(st.sampled_from(self._meetings()))
        self.shown[subject].people, self.shown[subject].private = people, private
        self._save(subject, notes=notes)

    @rule(data=st.data(), name=st.sampled_from(NAMES), private=st.booleans())
    def a_meeting_is_booked(self, data: st.DataObject, name: str, *, private: bool) -> None:
        meeting, subject = data.draw(st.sampled_from(self._meetings())), f"booking:{uuid4()}"
        self.shown[subject] = Shown(frozenset({name}), private, meeting)
        self._book(subject, BOOKED)

    @rule(data=st.data(), name=st.sampled_from(NAMES), private=st.booleans())
    def a_booking_is_moved(self, data: st.DataObject, name: str, *, private: bool) -> None:
        if standing := [one for one in self._bookings() if CANCELED not in self.shown[one].kinds]:
            subject = data.draw(st.sampled_from(standing))
            self.shown[subject].people, self.shown[subject].private = frozenset({name}), private
            self._book(subject, RESCHEDULED)

    @rule(data=st.data())
    def a_booking_is_canceled(self, data: st.DataObject) -> None:
        self._book(data.draw(st.sampled_from(self._bookings())), CANCELED)

    def _meetings(self) -> list[str]:
        return [one for one, shown in self.shown.items() if shown.booked is None]

    def _bookings(self) -> list[str]:
        return [one for one, shown in self.shown.items() if shown.booked is not None]

    def _save(self, subject: str, *, notes: bool) -> None:
        shown = self.shown[subject]
        given = read(
            subject=subject,
            organizer_email="zed@elsewhere.example",
            is_private=shown.private,
            attendees=[
                {"email": f"{one.upper()}@{self.at}", "response_status": "accepted"}
                for one in sorted(shown.people)
            ],
            **({"notes": NOTES} if notes else {}),
        )
        with self.database.session() as session:
            self.meetings.save(session, Sight(self.organization.id), UUID(subject), given, SYSTEM)
        told = {"meeting.ended"}
        if notes:
            told |= {"AINOTE", "new_conversation", "notes.ready"}
        happened = told - shown.kinds
        if shown.was_private not in {None, shown.private}:
            happened.add("privacy.changed")
        shown.was_private = shown.private
        self._told(subject, happened)

    def _book(self, subject: str, kind: str) -> None:
        shown = self.shown[subject]
        if kind == CANCELED and CANCELED in shown.kinds:
            return
        [name] = shown.people
        shown.moves += kind == RESCHEDULED
        begin = datetime(2026, 5, 4, tzinfo=UTC) + shown.moves * HOUR
        given = pages.read(
            meeting_uuid=shown.booked,
            state="canceled" if kind == CANCELED else "booked",
            is_private=shown.private,
            event_start_time=begin.isoformat(),
            event_end_time=(begin + HOUR).isoformat(),
            organizer_email="zed@elsewhere.example",
            booker_email=None,
            invitee_details={"email": f"{name.upper()}@{self.at}"},
        )
        with self.database.session() as session:
            uuid = UUID(subject.removeprefix("booking:"))
            self.bookings.save(session, Sight(self.organization.id), uuid, given, SYSTEM)
        self._told(subject, {kind})

    def _told(self, subject: str, happened: set[str]) -> None:
        self.shown[subject].kinds |= happened
        self.waiting += [
            Told(number, kind, subject)
            for kind in happened
            for number in range(3)
            if self._may_get(number, kind, subject)
        ]

    @rule(arrives=st.booleans())
    def send(self, *, arrives: bool) -> None:
        """All that is due: it arrives, or it fails and is due again later."""
        expected = [one for one in self.waiting if self._may_get(one.key, one.kind, one.subject)]
        jobs = []
        while more := self._claim():
            jobs += more
        with self.database.session() as session, session.begin():
            wanted = Event.organization_id == self.organization.id
            rows = session.execute(select(Event.id, Event.subject).where(wanted)).all()
        subjects = {row.id.hex: row.subject for row in rows}
        handed = [
            Told(*self.subscribed[lane], subjects[job.event_id])
            for job in jobs
            # Others are a former, failed run's.
            if (lane := job.endpoint.subscription_id) in self.subscribed
        ]
        assert sorted(map(repr, handed)) == sorted(map(repr, expected)), "Z1"
        decision: Decision = Delivered() if arrives else Retry(HOUR)
        outcome = Outcome(Ending.ANSWERED, 1, status=200 if arrives else 500)
        results = [settling.Result(job, self.clock.now(), (), outcome, decision) for job in jobs]
        with self.database.session() as session, writing(session):
            settling.settle(session, results, now=self.clock.now(), health=Health(1000 * HOUR))
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

    def _may_see(self, number: int, subject: str) -> bool:
        holder, shown = self.holders[number], self.shown[subject]
        meeting = shown if shown.booked is None else self.shown[shown.booked]
        if (shown.private or meeting.private) and holder.data in {
            "user_non_private",
            "org_non_private",
        }:
            return False
        return holder.data.startswith("org_") or holder.owner_name in shown.people

    def _claim(self) -> list[Job]:
        """Take some of what is due; nothing of it is under way yet."""
        room = Room(10_000, 10_000, 10_000, {})
        with self.database.session() as session, writing(session):
            now = self.clock.now()
            return leases.claim(session, now=now, owner="one", lease=HOUR, room=room).jobs

    def _may_get(self, number: int, kind: str, subject: str) -> bool:
        operations = self._rights(number)
        allowed = operations is not None and NEEDS[kind] <= operations
        return allowed and self._may_see(number, subject)

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
            seen = {one for one in self._meetings() if self._may_see(number, one)}
            sight = Sight.of(self.organization.id, proved.rights)
            query = MeetingsQuery(*ALWAYS, page_size=1000)
            with self.database.session() as session:
                found = self.meetings.list(session, sight, query)
            assert {one.subject for one in found.results} == seen
            assert found.count == len(seen)
            for kind in NEEDS:
                with self.database.session() as session:
                    told = outbox.recent(session, self.organization.id, kind, 1000, proved.rights)
                assert {event.subject for event in told} == {
                    subject
                    for subject, shown in self.shown.items()
                    if kind in shown.kinds and self._may_get(number, kind, subject)
                }

    def teardown(self) -> None:
        """End each run with what waits, and leave nothing to the next one."""
        self.send(arrives=True)


def test_z1_nothing_out_of_sight_is_shown_or_sent(database: Database) -> None:
    run_state_machine_as_test(
        lambda: Sights(database),  # type: ignore[arg-type]  # any factory will do
        settings=settings(max_examples=40, stateful_step_count=12),
    )
