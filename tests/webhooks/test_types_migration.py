"""Subscriptions that there are already keep their event type, and go on being found under it."""

from alembic import command
from sqlalchemy import select, text

from keystore.db import Database
from tests.webhooks.conftest import NOTE_GONE, End, Publish, Subscribe
from webhooks.models import Delivery, Subscription, SubscriptionType

URL = "https://hooks.example.com/northwind"
BEFORE = "0019"


def test_each_keeps_its_type_or_the_first_of_several(
    database: Database, subscribe: Subscribe, unsubscribe: End, publish: Publish
) -> None:
    several = subscribe(URL, ["note.gone", "note.ready"]).subscription
    one = subscribe(URL).subscription
    ended = subscribe(URL).subscription
    unsubscribe(ended.id)

    command.downgrade(database._alembic(), BEFORE)
    with database.engine.connect() as connection:
        before = connection.execute(text("SELECT event_type FROM subscriptions")).scalars()
        assert sorted(before) == ["note.gone", "note.ready", "note.ready"]
    database.upgrade()

    with database.session() as session, session.begin():
        stored = {row.id: row.types for row in session.scalars(select(Subscription))}
        live = set(session.scalars(select(SubscriptionType.subscription_id)))
    assert stored == {
        several.id: ("note.gone",),
        one.id: ("note.ready",),
        ended.id: ("note.ready",),
    }
    assert live == {several.id, one.id}
    publish(event_type=NOTE_GONE)
    with database.session() as session, session.begin():
        assert session.scalars(select(Delivery.subscription_id)).all() == [several.id]
