"""Two people act on one key, each in the middle of the other's transaction.

Whatever points these are, the outcome is one that could have come about had they acted in turn: the
same answers, the same secrets at work, one audit event for each change.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from uuid import UUID, uuid4

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from keystore import audit
from keystore.accounts import Accounts
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.db import Database
from keystore.keys import Issued, Keys
from keystore.leak_records import Record
from keystore.leaks import Leaks
from keystore.mail import Mails
from keystore.rotation import LeakPolicy
from keystore.vault import Vault
from keystore.verification import Verification
from tests.conftest import QUICK_HASHER
from tests.properties.together import Stop, dying_at, in_steps, interleaved

DAY = timedelta(days=1)


@dataclass
class Scene:
    """A key in an overlap, and the hands that can be laid on it."""

    database: Database
    keys: Keys
    leaks: Leaks
    verification: Verification
    clock: ManualClock
    organization_id: UUID
    key_id: UUID
    issued: list[Issued]
    seen: Issued = field(init=False)  # the newest secret, as far as anybody has seen

    def __post_init__(self) -> None:
        self.look()

    def look(self) -> None:
        """See what has been issued."""
        self.seen = max(self.issued, key=lambda one: one.key.generation)

    def act(self, name: str) -> object:
        """Do one thing, as a request of its own, by what was seen before."""
        generation = self.seen.key.generation
        where = {"organization_id": self.organization_id, "actor": SYSTEM}
        with self.database.session() as session:
            match name:
                case "compromised":
                    made = self.keys.regenerate(
                        session,
                        self.key_id,
                        generation=generation,
                        **where,  # type: ignore[arg-type]
                    )
                    self.issued.append(made)
                case "planned":
                    made = self.keys.regenerate(
                        session,
                        self.key_id,
                        generation=generation,
                        overlap=DAY,
                        **where,  # type: ignore[arg-type]
                    )
                    self.issued.append(made)
                case "finish":
                    self.keys.finish(session, self.key_id, **where)  # type: ignore[arg-type]
                case "rename":
                    self.keys.rename(session, self.key_id, name="Other", **where)  # type: ignore[arg-type]
                case "disable":
                    self.keys.disable(session, self.key_id, **where)  # type: ignore[arg-type]
                case "enable":
                    self.keys.enable(session, self.key_id, **where)  # type: ignore[arg-type]
                case "expire":
                    self.keys.set_expiry(
                        session,
                        self.key_id,
                        expires_at=self.clock.now() + DAY / 2,
                        **where,  # type: ignore[arg-type]
                    )
                case "leak":
                    record = Record(self.seen.client_secret, "secret", "", "content")
                    assert self.leaks.report(session, record, reporter=SYSTEM)
                case "delete":
                    self.keys.delete(session, self.key_id, **where)  # type: ignore[arg-type]
        return "done"

    def play(self, *names: str) -> list[object]:
        """Let these be done in turn, all by what was seen before the first; return the answers."""
        self.look()
        return [answer(self, name) for name in names]

    def outcome(self) -> tuple[object, ...]:
        """Return what can be seen of it from outside, without what differs by chance."""
        works = tuple(
            self.verification.by_secret(one.key.client_key, one.client_secret.reveal()) is not None
            for one in self.issued
        )
        with self.database.session() as session:
            keys = [
                (key.name, key.generation, key.expires_at, key.disabled_at, key.deleted_at)
                for deleted in (False, True)
                for key in self.keys.list(
                    session, self.organization_id, actor=SYSTEM, deleted=deleted
                )
            ]
            actions = sorted(event.action for event in audit.events(session, self.organization_id))
        return (works, keys, actions)


@pytest.fixture
def scene(database: Database, vault: Vault) -> Callable[[], Scene]:
    """Set the scene anew: one organization, one key, regenerated once with an overlap."""

    def make() -> Scene:
        clock = ManualClock()
        keys = Keys(vault, clock)
        with database.session() as session:
            organization = Accounts(clock, QUICK_HASHER).create_organization(
                session, name=str(uuid4()), actor=SYSTEM
            )
        where = {"organization_id": organization.id, "actor": SYSTEM}
        with database.session() as session:
            first = keys.create(session, name="Zapier", **where)  # type: ignore[arg-type]
        with database.session() as session:
            second = keys.regenerate(session, first.key.id, generation=1, overlap=DAY, **where)  # type: ignore[arg-type]
        leaks = Leaks(vault, clock, Mails(vault), "https://keyhook.example")
        with database.session() as session:
            leaks.set_policy(
                session, organization_id=organization.id, policy=LeakPolicy.KILL, actor=SYSTEM
            )
        return Scene(
            database,
            keys,
            leaks,
            Verification(database, vault, clock),
            clock,
            organization.id,
            first.key.id,
            [first, second],
        )

    return make


def answer(scene: Scene, name: str) -> object:
    try:
        return scene.act(name)
    except Exception as error:  # noqa: BLE001 - compared by its kind
        return type(error)


ACTIONS = ("compromised", "planned", "finish", "rename", "disable", "expire", "leak", "delete")


class TwoActors(RuleBasedStateMachine):
    """What one does after another, and what two do at once, statement by statement.

    Whatever went before is done again on scenes of their own, on which the two act in turn. In
    whichever order that comes to the same, it is what has happened.
    """

    actions = st.sampled_from([*ACTIONS, "enable"])

    def __init__(self, make: Callable[[], Scene]) -> None:
        super().__init__()
        self.make = make
        self.scene = make()
        self.past: list[Callable[[Scene], object]] = []

    @rule(name=actions)
    def one_acts(self, name: str) -> None:
        self.happens(lambda scene: scene.play(name))

    @rule(days=st.sampled_from([0.25, 0.5, 1.0]))
    def time_passes(self, days: float) -> None:
        self.happens(lambda scene: scene.clock.advance(days * DAY))

    @rule(
        first=actions,
        second=actions,
        order=st.lists(st.integers(0, 1), min_size=6, max_size=24),
    )
    def r3_two_act_at_once(self, first: str, second: str, order: list[int]) -> None:
        one, other = self.again(), self.again()
        in_one_turn = one.play(first, second)
        in_the_other = other.play(second, first)[::-1]
        self.scene.look()
        came = in_steps(
            self.scene.database.engine,
            [lambda: answer(self.scene, first), lambda: answer(self.scene, second)],
            order,
        )
        outcome = (*came, *self.scene.outcome())
        if outcome == (*in_one_turn, *one.outcome()):
            self.past.append(lambda scene: scene.play(first, second))
        else:
            assert outcome == (*in_the_other, *other.outcome())
            self.past.append(lambda scene: scene.play(second, first))

    def happens(self, what: Callable[[Scene], object]) -> None:
        what(self.scene)
        self.past.append(what)

    def again(self) -> Scene:
        """Return a scene on which all that has happened was done again."""
        scene = self.make()
        for what in self.past:
            what(scene)
        return scene


def test_r3_two_actors(scene: Callable[[], Scene]) -> None:
    run_state_machine_as_test(
        lambda: TwoActors(scene),  # type: ignore[arg-type]  # any factory will do
        settings=settings(max_examples=25, stateful_step_count=6),
    )


PAIRS = [
    ("compromised", "compromised"),
    ("planned", "compromised"),
    ("planned", "delete"),
    ("delete", "planned"),
    ("planned", "finish"),
    ("finish", "planned"),
    ("planned", "rename"),
    ("expire", "planned"),
    ("disable", "planned"),
    ("delete", "delete"),
    ("leak", "leak"),
    ("leak", "planned"),
    ("planned", "leak"),
    ("leak", "finish"),
    ("leak", "delete"),
    ("delete", "leak"),
    ("disable", "leak"),
]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_r3_two_at_once_are_as_two_in_turn(
    scene: Callable[[], Scene], first: str, second: str
) -> None:
    """On PostgreSQL alone: SQLite lets the second begin when the first has ended."""
    one, other = scene(), scene()
    possible = [
        (*one.play(first, second), *one.outcome()),
        (*reversed(other.play(second, first)), *other.outcome()),
    ]
    for statement in count(1):
        stage = scene()
        came, reached = interleaved(
            stage.database.engine,
            lambda stage=stage: answer(stage, first),  # type: ignore[misc]
            lambda stage=stage: answer(stage, second),  # type: ignore[misc]
            statement,
        )
        if not reached:
            break
        assert (*came, *stage.outcome()) in possible, f"at statement {statement}"
    assert statement > 3, "there was something to come between"


@pytest.mark.parametrize("name", ACTIONS)
def test_r10_a_crash_leaves_the_old_world_or_the_new_one(
    scene: Callable[[], Scene], name: str
) -> None:
    """At each statement and at the commit: what was issued in vain is nowhere, too."""
    before = scene().outcome()
    died = True
    statement = 0
    while died:
        statement += 1
        stage = scene()
        with dying_at(stage.database.engine, statement) as has_died:
            came = answer(stage, name)
        died = has_died()
        if died:
            assert came is Stop
            assert stage.outcome() == before, f"at statement {statement}"
        else:
            assert came == "done"
            assert stage.outcome() != before
    assert statement > 3, "there was something to break off"
