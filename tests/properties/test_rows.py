"""What an operation on a key changes is compared column by column, in every row of every table.

The key and its twin have all that a key can have: an overlap, uses, a token, a subscription, a
spike, requests counted. The letters in the names are those of the list of invariants.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.app import Parts
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.db import Base
from keystore.errors import GenerationConflict, NameMismatch
from keystore.keys import Issued
from keystore.models import Organization
from keystore.scopes import DataScope

DAY = timedelta(days=1)
GRANTED = frozenset({"meetings:read", "webhooks:manage"})

Rows = Mapping[tuple[object, ...], Mapping[str, object]]
Act = Callable[[Parts, Session, UUID, dict[str, Any]], object]


@dataclass(frozen=True)
class Operation:
    """Something that is done to a key, and all that it may change."""

    act: Act
    changes: frozenset[str]


def operation(act: Act, *changes: str, events: int = 1) -> Operation:
    """`events`: how many there are, one for each thing that was changed."""
    audited = {f"audit_events +{events}", "audit_heads.length", "audit_heads.digest"}
    return Operation(act, frozenset({*changes, *audited}))


def refused(error: type[Exception], act: Callable[[], object]) -> None:
    with pytest.raises(error):
        act()


#: It is told to whoever has subscribed to such news.
PUBLISHED = "events +1"
SUCCEEDED = ("keys.generation", "keys.secret_created_at", "secrets +1", PUBLISHED)
OPERATIONS = {
    "rename": operation(
        lambda parts, session, key_id, where: parts.services.keys.rename(
            session, key_id, name="Renamed", **where
        ),
        "keys.name",
    ),
    "regenerate as compromised": operation(
        lambda parts, session, key_id, where: parts.services.keys.regenerate(
            session, key_id, generation=2, **where
        ),
        *SUCCEEDED,
        "secrets.state",
        "secrets.died_at",
    ),
    "regenerate as planned": operation(
        lambda parts, session, key_id, where: parts.services.keys.regenerate(
            session, key_id, generation=2, overlap=DAY, **where
        ),
        *SUCCEEDED,
        "secrets.state",
        "secrets.died_at",
        "secrets.until",
    ),
    "finish": operation(
        lambda parts, session, key_id, where: parts.services.keys.finish(session, key_id, **where),
        "secrets.state",
        "secrets.died_at",
    ),
    "let expire": operation(
        lambda parts, session, key_id, where: parts.services.keys.set_expiry(
            session, key_id, expires_at=parts.services.clock.now() + DAY / 4, **where
        ),
        "keys.expires_at",
        "secrets.until",
        "expiry_watches +1",
    ),
    "disable": operation(
        lambda parts, session, key_id, where: parts.services.keys.disable(session, key_id, **where),
        "keys.disabled_at",
        PUBLISHED,
    ),
    "delete": operation(
        lambda parts, session, key_id, where: parts.services.keys.delete(session, key_id, **where),
        "keys.deleted_at",
        PUBLISHED,
        "secrets.state",
        "secrets.died_at",
        "subscriptions.is_active",
        "subscriptions.ended_at",
        "subscriptions.ended_reason",
        "subscription_types -1",  # by which publish would find what has ended
        events=2,
    ),
    "regenerate what was regenerated": operation(
        lambda parts, session, key_id, where: refused(
            GenerationConflict,
            lambda: parts.services.keys.regenerate(session, key_id, generation=1, **where),
        )
    ),
    "delete under a wrong name": operation(
        lambda parts, session, key_id, where: refused(
            NameMismatch,
            lambda: parts.services.keys.delete(session, key_id, confirm_name="Zap", **where),
        )
    ),
    "rescope": operation(
        lambda parts, session, key_id, where: parts.services.grants.rescope(
            session,
            key_id,
            granted=frozenset({"notes:read"}),
            data=DataScope.ORG_NON_PRIVATE,
            owner_id=None,
            **where,
        ),
        "keys.scopes",
        "keys.data_scope",
    ),
    "hold to networks": operation(
        lambda parts, session, key_id, where: parts.services.grants.set_networks(
            session, key_id, allowed=["192.0.2.0/24"], **where
        ),
        "keys.networks",
    ),
    "limit": operation(
        lambda parts, session, key_id, where: parts.services.rates.set_limit(
            session, key_id, limit=7, **where
        ),
        "keys.rate_limit",
    ),
}


@pytest.fixture
def twins(parts: Parts, organization: Organization, clock: ManualClock) -> tuple[Issued, Issued]:
    """Two keys that have everything, the second one in its newest generation."""
    return furnished(parts, organization, clock, "One"), furnished(
        parts, organization, clock, "Other"
    )


def furnished(parts: Parts, organization: Organization, clock: ManualClock, name: str) -> Issued:
    services = parts.services
    where: dict[str, Any] = {"organization_id": organization.id, "actor": SYSTEM}

    def do(act: Callable[..., Any], *arguments: object, **more: object) -> Any:
        with services.db.session() as session:
            return act(session, *arguments, **where, **more)

    first = do(services.keys.create, name=name, granted=GRANTED, rate_limit=10)
    key_id = first.key.id
    issued: Issued = do(services.keys.regenerate, key_id, generation=1, overlap=DAY)
    do(
        services.rates.plan,
        key_id,
        starts_at=clock.now() + DAY,
        ends_at=clock.now() + 2 * DAY,
        limit=100,
        reason="Launch",
    )
    verified = services.verification.by_secret(issued.key.client_key, issued.client_secret.reveal())
    assert verified is not None
    services.uses.note(verified, address="192.0.2.1", agent="Zapier")
    services.uses.flush(services.db)
    services.limits.take(verified)
    with services.db.session() as session:
        services.tokens.issue(session, verified, GRANTED)
    do(
        parts.hooks.subscriptions.subscribe,
        key_id=key_id,
        event_type="meeting.ended",
        target_url="https://hooks.zapier.com/1",
        operations=GRANTED,
    )
    return issued


def everything(parts: Parts) -> dict[str, Rows]:
    """Return every row of every table, by its primary key."""
    found: dict[str, Rows] = {}
    with parts.services.db.engine.connect() as connection:
        for table in Base.metadata.sorted_tables:
            keys = [column.name for column in table.primary_key]
            found[table.name] = {
                tuple(row[name] for name in keys): dict(row)
                for row in connection.execute(select(table)).mappings()
            }
    return found


def changed(before: dict[str, Rows], after: dict[str, Rows]) -> dict[str, list[Mapping[str, Any]]]:
    """Return what is different (`table.column`, `table +1`, `table -1`), with the rows in which."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for table, rows in after.items():
        if gone := [row for key, row in before[table].items() if key not in rows]:
            found[f"{table} -{len(gone)}"] = gone
        new = [row for key, row in rows.items() if key not in before[table]]
        if new:
            found[f"{table} +{len(new)}"] = new
        for key, former in before[table].items():
            for column, value in former.items() if key in rows else ():
                if rows[key][column] != value:
                    found.setdefault(f"{table}.{column}", []).append(rows[key])
    return found


@pytest.mark.parametrize("name", OPERATIONS)
def test_r1_r2_i1_i2_an_operation_changes_its_own_columns_of_its_own_key_and_no_other(
    parts: Parts,
    organization: Organization,
    clock: ManualClock,
    twins: tuple[Issued, Issued],
    name: str,
) -> None:
    one, _ = twins
    clock.advance(60)
    before = everything(parts)

    with parts.services.db.session() as session:
        where = {"organization_id": organization.id, "actor": SYSTEM}
        OPERATIONS[name].act(parts, session, one.key.id, where)

    difference = changed(before, everything(parts))
    assert difference.keys() == OPERATIONS[name].changes
    subscribed = before["subscriptions"].values()
    own = {one.key.id, organization.id} | {
        row["id"] for row in subscribed if row["key_id"] == one.key.id
    }
    for place, rows in difference.items():
        for row in rows:
            named = row["id"] if place.startswith("keys.") else row.get("key_id")
            named = named or row.get("subscription_id")
            subject = UUID(row["subject_id"]) if "subject_id" in row else row.get("organization_id")
            assert (named or subject) in own, f"{place} of another key"
