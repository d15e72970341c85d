"""Northwind has subscribed to `note.ready`, and its receiver listens on loopback."""

import json
from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_network
from typing import Any
from uuid import UUID

import pytest

from keystore import scopes
from keystore.audit import SYSTEM, Actor
from keystore.clock import Clock, ManualClock
from keystore.credentials import SecretValue
from keystore.db import Database, writing
from keystore.keys import Issued
from keystore.models import Organization
from keystore.scopes import DataScope, Rights
from keystore.vault import Vault
from tests.support.receiver import Receiver
from tests.webhooks.desk import Desk
from webhooks import outbox
from webhooks.catalog import Catalog, EventType
from webhooks.models import Event, Subscription
from webhooks.signing_secrets import SigningSecrets
from webhooks.subscriptions import Subscribed, Subscriptions
from webhooks.worker import Worker

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
NOTE_READY = EventType(
    name="note.ready",
    title="Note ready",
    summary="Sent when somebody has finished a note.",
    schema={"type": "object", "required": ["note"]},
    sample={"note": 1},
    scopes=frozenset({"notes:read"}),
)
NOTE_GONE = EventType(
    "note.gone", "Note gone", "Sent when a note was thrown away.", {}, {}, frozenset()
)

EVERYTHING = Rights(frozenset(scopes.OPERATIONS), DataScope.ORG_FULL)

Subscribe = Callable[..., Subscribed]
Publish = Callable[..., Event]
MakeWorker = Callable[..., Worker]
End = Callable[[UUID], Subscription]
ADA = Actor("cli", "ada")


@pytest.fixture
def catalog() -> Catalog:
    catalog = Catalog()
    catalog.register(NOTE_READY)
    catalog.register(NOTE_GONE)
    return catalog


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def subscriptions(vault: Vault, clock: Clock, catalog: Catalog) -> Subscriptions:
    return Subscriptions(vault, clock, catalog, LOOPBACK)


@pytest.fixture
def subscribe(
    database: Database, subscriptions: Subscriptions, organization: Organization, issued: Issued
) -> Subscribe:
    def subscribe(
        url: str, event_type: str | Sequence[str] = NOTE_READY.name, **more: Any
    ) -> Subscribed:
        with database.session() as session:
            return subscriptions.subscribe(
                session,
                organization_id=organization.id,
                key_id=issued.key.id,
                event_type=event_type,
                target_url=url,
                operations=scopes.DEFAULT,
                actor=SYSTEM,
                **more,
            )

    return subscribe


@pytest.fixture
def unsubscribe(
    database: Database, subscriptions: Subscriptions, organization: Organization
) -> End:
    def unsubscribe(subscription_id: UUID) -> Subscription:
        with database.session() as session:
            return subscriptions.unsubscribe(
                session, subscription_id, organization_id=organization.id, actor=ADA
            )

    return unsubscribe


@pytest.fixture
def signing_secrets(vault: Vault, clock: Clock) -> SigningSecrets:
    return SigningSecrets(vault, clock)


@pytest.fixture
def set_secret(
    database: Database, signing_secrets: SigningSecrets, organization: Organization
) -> Callable[[str], SecretValue]:
    """Key the contract's header of all of Northwind."""

    def set_secret(text: str) -> SecretValue:
        with database.session() as session:
            return signing_secrets.set_for_organization(
                session, text, organization_id=organization.id, actor=ADA
            )

    return set_secret


@pytest.fixture
def publish(database: Database, clock: Clock, organization: Organization) -> Publish:
    def publish(
        number: int = 1,
        *,
        event_type: EventType = NOTE_READY,
        audience: int | None = None,
        organization_id: UUID = organization.id,
    ) -> Event:
        with database.session() as session, writing(session):
            return outbox.publish(
                session,
                organization_id=organization_id,
                event_type=event_type,
                body=json.dumps({"note": number}).encode(),
                subject=f"note-{number}",
                audience=audience,
                now=clock.now(),
            )

    return publish


@pytest.fixture
def make_worker(
    database: Database, vault: Vault, clock: Clock, catalog: Catalog
) -> Iterator[MakeWorker]:
    """Workers that may reach loopback, and give up on a receiver after a second."""
    made: list[Worker] = []

    def make(**changes: object) -> Worker:
        options: dict[str, object] = {
            "allow_networks": LOOPBACK,
            "timeout": 1.0,
            "slots": 50,
            "catalog": catalog,
        }
        worker = Worker(database, vault, clock, **(options | changes))  # type: ignore[arg-type]
        made.append(worker)
        return worker

    yield make
    for worker in made:
        worker.close()


@pytest.fixture
def worker(make_worker: MakeWorker) -> Worker:
    return make_worker()


@pytest.fixture
def desk(database: Database, clock: ManualClock, subscribe: Subscribe) -> Desk:
    subscribe("https://hooks.example.com/northwind")
    return Desk(database, clock)
