"""Whose a subscription is, and whether it still stands, before anything is done to it."""

from functools import partial
from uuid import UUID, uuid4

import pytest

from keystore import scopes
from keystore.audit import SYSTEM, Actor
from keystore.calls import Call
from keystore.clock import ManualClock
from keystore.db import Database, writing
from keystore.keys import Keys
from keystore.models import Organization
from keystore.scopes import DataScope, Rights
from keystore.vault import Vault
from keystore.verification import Verification
from tests.properties.together import interleaved
from tests.webhooks.conftest import ADA, EVERYTHING, End, Subscribe
from webhooks import held
from webhooks.errors import KeyEnded, RightsLacking, SubscriptionEnded, SubscriptionNotFound
from webhooks.subscriptions import Subscribed, Subscriptions

URL = "https://hooks.example.com/northwind"


def test_one_that_has_ended_is_found_and_not_held(
    database: Database, subscribe: Subscribe, unsubscribe: End, organization: Organization
) -> None:
    made = subscribe(URL).subscription
    with database.session() as session, writing(session):
        assert held.hold(session, made.id, organization.id, ADA).id == made.id
    unsubscribe(made.id)

    with database.session() as session, writing(session):
        assert held.find(session, made.id, organization.id).id == made.id
        with pytest.raises(SubscriptionEnded):
            held.hold(session, made.id, organization.id, ADA)


def test_another_organization_s_or_another_key_s_is_not_there(
    database: Database, subscribe: Subscribe, organization: Organization
) -> None:
    made = subscribe(URL).subscription
    with database.session() as session, writing(session):
        for look in (held.find, partial(held.hold, actor=ADA)):
            with pytest.raises(SubscriptionNotFound):
                look(session, made.id, organization_id=uuid4())
            with pytest.raises(SubscriptionNotFound):
                look(session, made.id, organization_id=organization.id, only_of=uuid4())
            own = look(session, made.id, organization_id=organization.id, only_of=made.key_id)
            assert own.id == made.id


def test_who_may_less_than_its_key_does_nothing_to_it(
    database: Database, subscribe: Subscribe, organization: Organization
) -> None:
    made = subscribe(URL).subscription
    less = Rights(frozenset({"webhooks:manage"}), DataScope.ORG_NON_PRIVATE)
    with database.session() as session, writing(session):
        subscription = held.hold(session, made.id, organization.id, ADA)
        held.cover(session, subscription, EVERYTHING)
        with pytest.raises(RightsLacking):
            held.cover(session, subscription, less)


def test_z1_once_a_secret_is_ended_no_subscription_comes_of_it(
    database: Database,
    keys: Keys,
    vault: Vault,
    clock: ManualClock,
    subscriptions: Subscriptions,
    organization: Organization,
) -> None:
    """Whatever the point at which the end comes: what is there then is all that there will be."""
    verification = Verification(database, vault, clock)
    statement, reached, left = 0, True, set()

    def count() -> int:
        with database.session() as session:
            return len(subscriptions.list(session, organization.id))

    while reached:
        statement += 1
        with database.session() as session:
            made = keys.create(
                session, organization_id=organization.id, name=str(statement), actor=SYSTEM
            )
        key = verification.by_secret(made.key.client_key, made.client_secret.reveal())
        assert key is not None
        call = Call(clock.now(), key.scopes, 60, key.secret_id)
        acting = Actor("key", key.name, id=str(key.key_id), call=call)

        def subscribe(acting: Actor = acting) -> Subscribed:
            with database.session() as session:
                return subscriptions.subscribe(
                    session,
                    organization_id=organization.id,
                    key_id=UUID(acting.id),
                    event_type="note.ready",
                    target_url=URL,
                    operations=scopes.DEFAULT,
                    actor=acting,
                )

        def end(acting: Actor = acting) -> int:
            with database.session() as session:
                keys.regenerate(
                    session,
                    UUID(acting.id),
                    organization_id=organization.id,
                    generation=1,
                    actor=SYSTEM,
                )
            return count()

        (came, there), reached = interleaved(database.engine, subscribe, end, statement)

        assert count() == there, statement
        assert isinstance(came, (Subscribed, KeyEnded)), came
        left.add(type(came))
    assert left == {Subscribed, KeyEnded}
