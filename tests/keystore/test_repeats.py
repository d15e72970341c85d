"""A named request does its work once, and a repetition is told what was done."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from keystore.audit import SYSTEM, Actor
from keystore.calls import Call
from keystore.clock import ManualClock
from keystore.db import Database
from keystore.errors import GenerationConflict, NameReused, NameTaken
from keystore.keys import Issued, Keys
from keystore.models import AuditEvent, Key, Organization, Outcome, Secret
from keystore.repeat_models import NamedRequest
from keystore.repeats import KEPT, SWEPT_AT_ONCE, Repeated
from keystore.scopes import OPERATIONS
from tests.properties.together import Stop, dying_at

ALL = frozenset(OPERATIONS)


@pytest.fixture
def manager(database: Database, keys: Keys, organization: Organization) -> Issued:
    with database.session() as session:
        return keys.create(
            session,
            organization_id=organization.id,
            name="Terraform",
            granted=ALL,
            actor=SYSTEM,
        )


@pytest.fixture
def asking(database: Database, manager: Issued, clock: ManualClock) -> Actor:
    with database.session() as session:
        secret_id = session.scalars(select(Secret.id)).one()
    call = Call(clock.now(), ALL, 60, secret_id, name="a" * 64, content="b" * 64)
    return Actor("key", "Terraform", id=str(manager.key.id), call=call)


def later(actor: Actor, after: timedelta) -> Actor:
    assert actor.call is not None
    return replace(actor, call=replace(actor.call, at=actor.call.at + after))


def create(database: Database, keys: Keys, organization: Organization, actor: Actor) -> Issued:
    with database.session() as session:
        return keys.create(session, organization_id=organization.id, name="Zapier", actor=actor)


def regenerate(database: Database, keys: Keys, key: Key, actor: Actor) -> Issued:
    with database.session() as session:
        return keys.regenerate(
            session, key.id, organization_id=key.organization_id, generation=1, actor=actor
        )


def test_r9_a_repetition_is_told_what_was_done_and_does_nothing(
    database: Database, keys: Keys, organization: Organization, asking: Actor
) -> None:
    made = create(database, keys, organization, asking).key

    for after in (timedelta(0), timedelta(minutes=1), KEPT - timedelta(microseconds=1)):
        with pytest.raises(Repeated) as told:
            create(database, keys, organization, later(asking, after))
        assert (told.value.key_id, told.value.generation) == (made.id, 1)
    with pytest.raises(NameTaken):
        create(database, keys, organization, later(asking, KEPT))
    with database.session() as session, session.begin():
        refused = select(AuditEvent).where(AuditEvent.outcome == Outcome.REFUSED)
        assert len(session.scalars(refused).all()) == 1, "to be told is not to be refused"


def test_r9_a_repetition_that_has_seen_the_former_generation_is_no_conflict(
    database: Database, keys: Keys, organization: Organization, asking: Actor
) -> None:
    key = create(database, keys, organization, SYSTEM).key
    assert regenerate(database, keys, key, asking).key.generation == 2

    with pytest.raises(Repeated) as told:
        regenerate(database, keys, key, asking)
    assert told.value.generation == 2
    assert asking.call is not None
    other = replace(asking, call=replace(asking.call, name="c" * 64))
    with pytest.raises(GenerationConflict):
        regenerate(database, keys, key, other)


def test_r9_a_key_whose_secret_died_by_its_own_request_is_told_so_when_it_comes_again(
    database: Database, keys: Keys, manager: Issued, asking: Actor
) -> None:
    """Of two at once that had both been let in, one regenerates the key and the other is told."""
    regenerate(database, keys, manager.key, asking)

    with pytest.raises(Repeated):
        regenerate(database, keys, manager.key, asking)


def test_a_name_is_not_taken_for_another_request(
    database: Database, keys: Keys, organization: Organization, asking: Actor
) -> None:
    create(database, keys, organization, asking)

    assert asking.call is not None
    other = replace(asking, call=replace(asking.call, content="d" * 64))
    with pytest.raises(NameReused):
        create(database, keys, organization, other)


def test_r9_the_change_and_its_name_are_written_together_or_not_at_all(
    database: Database, keys: Keys, manager: Issued, asking: Actor
) -> None:
    statement = 0
    while True:
        statement += 1
        with dying_at(database.engine, statement) as died:
            try:
                regenerate(database, keys, manager.key, asking)
            except Stop:
                pass
            else:
                assert not died()
                break
        with database.session() as session, session.begin():
            assert session.scalar(select(func.count()).select_from(NamedRequest)) == 0
            assert session.get_one(Key, manager.key.id).generation == 1
    with pytest.raises(Repeated):
        regenerate(database, keys, manager.key, asking)
    assert statement > 5


def test_names_are_swept_out_when_their_day_is_over(
    database: Database, keys: Keys, manager: Issued, asking: Actor
) -> None:
    def rename(actor: Actor) -> None:
        with database.session() as session:
            keys.rename(
                session,
                manager.key.id,
                organization_id=manager.key.organization_id,
                name=uuid4().hex,
                actor=actor,
            )

    def kept() -> int:
        with database.session() as session, session.begin():
            return session.scalar(select(func.count()).select_from(NamedRequest)) or 0

    assert asking.call is not None
    for number in range(SWEPT_AT_ONCE + 2):
        rename(replace(asking, call=replace(asking.call, name=f"{number:064}")))
    assert kept() == SWEPT_AT_ONCE + 2
    rename(later(asking, KEPT))
    assert kept() == 3
