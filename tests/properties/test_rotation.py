"""Whatever is done to keys in whatever order, exactly the expected secrets authenticate.

The model is a flat list of facts: this secret belongs to this key and is expected to work, or not.
After each step every secret ever issued is tried.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
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

from keystore import audit
from keystore.accounts import Accounts
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.credentials import ALPHABET, SecretValue
from keystore.db import Database
from keystore.errors import GenerationConflict, KeyNotFound, NameTaken
from keystore.keys import Issued, Keys, VerifiedKey
from keystore.vault import Vault
from tests.conftest import QUICK_HASHER


@dataclass
class Fact:
    """One secret that was once issued."""

    key_id: UUID
    client_key: str
    client_secret: str
    generation: int
    works: bool


@dataclass
class Known:
    """One key as its owner remembers it."""

    name: str
    generation: int
    deleted: bool = False


class Rotation(RuleBasedStateMachine):
    """Create, rename, regenerate (also twice at once), delete, let time pass and go back."""

    keys_made = Bundle("keys_made")

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        self.clock = ManualClock()
        self.keys = Keys(Vault([SecretValue("k" * 64)]), self.clock)
        self.facts: list[Fact] = []
        self.known: dict[UUID, Known] = {}
        self.changes = 0

    @initialize()
    def found_an_organization(self) -> None:
        with self.database.session() as session:
            self.organization = Accounts(self.clock, QUICK_HASHER).create_organization(
                session, name=str(uuid4()), actor=SYSTEM
            )

    @rule(target=keys_made, name=st.sampled_from(["Zapier", "n8n", "Make", "BI"]))
    def create(self, name: str) -> object:
        taken = any(known.name == name and not known.deleted for known in self.known.values())
        with self.database.session() as session:
            try:
                issued = self.keys.create(
                    session, organization_id=self.organization.id, name=name, actor=SYSTEM
                )
            except NameTaken:
                assert taken
                return multiple()
        assert not taken
        self.known[issued.key.id] = Known(name, 1)
        self._remember(issued)
        return issued.key.id

    @rule(key_id=keys_made, name=st.sampled_from(["Zapier", "n8n", "Sales", "Support"]))
    def rename(self, key_id: UUID, name: str) -> None:
        known = self.known[key_id]
        others = {k.name for i, k in self.known.items() if i != key_id and not k.deleted}
        try:
            with self.database.session() as session:
                self.keys.rename(
                    session, key_id, organization_id=self.organization.id, name=name, actor=SYSTEM
                )
        except KeyNotFound:
            assert known.deleted
        except NameTaken:
            assert name in others
        else:
            assert not known.deleted
            assert name not in others
            self.changes += known.name != name
            known.name = name

    @rule(key_id=keys_made, behind=st.integers(-1, 2))
    def regenerate(self, key_id: UUID, behind: int) -> None:
        """Regenerate, having seen the present generation, an older one, or one yet to come."""
        known = self.known[key_id]
        try:
            issued = self._regenerate(key_id, known.generation - behind)
        except KeyNotFound:
            assert known.deleted
        except GenerationConflict:
            assert behind != 0
        else:
            assert behind == 0
            assert not known.deleted
            self._replaced(issued)

    @rule(key_id=keys_made)
    def regenerate_twice_at_once(self, key_id: UUID) -> None:
        """Of two at once one wins; the other is told so and gets no secret."""
        known = self.known[key_id]
        won, lost = _at_once(lambda: self._regenerate(key_id, known.generation))
        if known.deleted:
            assert not won
            assert all(isinstance(error, KeyNotFound) for error in lost)
            return
        assert len(won) == 1
        assert [type(error) for error in lost] == [GenerationConflict]
        self._replaced(won[0])

    @rule(key_id=keys_made)
    def regenerate_and_delete_at_once(self, key_id: UUID) -> None:
        """Whichever comes first: in the end the key is deleted and no secret of it lives."""
        known = self.known[key_id]
        if known.deleted:
            return
        won, lost = _at_once(
            lambda: self._regenerate(key_id, known.generation), lambda: self._delete(key_id)
        )
        assert all(isinstance(error, KeyNotFound | GenerationConflict) for error in lost)
        for issued in won:
            if isinstance(issued, Issued):
                self._replaced(issued)
        self._forget(key_id)

    @rule(key_id=keys_made)
    def delete(self, key_id: UUID) -> None:
        try:
            self._delete(key_id)
        except KeyNotFound:
            assert self.known[key_id].deleted
        else:
            assert not self.known[key_id].deleted
            self._forget(key_id)

    @rule(hours=st.floats(-48, 48))
    def the_clock_steps(self, hours: float) -> None:
        self.clock.advance(timedelta(hours=hours))

    @invariant()
    def exactly_the_expected_secrets_authenticate(self) -> None:
        for fact in self.facts:
            verified = self._verify(fact.client_key, fact.client_secret)
            assert (verified is not None) == fact.works, fact
            if verified is not None:
                known = self.known[fact.key_id]
                assert (verified.key_id, verified.name) == (fact.key_id, known.name)
                assert verified.generation == fact.generation == known.generation

    @invariant()
    def no_secret_opens_another_key_and_no_typo_opens_any(self) -> None:
        for one, other in zip(self.facts, self.facts[1:], strict=False):
            if one.client_key != other.client_key:
                assert self._verify(one.client_key, other.client_secret) is None
        for fact in self.facts[-1:]:
            for place in (5, 30, -1):
                wrong = ALPHABET[ALPHABET.index(fact.client_secret[place]) - 1]
                typo = fact.client_secret[:place] + wrong + fact.client_secret[place:][1:]
                assert self._verify(fact.client_key, typo) is None

    @invariant()
    def the_list_and_the_audit_agree(self) -> None:
        with self.database.session() as session:
            listed = {key.id: key for key in self.keys.list(session, self.organization.id)}
        with self.database.session() as session:
            events = [
                event
                for event in audit.events(session, self.organization.id)
                if event.subject_type == "key"
            ]
        expected = {key_id: known for key_id, known in self.known.items() if not known.deleted}
        assert {i: (key.name, key.generation) for i, key in listed.items()} == {
            i: (known.name, known.generation) for i, known in expected.items()
        }
        assert len(events) == self.changes, "one event for each change, none for a refused one"

    def _remember(self, issued: Issued) -> None:
        self.changes += 1
        self.facts.append(
            Fact(
                issued.key.id,
                issued.key.client_key,
                issued.client_secret.reveal(),
                issued.key.generation,
                works=True,
            )
        )

    def _replaced(self, issued: Issued) -> None:
        self._kill(issued.key.id)
        self.known[issued.key.id].generation += 1
        self._remember(issued)

    def _forget(self, key_id: UUID) -> None:
        self._kill(key_id)
        self.known[key_id].deleted = True
        self.changes += 1

    def _kill(self, key_id: UUID) -> None:
        for fact in self.facts:
            fact.works = fact.works and fact.key_id != key_id

    def _regenerate(self, key_id: UUID, generation: int) -> Issued:
        with self.database.session() as session:
            return self.keys.regenerate(
                session,
                key_id,
                organization_id=self.organization.id,
                generation=generation,
                actor=SYSTEM,
            )

    def _delete(self, key_id: UUID) -> None:
        with self.database.session() as session:
            self.keys.delete(session, key_id, organization_id=self.organization.id, actor=SYSTEM)

    def _verify(self, client_key: str, client_secret: str) -> VerifiedKey | None:
        with self.database.reader.connect() as connection:
            return self.keys.verify(connection, client_key, client_secret)


def _at_once(*actions: Callable[[], Any]) -> tuple[list[Any], list[BaseException]]:
    """Run the actions (one of them twice, if there is only one) at the same moment."""
    if len(actions) == 1:
        actions = actions * 2
    start = threading.Barrier(len(actions))
    won: list[Any] = []
    lost: list[BaseException] = []

    def run(action: Callable[[], Any]) -> None:
        start.wait()
        try:
            won.append(action())
        except Exception as error:  # noqa: BLE001 - judged by the caller
            lost.append(error)

    threads = [threading.Thread(target=run, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return won, lost


def test_rotation(database: Database) -> None:
    run_state_machine_as_test(
        lambda: Rotation(database),  # type: ignore[arg-type]  # any factory will do
        settings=settings(max_examples=30, stateful_step_count=25),
    )
