"""Two people act on one key, the second in the middle of the first one's transaction.

Whatever point that is, the outcome is one that could have come about had they acted in turn: the
same answers, the same secrets at work, one audit event for each change.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from uuid import UUID, uuid4

import pytest

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
from tests.properties.together import Stop, dying_at, interleaved

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

    def act(self, name: str) -> object:
        """Do one thing, as a request of its own; `generation` is what the person has seen."""
        where = {"organization_id": self.organization_id, "actor": SYSTEM}
        with self.database.session() as session:
            match name:
                case "compromised":
                    made = self.keys.regenerate(session, self.key_id, generation=2, **where)  # type: ignore[arg-type]
                    self.issued.append(made)
                case "planned":
                    made = self.keys.regenerate(
                        session,
                        self.key_id,
                        generation=2,
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
                case "expire":
                    self.keys.set_expiry(
                        session,
                        self.key_id,
                        expires_at=self.clock.now() + DAY / 2,
                        **where,  # type: ignore[arg-type]
                    )
                case "leak":
                    record = Record(self.issued[1].client_secret, "secret", "", "content")
                    assert self.leaks.report(session, record, reporter=SYSTEM)
                case "delete":
                    self.keys.delete(session, self.key_id, **where)  # type: ignore[arg-type]
        return "done"

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


def in_turn(scene: Scene, names: tuple[str, str]) -> tuple[object, ...]:
    came = [answer(scene, name) for name in names]
    return (*came, *scene.outcome())


def answer(scene: Scene, name: str) -> object:
    try:
        return scene.act(name)
    except Exception as error:  # noqa: BLE001 - compared by its kind
        return type(error)


ACTIONS = ("compromised", "planned", "finish", "rename", "disable", "expire", "leak", "delete")


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
    one, other = in_turn(scene(), (first, second)), in_turn(scene(), (second, first))
    possible = [one, (other[1], other[0], *other[2:])]
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
