"""The story of a key: created, renamed, regenerated, deleted; each step audited, none confused."""

from datetime import timedelta
from uuid import uuid4

import pytest

from keystore import audit
from keystore.audit import SYSTEM, Actor
from keystore.clock import ManualClock
from keystore.credentials import SecretValue
from keystore.db import Database
from keystore.errors import (
    AlreadyDone,
    BadExpiry,
    BadName,
    BadNetworks,
    BadScopes,
    GenerationConflict,
    KeyNotFound,
    NameMismatch,
    NameTaken,
)
from keystore.keys import Issued, Keys
from keystore.models import Organization
from keystore.vault import Vault
from keystore.verification import Verification, VerifiedKey

ADA = Actor("cli", "ada")


class Desk:
    """Somebody at the developer settings: each call is a request of its own."""

    def __init__(
        self,
        database: Database,
        keys: Keys,
        verification: Verification,
        organization: Organization,
    ) -> None:
        self.database = database
        self.keys = keys
        self.verification = verification
        self.organization = organization

    def create(self, name: str, **more: object) -> Issued:
        with self.database.session() as session:
            return self.keys.create(
                session,
                organization_id=self.organization.id,
                name=name,
                actor=ADA,
                **more,  # type: ignore[arg-type]
            )

    def rename(self, issued: Issued, name: str) -> None:
        with self.database.session() as session:
            self.keys.rename(
                session,
                issued.key.id,
                organization_id=self.organization.id,
                name=name,
                actor=ADA,
            )

    def regenerate(self, issued: Issued, generation: int) -> Issued:
        with self.database.session() as session:
            return self.keys.regenerate(
                session,
                issued.key.id,
                organization_id=self.organization.id,
                generation=generation,
                actor=ADA,
            )

    def delete(self, issued: Issued, confirm_name: str | None = None) -> None:
        with self.database.session() as session:
            self.keys.delete(
                session,
                issued.key.id,
                organization_id=self.organization.id,
                actor=ADA,
                confirm_name=confirm_name,
            )

    def names(self) -> list[str]:
        with self.database.session() as session:
            return [key.name for key in self.keys.list(session, self.organization.id, actor=ADA)]

    def verify(self, issued: Issued) -> VerifiedKey | None:
        return self.verification.by_secret(issued.key.client_key, issued.client_secret.reveal())

    def audited(self) -> list[str]:
        with self.database.session() as session:
            return [
                event.action
                for event in audit.events(session, self.organization.id)
                if event.subject_type == "key"
            ]


@pytest.fixture
def desk(
    database: Database, keys: Keys, verification: Verification, organization: Organization
) -> Desk:
    return Desk(database, keys, verification, organization)


def test_a_new_key_opens_the_door_and_says_whose_it_is(desk: Desk) -> None:
    issued = desk.create("  Zapier ", granted=frozenset({"meetings:read"}))

    verified = desk.verify(issued)

    assert verified is not None
    assert verified.name == "Zapier"
    assert verified.organization_name == "Northwind"
    assert verified.scopes == {"meetings:read"}
    assert verified.key_id == issued.key.id
    assert desk.audited() == ["key.created"]


def test_only_its_own_secret_opens_a_key(desk: Desk) -> None:
    one, other = desk.create("one"), desk.create("other")

    assert desk.verify(Issued(one.key, other.client_secret)) is None
    assert desk.verify(Issued(one.key, SecretValue(one.client_secret.reveal()[:-1]))) is None
    assert desk.verify(Issued(one.key, SecretValue(one.client_secret.reveal() + "\n"))) is None


def test_the_secret_is_not_in_the_database_only_its_digest_is(
    desk: Desk, database: Database
) -> None:
    issued = desk.create("Zapier")
    random_part = issued.client_secret.reveal()[23:55]

    with database.engine.connect() as connection:
        tables = [
            str(connection.exec_driver_sql(f"SELECT * FROM {table}").all())
            for table in ("keys", "secrets", "audit_events")
        ]

    assert "Zapier" in tables[0], "the scan must be able to find something"
    for start in range(len(random_part) - 8):
        assert random_part[start : start + 8] not in "".join(tables)


def test_renaming_changes_the_name_and_nothing_else(desk: Desk) -> None:
    issued = desk.create("Zapier")

    desk.rename(issued, "Zapier (sales)")

    assert desk.names() == ["Zapier (sales)"]
    verified = desk.verify(issued)
    assert verified is not None
    assert verified.generation == 1
    assert desk.audited() == ["key.created", "key.renamed"]


def test_renaming_to_the_same_name_is_nothing_to_audit(desk: Desk) -> None:
    desk.rename(desk.create("Zapier"), "Zapier")

    assert desk.audited() == ["key.created"]


def test_regenerating_kills_the_old_secret_and_keeps_the_rest(
    desk: Desk, clock: ManualClock
) -> None:
    old = desk.create("Zapier")
    clock.advance(60)

    new = desk.regenerate(old, generation=1)

    assert desk.verify(old) is None
    verified = desk.verify(new)
    assert verified is not None
    assert (verified.key_id, verified.name, verified.client_key, verified.generation) == (
        old.key.id,
        "Zapier",
        old.key.client_key,
        2,
    )
    assert new.key.secret_created_at == clock.now()
    assert new.key.created_at == old.key.created_at


def test_a_stale_generation_changes_nothing(desk: Desk) -> None:
    first = desk.create("Zapier")
    second = desk.regenerate(first, generation=1)

    with pytest.raises(GenerationConflict):
        desk.regenerate(first, generation=1)

    assert desk.verify(second) is not None
    assert desk.audited() == ["key.created", "key.regenerated"]


def test_a_deleted_key_is_gone_for_good(desk: Desk) -> None:
    issued = desk.create("Zapier")

    desk.delete(issued, confirm_name="Zapier")

    assert desk.verify(issued) is None
    assert desk.names() == []
    for again in (
        lambda: desk.delete(issued),
        lambda: desk.rename(issued, "x"),
        lambda: desk.regenerate(issued, generation=1),
    ):
        with pytest.raises(KeyNotFound):
            again()
    assert desk.audited() == ["key.created", "key.deleted"]


def test_deleting_asks_for_the_name(desk: Desk) -> None:
    issued = desk.create("Zapier")

    with pytest.raises(NameMismatch):
        desk.delete(issued, confirm_name="zapier")

    assert desk.verify(issued) is not None


def test_the_name_may_be_typed_on_any_keyboard(desk: Desk) -> None:
    issued = desk.create("Zürich")

    desk.delete(issued, confirm_name=" Zu\u0308rich ")

    assert desk.names() == []


def test_two_live_keys_never_share_a_name_but_a_deleted_one_frees_it(desk: Desk) -> None:
    first = desk.create("Zapier")
    other = desk.create("n8n")

    with pytest.raises(NameTaken):
        desk.create("Zapier")
    with pytest.raises(NameTaken):
        desk.rename(other, "Zapier")
    desk.delete(first)

    assert desk.verify(desk.create("Zapier")) is not None


def test_sending_the_same_form_twice_makes_one_key(desk: Desk) -> None:
    key_id = uuid4()
    issued = desk.create("Zapier", key_id=key_id)

    with pytest.raises(AlreadyDone):
        desk.create("Zapier", key_id=key_id)

    assert desk.names() == ["Zapier"]
    assert desk.verify(issued) is not None


@pytest.mark.parametrize("name", ["", "   ", "x" * 81, "a\x00b", "a\nb", "a\u202eb", "a\ud800b"])
def test_a_name_that_nobody_could_read_is_refused(desk: Desk, name: str) -> None:
    with pytest.raises(BadName):
        desk.create(name)

    assert desk.names() == []


def test_a_key_is_made_with_its_end_and_its_networks(desk: Desk, clock: ManualClock) -> None:
    until = clock.now() + timedelta(seconds=1)
    issued = desk.create("Zapier", expires_at=until, allowed=["203.0.113.0/24", "2001:db8::1"])

    found = desk.verify(issued)
    assert found is not None
    assert found.networks == ("203.0.113.0/24", "2001:db8::1/128")
    clock.advance(1)
    assert desk.verify(issued) is None


def test_no_key_is_made_that_would_be_dead_or_nowhere(desk: Desk, clock: ManualClock) -> None:
    with pytest.raises(BadExpiry):
        desk.create("Zapier", expires_at=clock.now())
    with pytest.raises(BadNetworks):
        desk.create("Zapier", allowed=["office"])

    assert desk.names() == []


def test_an_unknown_scope_is_named(desk: Desk) -> None:
    with pytest.raises(BadScopes, match="meetings:burn"):
        desk.create("Zapier", granted=frozenset({"meetings:read", "meetings:burn"}))


def test_another_organizations_key_is_not_there(desk: Desk, database: Database, keys: Keys) -> None:
    issued = desk.create("Zapier")

    with database.session() as session, pytest.raises(KeyNotFound):
        keys.get(session, issued.key.id, organization_id=uuid4(), actor=ADA)


def test_what_depends_on_a_key_is_told_in_the_same_transaction(
    database: Database, vault: Vault, clock: ManualClock, organization: Organization
) -> None:
    told: list[str] = []

    def refuse(_session: object, key: object, actor: Actor) -> None:
        told.append(actor.label)
        raise RuntimeError("the dependants could not be ended")

    keys = Keys(vault, clock, on_delete=[refuse])
    desk = Desk(database, keys, Verification(database, vault, clock), organization)
    issued = desk.create("Zapier")

    with pytest.raises(RuntimeError, match="dependants"):
        desk.delete(issued)

    assert told == [ADA.label]
    assert desk.verify(issued) is not None, "nothing was deleted"


def test_digests_of_a_former_secret_key_still_count(
    desk: Desk, database: Database, clock: ManualClock
) -> None:
    issued = desk.create("Zapier")
    newer = Vault([SecretValue("n" * 64), SecretValue("k" * 64)])
    forgetful = Vault([SecretValue("n" * 64)])

    desk.verification = Verification(database, newer, clock)
    assert desk.verify(issued) is not None
    desk.verification = Verification(database, forgetful, clock)
    assert desk.verify(issued) is None


def test_the_system_can_act_too(database: Database, keys: Keys, organization: Organization) -> None:
    with database.session() as session:
        issued = keys.create(session, organization_id=organization.id, name="x", actor=SYSTEM)
    with database.session() as session:
        assert [event.actor_kind for event in audit.events(session, organization.id)][-1] == (
            "system"
        )
    assert issued.key.created_by is None
