"""A key's secrets as rows; above all those that were made without a witness."""

from datetime import timedelta
from random import Random

import pytest
from sqlalchemy import select

from keystore import generations
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.credentials import SecretValue
from keystore.db import Database, writing
from keystore.errors import GenerationConflict
from keystore.generations import Generations
from keystore.keys import Issued, Keys
from keystore.models import Key, Organization, Secret
from keystore.rotation import NO_OVERLAP, SecretState, Successor
from keystore.vault import Vault
from keystore.verification import Verification

DAY = timedelta(days=1)
CURRENT, RETIRING, DEAD = SecretState


@pytest.fixture
def makes(vault: Vault) -> Generations:
    return Generations(vault, Random(3))


def succeed_unseen(
    database: Database, makes: Generations, issued: Issued, clock: ManualClock, former: timedelta
) -> SecretValue:
    """Replace the current secret as a leak does; the former one works for a while, or not."""
    until = clock.now() + former if former else None
    with database.session() as session, writing(session):
        key = session.get_one(Key, issued.key.id)
        successor = Successor(key.generation + 1, until)
        return makes.succeed(session, key, successor, clock.now(), seen=False)


def states(database: Database, issued: Issued) -> list[tuple[int, SecretState, bool]]:
    with database.session() as session, session.begin():
        rows = session.scalars(
            select(Secret).where(Secret.key_id == issued.key.id).order_by(Secret.generation)
        )
        return [(row.generation, row.state, row.seen) for row in rows]


def test_a_successor_may_be_one_that_nobody_saw(
    database: Database, makes: Generations, issued: Issued, clock: ManualClock
) -> None:
    succeed_unseen(database, makes, issued, clock, DAY)

    assert states(database, issued) == [(1, RETIRING, True), (2, CURRENT, False)]


def test_of_two_successors_at_once_the_second_is_refused_and_changes_nothing(
    database: Database, makes: Generations, issued: Issued, clock: ManualClock
) -> None:
    succeed_unseen(database, makes, issued, clock, NO_OVERLAP)
    before = states(database, issued)
    with database.session() as session, writing(session):
        key = session.get_one(Key, issued.key.id)
        with pytest.raises(GenerationConflict):
            makes.succeed(session, key, Successor(2, None), clock.now())

    assert states(database, issued) == before


@pytest.mark.parametrize(
    ("overlap", "old"), [(DAY, RETIRING), (timedelta(hours=1), RETIRING), (NO_OVERLAP, DEAD)]
)
def test_an_admin_who_regenerates_replaces_what_nobody_saw_and_may_spare_what_is_in_use(
    database: Database,
    makes: Generations,
    issued: Issued,
    organization: Organization,
    keys: Keys,
    vault: Vault,
    clock: ManualClock,
    overlap: timedelta,
    old: SecretState,
) -> None:
    unseen = succeed_unseen(database, makes, issued, clock, DAY)
    with database.session() as session:
        new = keys.regenerate(
            session,
            issued.key.id,
            organization_id=organization.id,
            generation=2,
            actor=SYSTEM,
            overlap=overlap,
        )

    assert states(database, issued) == [(1, old, True), (2, DEAD, False), (3, CURRENT, True)]
    verification = Verification(database, vault, clock)
    works = [
        verification.by_secret(issued.key.client_key, secret.reveal()) is not None
        for secret in (issued.client_secret, unseen, new.client_secret)
    ]
    assert works == [old is RETIRING, False, True]
    clock.advance(DAY - timedelta(microseconds=1))
    assert verification.by_secret(
        issued.key.client_key, issued.client_secret.reveal()
    ) is not None or (old is DEAD)
    clock.advance(timedelta(microseconds=1))
    assert verification.by_secret(issued.key.client_key, issued.client_secret.reveal()) is None


def test_a_key_that_has_come_to_its_end_has_no_current_secret(
    database: Database, issued: Issued, clock: ManualClock
) -> None:
    with database.session() as session, writing(session):
        found = generations.current(session, issued.key.id)
        assert found is not None
        assert found.generation == 1
        generations.kill(session, issued.key.id, clock.now(), *generations.ALIVE)

        assert generations.current(session, issued.key.id) is None
