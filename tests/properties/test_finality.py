"""What was issued once is never issued again, and what was deleted does not come back."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.credentials import PUBLIC_LENGTH
from keystore.db import Base, Database
from keystore.errors import AlreadyDone, KeyNotFound
from keystore.keys import Issued, Keys
from keystore.models import Organization
from keystore.vault import Vault
from keystore.verification import Verification


class Repeating:
    """A broken source of randomness: it draws from these letters in turn, again and again."""

    def __init__(self, *letters: str) -> None:
        self.letters = letters
        self.drawn = 0

    def choices(self, population: str, *, k: int) -> list[str]:
        letter = self.letters[self.drawn % len(self.letters)]
        self.drawn += 1
        return [population[population.index(letter)]] * k


Make = Callable[..., Issued]


@pytest.fixture
def make(database: Database, vault: Vault, clock: ManualClock, organization: Organization) -> Make:
    def create(name: str, random: Repeating, **more: Any) -> Issued:
        with database.session() as session:
            return Keys(vault, clock, random).create(
                session, organization_id=organization.id, name=name, actor=SYSTEM, **more
            )

    return create


def rows(database: Database, table: str) -> Sequence[Any]:
    with database.engine.connect() as connection:
        return connection.execute(select(Base.metadata.tables[table])).mappings().all()


def test_i3_a_deleted_key_s_secret_is_dead_whatever_is_tried_and_its_row_stays(
    database: Database, keys: Keys, verification: Verification, issued: Issued
) -> None:
    key = issued.key
    where: dict[str, Any] = {"organization_id": key.organization_id, "actor": SYSTEM}
    with database.session() as session:
        keys.delete(session, key.id, **where)
    left = rows(database, "keys"), rows(database, "secrets")
    tries: list[Callable[[Session], object]] = [
        lambda session: keys.enable(session, key.id, **where),
        lambda session: keys.set_expiry(session, key.id, expires_at=None, **where),
        lambda session: keys.regenerate(session, key.id, generation=1, **where),
        lambda session: keys.rename(session, key.id, name="Again", **where),
        lambda session: keys.delete(session, key.id, **where),
    ]

    for attempt in tries:
        with database.session() as session, pytest.raises(KeyNotFound):
            attempt(session)
        secret = issued.client_secret.reveal()
        assert verification.by_secret(key.client_key, secret) is None

    assert (rows(database, "keys"), rows(database, "secrets")) == left
    [tombstone] = left[0]
    assert (tombstone["name"], tombstone["client_key"]) == (key.name, key.client_key)


def test_i3_no_identifier_of_a_deleted_key_is_issued_again(
    database: Database, keys: Keys, make: Make
) -> None:
    first = make("First", Repeating("a", "b"))
    where: dict[str, Any] = {"organization_id": first.key.organization_id, "actor": SYSTEM}
    with database.session() as session:
        keys.delete(session, first.key.id, **where)

    with pytest.raises(AlreadyDone):
        make("Second", Repeating("c", "d"), key_id=first.key.id)
    with pytest.raises(IntegrityError):  # its Client Key
        make("Second", Repeating("a", "d"))

    assert len(rows(database, "keys")) == 1


def test_s4_no_secret_is_issued_twice_not_even_to_the_same_key(
    database: Database, vault: Vault, clock: ManualClock, verification: Verification, make: Make
) -> None:
    """The digest is unique over all time: a broken source of randomness revives no dead secret."""
    key = (first := make("Zapier", Repeating("a", "b"))).key
    where: dict[str, Any] = {"organization_id": key.organization_id, "actor": SYSTEM}

    def regenerate(letter: str, generation: int) -> Issued:
        with database.session() as session:
            return Keys(vault, clock, Repeating(letter)).regenerate(
                session, key.id, generation=generation, **where
            )

    second = regenerate("c", 1)
    with pytest.raises(IntegrityError):
        regenerate("b", 2)

    assert verification.by_secret(key.client_key, first.client_secret.reveal()) is None
    assert verification.by_secret(key.client_key, second.client_secret.reveal()) is not None


def test_s3_nothing_of_a_secret_is_kept_but_its_digest(database: Database, make: Make) -> None:
    """So no hint lowers what is to be guessed: all 165 bits of the random part."""
    make("One", Repeating("a", "c"))
    make("Two", Repeating("b", "d"))
    one, other = rows(database, "secrets")

    different = {name for name, value in one.items() if value != other[name]}

    assert different == {"id", "key_id", "digest"}
    key, twin = rows(database, "keys")
    assert {name for name, value in key.items() if value != twin[name]} == {
        "id",
        "client_key",
        "name",
    }
    assert key["client_key"] == "khk" + PUBLIC_LENGTH * "a", "the public part tells nothing of it"
