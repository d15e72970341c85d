"""Somebody leaves while something is done with their keys: nothing of theirs comes back with them.

Z1: a key never may more than its person, and stops with them, whoever was a moment faster.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from uuid import uuid4

import pytest

from keystore.accounts import Accounts
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.credentials import SecretValue
from keystore.db import Database
from keystore.errors import BadScopes, KeyDisabled
from keystore.grants import Grants
from keystore.keys import Issued, Keys
from keystore.mail import Mails
from keystore.models import Role, User
from keystore.people import People
from keystore.scopes import DataScope
from keystore.vault import Vault
from keystore.verification import Verification
from tests.conftest import PASSWORD, QUICK_HASHER
from tests.properties.together import interleaved

READ = frozenset({"meetings:read"})


@dataclass
class Scene:
    """Mel, her keys awake and asleep, and one of the organization that may become hers."""

    database: Database
    keys: Keys
    people: People
    grants: Grants
    verification: Verification
    mel: User
    awake: Issued
    asleep: Issued
    shared: Issued
    made: list[Issued]

    def act(self, name: str) -> object:
        where = {"organization_id": self.mel.organization_id, "actor": SYSTEM}
        personal = {"data": DataScope.USER_FULL, "owner_id": self.mel.id}
        more = where | personal
        with self.database.session() as session:
            match name:
                case "leave":
                    self.people.deactivate(session, self.mel.id, **where)  # type: ignore[arg-type]
                case "create":
                    self.made.append(self.keys.create(session, name="New", **more))  # type: ignore[arg-type]
                case "wake":
                    self.keys.enable(session, self.asleep.key.id, **where)  # type: ignore[arg-type]
                case "hand over":
                    self.grants.rescope(session, self.shared.key.id, granted=READ, **more)  # type: ignore[arg-type]
                case "narrow":
                    self.grants.rescope(session, self.awake.key.id, granted=READ, **more)  # type: ignore[arg-type]
                case "take away":
                    self.grants.rescope(
                        session,
                        self.awake.key.id,
                        granted=READ,
                        data=DataScope.ORG_NON_PRIVATE,
                        owner_id=None,
                        **where,  # type: ignore[arg-type]
                    )
                case "regenerate":
                    self.awake = self.keys.regenerate(
                        session,
                        self.awake.key.id,
                        generation=1,
                        **where,  # type: ignore[arg-type]
                    )
        return "done"

    def revived(self) -> list[str]:
        """Return which of Mel's keys work again when she does nothing but come back."""
        where = {"organization_id": self.mel.organization_id, "actor": SYSTEM}
        with self.database.session() as session:
            self.people.activate(session, self.mel.id, **where)  # type: ignore[arg-type]
        found = [
            self.verification.by_secret(one.key.client_key, one.client_secret.reveal())
            for one in (self.awake, self.asleep, self.shared, *self.made)
        ]
        return [one.name for one in found if one is not None and one.rights.person is not None]


@pytest.fixture
def scene(database: Database, vault: Vault) -> Callable[[], Scene]:
    """Set the scene anew."""

    def make() -> Scene:
        clock = ManualClock()
        keys, accounts = Keys(vault, clock), Accounts(clock, QUICK_HASHER)
        with database.session() as session:
            organization = accounts.create_organization(session, name=str(uuid4()), actor=SYSTEM)
            ada, mel = (
                accounts.create_user(
                    session,
                    organization_id=organization.id,
                    email=f"{uuid4()}@northwind.example",
                    name=role,
                    role=role,
                    password=SecretValue(PASSWORD),
                    actor=SYSTEM,
                )
                for role in (Role.ADMIN, Role.MEMBER)
            )
            where = {"organization_id": organization.id, "actor": SYSTEM, "created_by": ada.id}
            mels = {"data": DataScope.USER_FULL, "owner_id": mel.id}
            awake, asleep, shared = (
                keys.create(session, name=name, **where, **more)  # type: ignore[arg-type]
                for name, more in {"Awake": mels, "Asleep": mels, "Shared": {}}.items()
            )
            keys.disable(session, asleep.key.id, organization_id=organization.id, actor=SYSTEM)
        people, verification = (
            People(accounts, Mails(vault), clock, base_url=""),
            Verification(database, vault, clock),
        )
        grants = Grants(clock)
        return Scene(
            database, keys, people, grants, verification, mel, awake, asleep, shared, made=[]
        )

    return make


def answer(scene: Scene, name: str) -> object:
    try:
        return scene.act(name)
    except (BadScopes, KeyDisabled):
        return "refused"


OTHERS = ["create", "wake", "hand over", "narrow", "take away", "regenerate"]


@pytest.mark.parametrize("name", OTHERS)
def test_z1_what_becomes_of_a_key_before_its_person_leaves_ends_with_them(
    scene: Callable[[], Scene], name: str
) -> None:
    stage = scene()
    assert stage.act(name) == "done"
    stage.act("leave")

    assert stage.revived() == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("leaves_first", [True, False])
def test_z1_nothing_slips_through_while_its_person_leaves(
    scene: Callable[[], Scene], name: str, leaves_first: bool
) -> None:
    """On PostgreSQL alone: SQLite lets the second begin when the first has ended."""
    first, second = ("leave", name) if leaves_first else (name, "leave")
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
        left, other = came if leaves_first else reversed(came)
        assert left == "done", f"at statement {statement}"
        assert other in {"done", "refused"}, f"at statement {statement}"
        assert stage.revived() == [], f"at statement {statement}"
    assert statement > 3, "there was something to come between"
