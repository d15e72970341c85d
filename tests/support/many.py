"""Thousands of subscriptions at once, each in all tables like one that was made properly."""

from collections.abc import Sequence
from typing import cast
from uuid import UUID, uuid4

from sqlalchemy import Table, insert, select

from keystore.db import Base, Database, writing
from keystore.vault import Vault
from webhooks.models import Attempt, Delivery, Subscription
from webhooks.seals import secret_context
from webhooks.subscriptions import Subscribed

_NOT_COPIED = {Delivery.__tablename__, Attempt.__tablename__}
_SUBSCRIPTIONS = cast("Table", Subscription.__table__)


def subscribe_many(
    database: Database, vault: Vault, first: Subscribed, urls: Sequence[str]
) -> list[UUID]:
    """Copy a subscription for each of these URLs, with its secret sealed anew."""
    original = first.subscription.id
    made = [uuid4() for _ in urls]
    if not made:
        return []
    with database.session() as session, writing(session):
        connection = session.connection()
        found = connection.execute(select(_SUBSCRIPTIONS).where(_SUBSCRIPTIONS.c.id == original))
        row = dict(found.one()._mapping)
        connection.execute(
            insert(_SUBSCRIPTIONS),
            [
                row
                | {
                    "id": one,
                    "target_url": url,
                    "secret_sealed": vault.seal(first.signing_secret, secret_context(one)),
                }
                for one, url in zip(made, urls, strict=True)
            ],
        )
        for table, column in _about_subscriptions():
            rows = [
                dict(one._mapping)
                for one in connection.execute(select(table).where(table.c[column] == original))
            ]
            if rows:
                copies = [one | {column: new} for new in made for one in rows]
                connection.execute(insert(table), copies)
    return made


def _about_subscriptions() -> list[tuple[Table, str]]:
    """Return the tables with rows about a subscription, and the columns that name it."""
    return [
        (table, key.parent.name)
        for table in Base.metadata.sorted_tables
        for key in table.foreign_keys
        if key.column.table is _SUBSCRIPTIONS and table.name not in _NOT_COPIED
    ]
