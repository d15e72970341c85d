"""Subscribers hear of keys: of all of their organization, or of one person's, and of no others."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from connector.app import Parts
from keystore import scopes
from keystore.audit import SYSTEM
from keystore.keys import Issued
from keystore.models import Organization, User
from keystore.scopes import DataScope
from tests.connector.api.conftest import AddCaller
from webhooks.models import Delivery, DeliveryState, Event, Subscription

BOTH = ("keys:manage", "webhooks:manage")
TARGET = "https://hooks.zapier.com/hooks/standard/1/abc/"
Create = Callable[..., Issued]


@pytest.fixture
def create(parts: Parts, organization: Organization) -> Create:
    def create(name: str, **more: object) -> Issued:
        given = {"organization_id": organization.id, "actor": SYSTEM} | more
        with parts.services.db.session() as session:
            return parts.services.keys.create(session, name=name, **given)  # type: ignore[arg-type]

    return create


def told_of(caller: FlaskClient, event_type: str = "key.created") -> set[str]:
    """Return the names of the keys of which a caller sees events."""
    answer = caller.get(f"/v1/events/{event_type}/samples/?limit=100")
    assert answer.status_code == 200
    return {one["key"]["name"] for one in answer.get_json()}


def delivered(parts: Parts) -> list[tuple[str, DeliveryState]]:
    """Return what waits for subscribers: the key that each event is about, and its state."""
    with parts.services.db.session() as session, session.begin():
        rows = session.execute(
            select(Event.body, Delivery.state)
            .join(Delivery, Delivery.event_id == Event.id)
            .order_by(Delivery.id)
        ).all()
    return [(json.loads(body)["key"]["name"], state) for body, state in rows]


def subscribe(caller: FlaskClient, event_type: str) -> Any:
    return caller.post("/v1/webhooks/", json={"event_type": event_type, "target_url": TARGET})


def test_what_data_a_key_sees_is_of_no_matter_but_a_personal_one_hears_of_its_owner_s_keys(
    create: Create,
    add_caller: AddCaller,
    admin: User,
    member: User,
) -> None:
    personal = {"data": DataScope.USER_NON_PRIVATE}
    create("Ours")
    create("Ada's", owner_id=admin.id, **personal)
    create("Mel's", owner_id=member.id, **personal)

    everybody_s = {"Ours", "Ada's", "Mel's"}
    assert told_of(add_caller(*BOTH)) == everybody_s
    assert told_of(add_caller(*BOTH, data=DataScope.ORG_NON_PRIVATE)) == everybody_s
    assert told_of(add_caller(*BOTH, data=DataScope.USER_FULL, owner_id=admin.id)) == {"Ada's"}


@pytest.mark.parametrize("lacking", BOTH)
def test_nobody_hears_of_keys_who_could_not_manage_them(
    parts: Parts,
    create: Create,
    add_caller: AddCaller,
    member: User,
    lacking: str,
) -> None:
    all_but_one = scopes.OPERATIONS.keys() - {lacking}
    whole = add_caller(*scopes.OPERATIONS)
    for event_type in ("key.created", "key.expiring", "quota.near"):
        answer = subscribe(add_caller(*all_but_one), event_type)
        assert answer.status_code == 403
        assert f'scope="{lacking}"' in answer.headers["WWW-Authenticate"]
        # A member may hand to their own key neither this scope, nor events that need it.
        theirs = add_caller(*BOTH, data=DataScope.USER_FULL, owner_id=member.id)
        assert subscribe(theirs, event_type).status_code == 403
        assert subscribe(whole, event_type).status_code == 201
    create("Zapier")
    assert delivered(parts) == [("Zapier", DeliveryState.PENDING)]


def test_a_key_hears_nothing_of_its_own_end_and_others_do(
    parts: Parts,
    create: Create,
    add_caller: AddCaller,
    organization: Organization,
) -> None:
    ends, stays = create("Ends", granted=frozenset(BOTH)), create("Stays", granted=frozenset(BOTH))
    with parts.services.db.session() as session:
        for issued in (ends, stays):
            parts.hooks.subscriptions.subscribe(
                session,
                organization_id=organization.id,
                key_id=issued.key.id,
                event_type="key.revoked",
                target_url="http://127.0.0.1:9/",
                operations=frozenset(BOTH),
                actor=SYSTEM,
            )
    with parts.services.db.session() as session:
        parts.services.keys.delete(
            session, ends.key.id, organization_id=organization.id, actor=SYSTEM
        )
    with parts.services.db.session() as session, session.begin():
        heard = session.scalars(
            select(Subscription.key_id).join(Delivery, Delivery.subscription_id == Subscription.id)
        ).all()
    assert heard == [stays.key.id]


def test_another_organization_hears_nothing(
    create: Create,
    add_caller: AddCaller,
    parts: Parts,
) -> None:
    with parts.services.db.session() as session:
        other = parts.services.accounts.create_organization(session, name="Southwind", actor=SYSTEM)
    create("Ours")
    create("Theirs", organization_id=other.id)

    assert told_of(add_caller(*BOTH)) == {"Ours"}
    assert told_of(add_caller(*BOTH, organization_id=other.id)) == {"Theirs"}
