"""Whatever is done to keys and tokens in whatever order, exactly the expected tokens work.

The model is a flat list of facts: this token, of this key, with these scopes, works strictly before
this moment, or is dead. After each step every token ever issued is shown.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
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

from keystore import scopes
from keystore.accounts import Accounts
from keystore.audit import SYSTEM
from keystore.clock import ManualClock, rising
from keystore.credentials import SecretValue
from keystore.db import Database, writing
from keystore.keys import Issued, Keys
from keystore.models import Key
from keystore.tokens import LIFETIME, Tokens
from keystore.vault import Vault
from keystore.verification import Verification, VerifiedKey, VerifiedToken
from tests.conftest import QUICK_HASHER

some_scopes = st.frozensets(st.sampled_from(sorted(scopes.OPERATIONS)))


@dataclass
class Fact:
    """One token that was once issued."""

    key_id: UUID
    text: str
    scopes: frozenset[str]
    until: datetime
    works: bool = True


@dataclass
class Known:
    """One key as its owner remembers it."""

    issued: Issued
    scopes: frozenset[str]
    deleted: bool = False
    former: list[Issued] = field(default_factory=list)


class TokenLives(RuleBasedStateMachine):
    """Issue, revoke, regenerate, delete, change scopes, restart, let time pass and go back."""

    keys_made = Bundle("keys_made")

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        self.clock = ManualClock()
        self.vault = Vault([SecretValue("k" * 64)])
        self.facts: list[Fact] = []
        self.known: dict[UUID, Known] = {}
        self.highest = self.clock.now()
        self.restart()

    @initialize(target=keys_made)
    def found_an_organization(self) -> object:
        with self.database.session() as session:
            self.organization = Accounts(self.clock, QUICK_HASHER).create_organization(
                session, name=str(uuid4()), actor=SYSTEM
            )
        return multiple(self.create(frozenset(scopes.OPERATIONS)), self.create(frozenset()))

    @rule(target=keys_made, granted=some_scopes)
    def create(self, granted: frozenset[str]) -> UUID:
        with self.database.session() as session:
            issued = self.keys.create(
                session,
                organization_id=self.organization.id,
                name=str(uuid4()),
                granted=granted,
                actor=SYSTEM,
            )
        self.known[issued.key.id] = Known(issued, granted)
        return issued.key.id

    @rule(key_id=keys_made, each=st.lists(some_scopes, min_size=1, max_size=3))
    def issue_some(self, key_id: UUID, each: list[frozenset[str]]) -> None:
        for asked in each:
            self._issue(key_id, asked)

    def _issue(self, key_id: UUID, asked: frozenset[str]) -> None:
        known = self.known[key_id]
        proved = self._prove(known.issued)
        assert (proved is None) == known.deleted
        if proved is None:
            return
        with self.database.session() as session:
            token = self.tokens.issue(session, proved, asked)
        assert token.scopes == asked & known.scopes
        self.facts.append(
            Fact(key_id, token.text.reveal(), token.scopes, self.highest + token.lifetime)
        )

    @rule(key_id=keys_made)
    def regenerate(self, key_id: UUID) -> None:
        known = self.known[key_id]
        if known.deleted:
            return
        with self.database.session() as session:
            known.former.append(known.issued)
            known.issued = self.keys.regenerate(
                session,
                key_id,
                organization_id=self.organization.id,
                generation=known.issued.key.generation,
                actor=SYSTEM,
            )
        self._kill(key_id)
        assert all(self._prove(former) is None for former in known.former)

    @rule(key_id=keys_made)
    def delete(self, key_id: UUID) -> None:
        if self.known[key_id].deleted:
            return
        with self.database.session() as session:
            self.keys.delete(session, key_id, organization_id=self.organization.id, actor=SYSTEM)
        self.known[key_id].deleted = True
        self._kill(key_id)

    @rule(key_id=keys_made, granted=some_scopes)
    def change_scopes(self, key_id: UUID, granted: frozenset[str]) -> None:
        with self.database.session() as session, writing(session):
            key = session.get_one(Key, key_id)
            key.scopes = sorted(granted)
        self.known[key_id].scopes = granted

    @rule(data=st.data())
    def revoke(self, data: st.DataObject) -> None:
        if not self.facts:
            return
        fact = data.draw(st.sampled_from(self.facts))
        token = self._show(fact.text)
        assert (token is not None) == fact.works
        if token is not None:
            with self.database.session() as session:
                self.tokens.revoke(session, token)
            fact.works = False

    @rule(tenths=st.sampled_from([-12, -1, 1, 3, 9, 10, 11]))
    def the_clock_steps(self, tenths: int) -> None:
        """By tenths of a token's life, so that its exact end is met; and somebody calls then."""
        self.clock.advance(LIFETIME * tenths / 10)
        self.highest = max(self.highest, self.clock.now())
        self.process_clock.now()

    @rule()
    def restart(self) -> None:
        """A new process, which knows only what is in the database."""
        self.process_clock = rising(self.clock)
        self.keys = Keys(self.vault, self.process_clock)
        self.tokens = Tokens(self.vault, self.process_clock)
        self.verification = Verification(self.database, self.vault, self.process_clock)
        self.highest = self.clock.now()

    @invariant()
    def a1_a2_a5_a6_exactly_the_expected_tokens_work(self) -> None:
        for fact in self.facts:
            fact.works = fact.works and self.highest < fact.until
            token = self._show(fact.text)
            assert (token is not None) == fact.works, fact
            if token is not None:
                assert token.key.key_id == fact.key_id
                assert token.expires_at == fact.until
                assert token.expires_at - token.issued_at <= timedelta(hours=1)

    @invariant()
    def z1_no_token_may_do_more_than_it_asked_for_or_its_key_may(self) -> None:
        for fact in self.facts:
            token = self._show(fact.text)
            if token is not None:
                assert token.key.scopes == fact.scopes & self.known[fact.key_id].scopes

    def _kill(self, key_id: UUID) -> None:
        for fact in self.facts:
            fact.works = fact.works and fact.key_id != key_id

    def _prove(self, issued: Issued) -> VerifiedKey | None:
        secret = issued.client_secret.reveal()
        return self.verification.by_secret(issued.key.client_key, secret)

    def _show(self, text: str) -> VerifiedToken | None:
        return self.verification.by_token(text)


def test_tokens(database: Database) -> None:
    run_state_machine_as_test(
        lambda: TokenLives(database),  # type: ignore[arg-type]  # any factory will do
        settings=settings(max_examples=40, stateful_step_count=30),
    )
