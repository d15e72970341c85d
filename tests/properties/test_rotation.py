"""Whatever is done to keys in whatever order, exactly the expected secrets authenticate.

After each step every secret ever issued is tried, and the list, the audit and the tables' own rows
are compared with the ledger. The letters in the names are those of the list of invariants.
"""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from itertools import pairwise
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
from sqlalchemy import text

from keystore import audit
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.credentials import ALPHABET, CHECKSUM_LENGTH, SecretValue, checksum
from keystore.db import Database
from keystore.errors import (
    BadExpiry,
    GenerationConflict,
    KeyDisabled,
    KeyExpired,
    KeyNotFound,
    NameTaken,
)
from keystore.keys import Issued
from keystore.leak_records import Record
from keystore.rotation import LeakPolicy
from keystore.settings import Settings
from tests.properties.hands import Hands, HandsOverHttp
from tests.properties.ledger import Known, Ledger
from tests.properties.together import at_once

TICK = timedelta(microseconds=1)
LEAK_OVERLAPS = {
    LeakPolicy.NOTIFY: None,
    LeakPolicy.RETIRE: timedelta(hours=24),
    LeakPolicy.KILL: timedelta(0),
}
overlaps = st.sampled_from([0, 0, 1, 24, 24 * 7]).map(lambda hours: timedelta(hours=hours))


class Rotation(RuleBasedStateMachine):
    """Everything that can be done to keys, also at once; time passes, and goes back."""

    keys_made = Bundle("keys_made")

    def __init__(self, database: Database, lend: Callable[[ManualClock], Hands]) -> None:
        super().__init__()
        self.database = database
        self.clock = ManualClock()
        self.ledger = Ledger(self.clock.now())
        self.hands = lend(self.clock)

    @initialize()
    def found_an_organization(self) -> None:
        self.hands.found()

    @rule(target=keys_made, name=st.sampled_from(["Zapier", "n8n", "Make", "BI"]))
    def create(self, name: str) -> object:
        taken = any(one.name == name and not one.deleted for one in self.ledger.keys.values())
        try:
            issued = self.hands.create(name)
        except NameTaken:
            assert taken
            return multiple()
        assert not taken
        self.ledger.keys[issued.key.id] = Known(name, 1)
        self.ledger.issued(issued)
        return issued.key.id

    @rule(key_id=keys_made, name=st.sampled_from(["Zapier", "n8n", "Sales", "Support"]))
    def rename(self, key_id: UUID, name: str) -> None:
        known = self.ledger.keys[key_id]
        others = {k.name for i, k in self.ledger.keys.items() if i != key_id and not k.deleted}
        try:
            self.hands.rename(key_id, name)
        except KeyNotFound:
            assert known.deleted
        except NameTaken:
            assert name in others
        else:
            assert not known.deleted
            assert name not in others
            self.ledger.changes += known.name != name
            known.name = name

    @rule(key_id=keys_made, behind=st.sampled_from([0, 0, 0, -1, 1, 2]), overlap=overlaps)
    def regenerate(self, key_id: UUID, behind: int, overlap: timedelta) -> None:
        """Regenerate, having seen the present generation, an older one, or one yet to come."""
        known = self.ledger.keys[key_id]
        try:
            issued = self.hands.regenerate(key_id, known.generation - behind, overlap)
        except (KeyNotFound, KeyExpired, KeyDisabled) as error:
            self._asleep(key_id, error)
        except GenerationConflict:
            assert behind != 0
        else:
            assert behind == 0
            assert self.ledger.awake(key_id)
            self.ledger.regenerated(issued, overlap)

    @rule(key_id=keys_made, overlap=overlaps)
    def regenerate_twice_at_once(self, key_id: UUID, overlap: timedelta) -> None:
        """Of two at once one wins; the other is told so and gets no secret."""
        seen = self.ledger.keys[key_id].generation
        won, lost = at_once(*[lambda: self.hands.regenerate(key_id, seen, overlap)] * 2)
        if won:
            assert len(won) == 1
            assert [type(error) for error in lost] == [GenerationConflict]
            self.ledger.regenerated(won[0], overlap)
        else:
            for error in lost:
                self._asleep(key_id, error)

    @rule(key_id=keys_made, overlap=overlaps)
    def i4_regenerate_and_delete_at_once(self, key_id: UUID, overlap: timedelta) -> None:
        """Whichever comes first: in the end the key is deleted and no secret of it lives."""
        known = self.ledger.keys[key_id]
        if known.deleted:
            return
        won, lost = at_once(
            lambda: self.hands.regenerate(key_id, known.generation, overlap),
            lambda: self.hands.delete(key_id),
        )
        expected = KeyNotFound | GenerationConflict | KeyExpired | KeyDisabled
        assert all(isinstance(error, expected) for error in lost)
        for issued in won:
            if isinstance(issued, Issued):
                self.ledger.regenerated(issued, overlap)
        self._deleted(key_id)

    @rule(key_id=keys_made)
    def i2_rename_and_regenerate_at_once(self, key_id: UUID) -> None:
        """Both survive."""
        known, name = self.ledger.keys[key_id], str(uuid4())
        if known.deleted or known.disabled or self.ledger.expired(key_id):
            return

        won, lost = at_once(
            lambda: self.hands.regenerate(key_id, known.generation, timedelta(0)),
            lambda: self.hands.rename(key_id, name),
        )
        assert lost == []
        known.name = name
        self.ledger.changes += 1
        [issued] = [one for one in won if one is not None]
        self.ledger.regenerated(issued, timedelta(0))

    @rule(key_id=keys_made)
    def finish(self, key_id: UUID) -> None:
        try:
            self.hands.finish(key_id)
        except KeyNotFound:
            assert self.ledger.keys[key_id].deleted
            return
        retiring = self.ledger.retiring(key_id)
        if retiring and not self.ledger.expired(key_id):
            self.ledger.end(key_id, {fact.generation for fact in retiring})
            self.ledger.changes += 1

    @rule(key_id=keys_made, hours=st.sampled_from([None, -1, 0, 1, 12, 48]))
    def set_expiry(self, key_id: UUID, hours: int | None) -> None:
        known = self.ledger.keys[key_id]
        expires_at = None if hours is None else self.ledger.now + timedelta(hours=hours)
        try:
            self.hands.set_expiry(key_id, expires_at)
        except (KeyNotFound, KeyExpired) as error:
            self._asleep(key_id, error)
        except BadExpiry:
            assert hours is not None
            assert hours <= 0
        else:
            assert not self.ledger.over(key_id)
            self.ledger.changes += known.expires_at != expires_at
            known.expires_at = expires_at
            for fact in self.ledger.retiring(key_id):
                if expires_at is not None and fact.until is not None:
                    fact.until = min(fact.until, expires_at)

    @rule(key_id=keys_made, disable=st.booleans())
    def disable_or_enable(self, key_id: UUID, disable: bool) -> None:
        known = self.ledger.keys[key_id]
        try:
            self.hands.switch(key_id, disable=disable)
        except (KeyNotFound, KeyExpired) as error:
            self._asleep(key_id, error)
        else:
            assert not self.ledger.over(key_id)
            self.ledger.changes += known.disabled != disable
            known.disabled = disable

    @rule(key_id=keys_made)
    def delete(self, key_id: UUID) -> None:
        try:
            self.hands.delete(key_id)
        except KeyNotFound:
            assert self.ledger.keys[key_id].deleted
        else:
            assert not self.ledger.keys[key_id].deleted
            self._deleted(key_id)

    @rule(pick=st.integers(0, 99), policy=st.sampled_from(LeakPolicy), again=st.booleans())
    def r3_a_secret_leaks(self, pick: int, policy: LeakPolicy, again: bool) -> None:
        """Any that was ever issued; told twice, it has leaked once."""
        if not self.ledger.facts:
            return
        fact, url = self.ledger.facts[pick % len(self.ledger.facts)], str(uuid4())
        self._choose(policy)
        assert self._leak(fact.client_secret, url)
        self.ledger.leaked(fact, LEAK_OVERLAPS[policy])
        if again:
            assert self._leak(fact.client_secret, url)

    @rule(pick=st.integers(0, 99), place=st.integers(23, 54), letter=st.sampled_from(ALPHABET))
    def a4_what_is_not_quite_a_secret_changes_nothing(
        self, pick: int, place: int, letter: str
    ) -> None:
        """Whoever knows all of it but one letter, and can work out a checksum, is nobody."""
        if not self.ledger.facts:
            return
        secret = self.ledger.facts[pick % len(self.ledger.facts)].client_secret
        if secret[place] == letter:
            return
        body = secret[:place] + letter + secret[place + 1 : -CHECKSUM_LENGTH]
        self._choose(LeakPolicy.KILL)
        assert not self._leak(body + checksum(body), str(uuid4()))

    @rule(key_id=keys_made)
    def r5_leak_and_regenerate_at_once(self, key_id: UUID) -> None:
        """Whichever comes first: the leaked secret is dead, and a new one works or was refused."""
        known = self.ledger.keys[key_id]
        held = [one for one in self.ledger.facts if one.key_id == key_id]
        fact = max(held, key=lambda one: one.generation)
        self._choose(LeakPolicy.KILL)
        won, lost = at_once(
            lambda: self.hands.regenerate(key_id, known.generation, timedelta(0)),
            lambda: self._leak(fact.client_secret, str(uuid4())),
        )
        for issued in won:
            if isinstance(issued, Issued):
                self.ledger.regenerated(issued, timedelta(0))
        self.ledger.leaked(fact, LEAK_OVERLAPS[LeakPolicy.KILL])
        for error in lost:
            if not isinstance(error, GenerationConflict):
                self._asleep(key_id, error)

    @rule(hours=st.floats(-48, 48))
    def a6_the_clock_steps(self, hours: float) -> None:
        self._go(timedelta(hours=hours))

    @rule(pick=st.integers(0, 9), step=st.sampled_from([-TICK, timedelta(0)]))
    def a2_the_clock_comes_to_a_boundary(self, pick: int, step: timedelta) -> None:
        """The moment before an overlap or an expiry ends, and that moment itself.

        Which one is picked by number: what there is to pick from depends on who won a race.
        """
        ends = {fact.until for fact in self.ledger.facts} | {
            known.expires_at for known in self.ledger.keys.values()
        }
        ahead = sorted(end for end in ends if end is not None and end > self.ledger.now)
        if ahead:
            self._go(ahead[pick % len(ahead)] + step - self.clock.now())

    @rule()
    def a5_the_process_starts_anew(self) -> None:
        self.hands.start()
        self.ledger.restarted(self.clock.now())

    @rule(key_id=keys_made, overlap=overlaps, back=st.floats(0, 24))
    def a6_nobody_shows_a_secret_and_the_process_starts_anew_in_the_past(
        self, key_id: UUID, overlap: timedelta, back: float
    ) -> None:
        """What ended meanwhile was written down, though nobody asked; of keys see `Expiries`."""
        self.regenerate(key_id, 0, overlap)
        step = self.ledger.now + overlap - self.clock.now()
        expiries = [known.expires_at for known in self.ledger.keys.values() if not known.lapsed]
        if any(one is not None and one <= self.clock.now() + step for one in expiries):
            return
        self._go(step)
        self.hands.tidy()
        self.clock.advance(-timedelta(hours=back))
        self.a5_the_process_starts_anew()

    @invariant()
    def a1_exactly_the_expected_secrets_authenticate(self) -> None:
        for fact in self.ledger.facts:
            verified = self.hands.verify(fact.client_key, fact.client_secret)
            assert (verified is not None) == self.ledger.works(fact), fact
            if verified is not None:
                known = self.ledger.keys[fact.key_id]
                assert verified[:2] == (fact.key_id, known.name)
                assert verified[2] in {fact.generation, None}

    @invariant()
    def a3_a4_no_secret_opens_another_key_and_no_typo_opens_any(self) -> None:
        facts = self.ledger.facts
        for one, other in pairwise(facts):
            if one.client_key != other.client_key:
                assert self.hands.verify(one.client_key, other.client_secret) is None
        for fact in facts[-1:]:
            for place in (5, 30, -1):
                wrong = ALPHABET[ALPHABET.index(fact.client_secret[place]) - 1]
                typo = fact.client_secret[:place] + wrong + fact.client_secret[place:][1:]
                assert self.hands.verify(fact.client_key, typo) is None

    @invariant()
    def r3_one_current_secret_and_at_most_one_retiring(self) -> None:
        with self.database.reader.connect() as connection:
            rows = connection.execute(
                text(
                    "SELECT key_id, state, count(*) FROM secrets "
                    "WHERE state <> 'dead' GROUP BY key_id, state"
                )
            ).all()
        assert all(count == 1 for _, _, count in rows)

    @invariant()
    def r11_the_list_and_the_audit_agree(self) -> None:
        with self.database.session() as session:
            listed = self.hands.keys.list(session, self.hands.organization_id, actor=SYSTEM)
            gone = self.hands.keys.list(
                session, self.hands.organization_id, actor=SYSTEM, deleted=True
            )
            events = [
                event
                for event in audit.events(session, self.hands.organization_id)
                if event.subject_type == "key" and event.subject_id != str(self.hands.own)
            ]
        for deleted, keys in ((False, listed), (True, gone)):
            assert {
                key.id: (key.name, key.generation) for key in keys if key.id != self.hands.own
            } == {
                key_id: (known.name, known.generation)
                for key_id, known in self.ledger.keys.items()
                if known.deleted == deleted
            }
        assert len(events) == self.ledger.changes, "one event for each change, no other"

    def _go(self, step: timedelta) -> None:
        self.clock.advance(step)
        self.ledger.seen(self.hands.process_clock.now())  # it may have nothing to look at it for

    def _asleep(self, key_id: UUID, error: BaseException) -> None:
        """Check that a refusal gives the reason there is."""
        known = self.ledger.keys[key_id]
        if known.deleted:
            assert isinstance(error, KeyNotFound)
        elif self.ledger.expired(key_id):
            assert isinstance(error, KeyExpired)
        else:
            assert known.disabled
            assert isinstance(error, KeyDisabled)

    def _deleted(self, key_id: UUID) -> None:
        self.ledger.end(key_id)
        self.ledger.keys[key_id].deleted = True
        self.ledger.changes += 1

    def _choose(self, policy: LeakPolicy) -> None:
        with self.database.session() as session:
            self.hands.leaks.set_policy(
                session, organization_id=self.hands.organization_id, policy=policy, actor=SYSTEM
            )

    def _leak(self, secret: str, url: str) -> bool:
        record = Record(SecretValue(secret), "keyhook_secret", url, "content")
        with self.database.session() as session:
            return self.hands.leaks.report(session, record, reporter=SYSTEM)


def test_rotation(database: Database) -> None:
    run_state_machine_as_test(
        lambda: Rotation(database, partial(Hands, database)),  # type: ignore[arg-type]  # any factory will do
        settings=settings(max_examples=100, stateful_step_count=30),
    )


def test_rotation_over_http(database: Database, app_settings: Settings) -> None:
    lend = partial(HandsOverHttp, database, settings=app_settings)
    run_state_machine_as_test(
        lambda: Rotation(database, lend),  # type: ignore[arg-type]  # as above
        settings=settings(max_examples=20, stateful_step_count=25),
    )
