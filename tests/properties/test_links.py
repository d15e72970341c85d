"""The links in mails: in whatever order things happen, exactly the expected ones work, and once.

The model is a flat list of facts: this link, for this address, works strictly before this moment,
or is dead. After each step every link ever sent is opened, and any of them may be used.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from keystore import invitations, resets
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.credentials import SecretValue
from keystore.db import writing
from keystore.errors import AlreadyHere, LastAdmin, LinkOver, NoSuchInvitation
from keystore.models import Role, User
from keystore.services import Services
from tests.support.mailbox import letters

people = st.sampled_from(["bob", "cyd", "dan"])


@dataclass
class Fact:
    """One link that was once sent."""

    kind: str  # "invitation" or "reset"
    token: str
    who: str
    until: datetime
    dead: bool = False


class LinkLives(RuleBasedStateMachine):
    """Invite, withdraw, forget, change, leave, come back, use links, let time pass."""

    def __init__(self, services: Services, clock: ManualClock) -> None:
        super().__init__()
        self.services, self.clock = services, clock
        self.facts: list[Fact] = []
        self.users: dict[str, User] = {}
        self.away: set[str] = set()
        self.password = 0

    @initialize()
    def found_an_organization(self) -> None:
        self.domain = f"{uuid4().hex}.example"
        with self.services.db.session() as session:
            self.organization: UUID = self.services.accounts.found(
                session,
                name=str(uuid4()),
                email=self.address("ada"),
                password=self.a_password(),
                actor=SYSTEM,
            ).id

    @rule(who=people)
    def invite(self, who: str) -> None:
        try:
            with self.services.db.session() as session:
                self.services.invitations.invite(
                    session,
                    organization_id=self.organization,
                    email=self.address(who),
                    role=Role.MEMBER,
                    inviter="Ada",
                    actor=SYSTEM,
                )
        except AlreadyHere:
            assert who in self.users
            return
        assert who not in self.users
        self.kill("invitation", who)
        self.note("invitation", who, invitations.LIFETIME)

    @rule(who=people)
    def withdraw(self, who: str) -> None:
        with self.services.db.session() as session:
            listed = self.services.invitations.list(session, self.organization)
        for one in listed:
            if one.email == self.address(who):
                with self.services.db.session() as session:
                    self.services.invitations.withdraw(
                        session, one.id, organization_id=self.organization, actor=SYSTEM
                    )
                try:
                    with self.services.db.session() as session:
                        self.services.invitations.withdraw(
                            session, one.id, organization_id=self.organization, actor=SYSTEM
                        )
                except NoSuchInvitation:
                    pass
                else:
                    raise AssertionError("withdrawn twice")
        self.kill("invitation", who)

    @rule(who=people)
    def forget(self, who: str) -> None:
        if who not in self.users:
            return
        with self.services.db.session() as session, writing(session):
            user = session.get_one(User, self.users[who].id)
            self.services.resets.post(session, user, SYSTEM)
        self.note("reset", who, resets.LIFETIME)

    @rule(who=people)
    def change_the_password(self, who: str) -> None:
        if who not in self.users or who in self.away:
            return
        with self.services.db.session() as session:
            user = self.services.accounts.get(session, self.users[who].id)
            assert user is not None
            token = self.services.sessions.begin(session, user, address=None, agent="")
            found = self.services.sessions.find(session, token.reveal())
            assert found is not None
            self.services.people.change_password(
                session, user, self.a_password(), kept=found[0], actor=SYSTEM
            )
        self.kill("reset", who)

    @rule(who=people, comes=st.booleans())
    def leave_or_come_back(self, who: str, comes: bool) -> None:
        if who not in self.users:
            return
        change = self.services.people.activate if comes else self.services.people.deactivate
        with self.services.db.session() as session:
            try:
                change(
                    session,
                    self.users[who].id,
                    organization_id=self.organization,
                    actor=SYSTEM,
                )
            except LastAdmin:
                raise AssertionError("there is Ada") from None
        (self.away.discard if comes else self.away.add)(who)

    @rule(
        step=st.sampled_from(
            [resets.LIFETIME / 2, resets.LIFETIME, invitations.LIFETIME / 2, invitations.LIFETIME]
        )
    )
    def time_passes(self, step: timedelta) -> None:
        """By halves of their lives, so that their exact ends are met."""
        self.clock.advance(step)

    @precondition(lambda self: self.facts)
    @rule(data=st.data())
    def use(self, data: st.DataObject) -> None:
        fact = data.draw(st.sampled_from(self.facts))
        expected = self.works(fact)
        try:
            with self.services.db.session() as session:
                if fact.kind == "reset":
                    self.services.resets.use(session, fact.token, self.a_password())
                else:
                    self.users[fact.who] = self.services.invitations.accept(
                        session, fact.token, name=fact.who, password=self.a_password()
                    )
        except LinkOver:
            assert not expected, fact
            return
        assert expected, fact
        self.kill(fact.kind, fact.who)

    @invariant()
    def exactly_the_expected_links_work(self) -> None:
        for fact in self.facts:
            room = self.services.resets if fact.kind == "reset" else self.services.invitations
            other = self.services.invitations if fact.kind == "reset" else self.services.resets
            assert self.opens(room, fact.token) == self.works(fact), fact
            assert not self.opens(other, fact.token), "one kind is no good for the other"
            assert not self.opens(room, fact.token[:-1])
            assert not self.opens(room, fact.token + "0")

    def opens(self, room: invitations.Invitations | resets.Resets, token: str) -> bool:
        with self.services.db.session() as session:
            try:
                room.find(session, token)
            except LinkOver:
                return False
        return True

    def works(self, fact: Fact) -> bool:
        away = fact.kind == "reset" and fact.who in self.away
        return not fact.dead and self.clock.now() < fact.until and not away

    def note(self, kind: str, who: str, life: timedelta) -> None:
        known = {fact.token for fact in self.facts}
        [token] = {
            letter.token
            for letter in letters(self.services.db, self.services.vault)
            if letter.to == self.address(who)
            and ("\n\nhttp" in letter.text)
            and letter.token not in known
        }
        self.facts.append(Fact(kind, token, who, self.clock.now() + life))

    def kill(self, kind: str, who: str) -> None:
        for fact in self.facts:
            fact.dead = fact.dead or (fact.kind, fact.who) == (kind, who)

    def address(self, who: str) -> str:
        return f"{who}@{self.domain}"

    def a_password(self) -> SecretValue:
        self.password += 1
        return SecretValue(f"the password number {self.password}")


def test_links(services: Services, clock: ManualClock) -> None:
    run_state_machine_as_test(
        lambda: LinkLives(services, clock),  # type: ignore[arg-type]  # any factory will do
        settings=settings(max_examples=30, stateful_step_count=25),
    )
