"""Whose a subscription is, and whether it still stands, before anything is done to it."""

from uuid import uuid4

import pytest

from keystore.db import Database, writing
from keystore.models import Organization
from keystore.scopes import DataScope, Rights
from tests.webhooks.conftest import EVERYTHING, End, Subscribe
from webhooks import held
from webhooks.errors import RightsLacking, SubscriptionEnded, SubscriptionNotFound

URL = "https://hooks.example.com/northwind"


def test_one_that_has_ended_is_found_and_not_held(
    database: Database, subscribe: Subscribe, unsubscribe: End, organization: Organization
) -> None:
    made = subscribe(URL).subscription
    with database.session() as session, writing(session):
        assert held.hold(session, made.id, organization.id).id == made.id
    unsubscribe(made.id)

    with database.session() as session, writing(session):
        assert held.find(session, made.id, organization.id).id == made.id
        with pytest.raises(SubscriptionEnded):
            held.hold(session, made.id, organization.id)


def test_another_organization_s_or_another_key_s_is_not_there(
    database: Database, subscribe: Subscribe, organization: Organization
) -> None:
    made = subscribe(URL).subscription
    with database.session() as session, writing(session):
        for look in (held.find, held.hold):
            with pytest.raises(SubscriptionNotFound):
                look(session, made.id, uuid4())
            with pytest.raises(SubscriptionNotFound):
                look(session, made.id, organization.id, uuid4())
            assert look(session, made.id, organization.id, made.key_id).id == made.id


def test_who_may_less_than_its_key_does_nothing_to_it(
    database: Database, subscribe: Subscribe, organization: Organization
) -> None:
    made = subscribe(URL).subscription
    less = Rights(frozenset({"webhooks:manage"}), DataScope.ORG_NON_PRIVATE)
    with database.session() as session, writing(session):
        subscription = held.hold(session, made.id, organization.id)
        held.cover(session, subscription, EVERYTHING)
        with pytest.raises(RightsLacking):
            held.cover(session, subscription, less)
