"""Bodies without some parts: who gets which, and that what was left out goes nowhere."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from keystore import scopes
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.db import Database, writing
from keystore.keys import Issued
from keystore.models import Organization
from tests.support.receiver import Receiver
from tests.webhooks.conftest import EVERYTHING, MakeWorker
from webhooks import outbox, variants
from webhooks.catalog import Catalog, EventType
from webhooks.choices import Choices
from webhooks.models import Event, EventVariant
from webhooks.recovery import LAG, Recoveries
from webhooks.signing import shared_key, shared_mark
from webhooks.subscriptions import Subscribed, Subscriptions
from webhooks.switches import Switches

TALK = EventType(
    "talk",
    "Talk",
    "Sent when a talk is over.",
    {},
    {},
    frozenset(),
    {"transcript": frozenset({"said"}), "notes": frozenset({"html", "text"})},
)
BODY = {"subject": "Café", "said": "sw0rdfish", "html": "<p>", "text": "t"}


@pytest.fixture
def catalog() -> Catalog:
    catalog = Catalog()
    catalog.register(TALK)
    return catalog


class Desk:
    """Northwind subscribes, and something happens."""

    def __init__(
        self,
        database: Database,
        subscriptions: Subscriptions,
        organization: Organization,
        issued: Issued,
        clock: ManualClock,
    ) -> None:
        self.database = database
        self.where: dict[str, Any] = {"organization_id": organization.id, "actor": SYSTEM}
        self._subscriptions = subscriptions
        self._key_id = issued.key.id
        self._clock = clock

    def subscribe(self, url: str, *without: str) -> Subscribed:
        with self.database.session() as session:
            return self._subscriptions.subscribe(
                session,
                key_id=self._key_id,
                event_type=TALK.name,
                target_url=url,
                operations=scopes.DEFAULT,
                chosen=Choices(without=without),
                **self.where,
            )

    def choose(self, subscribed: Subscribed, *without: str) -> None:
        with self.database.session() as session:
            self._subscriptions.change(
                session,
                subscribed.subscription.id,
                caller=EVERYTHING,
                chosen=Choices(without=without),
                **self.where,
            )

    def unsubscribe(self, session: Session, subscribed: Subscribed) -> None:
        self._subscriptions.unsubscribe(session, subscribed.subscription.id, **self.where)

    def publish(self) -> Event:
        with self.database.session() as session, writing(session):
            return outbox.publish(
                session,
                organization_id=self.where["organization_id"],
                event_type=TALK,
                body=json.dumps(BODY).encode(),
                subject="",
                audience=None,
                now=self._clock.now(),
            )

    @property
    def kept(self) -> list[str]:
        with self.database.session() as session, session.begin():
            rows = select(EventVariant.without).order_by(EventVariant.without)
            return list(session.scalars(rows))


@pytest.fixture
def desk(
    database: Database,
    subscriptions: Subscriptions,
    organization: Organization,
    issued: Issued,
    clock: ManualClock,
) -> Desk:
    return Desk(database, subscriptions, organization, issued, clock)


def test_each_gets_what_it_does_not_do_without_and_the_signature_is_over_that(
    desk: Desk, receiver: Receiver, make_worker: MakeWorker
) -> None:
    desk.subscribe(receiver.url("/all"))
    bare = desk.subscribe(receiver.url("/bare"), "transcript", "notes")
    desk.subscribe(receiver.url("/quiet"), "transcript")
    desk.publish()
    make_worker().run_once()

    got = {one.path: one for one in receiver.requests}
    assert json.loads(got["/all"].body) == BODY
    assert got["/bare"].body == '{"subject":"Café"}'.encode()
    assert json.loads(got["/quiet"].body) == {"subject": "Café", "html": "<p>", "text": "t"}
    headers = got["/bare"].headers
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + got["/bare"].body
    mark = shared_mark(shared_key(bare.signing_secret.reveal()), signed)
    assert headers["webhook-signature"] == mark


def test_those_who_choose_alike_share_one_body_and_who_gets_all_needs_none(desk: Desk) -> None:
    desk.subscribe("https://hooks.example.com/all")
    desk.publish()
    assert desk.kept == []
    for number in range(3):
        desk.subscribe(f"https://hooks.example.com/{number}", "notes")
    desk.publish()
    assert desk.kept == ["notes"]


def test_what_waits_is_sent_as_it_was_chosen_when_it_happened(
    desk: Desk, receiver: Receiver, make_worker: MakeWorker
) -> None:
    subscribed = desk.subscribe(receiver.url("/hook"), "transcript")
    desk.publish()
    desk.choose(subscribed)
    desk.publish()
    make_worker().run_once()
    assert ["said" in json.loads(one.body) for one in receiver.requests] == [False, True]


def test_what_was_missed_is_recovered_without_what_is_not_wanted_now(
    desk: Desk,
    receiver: Receiver,
    make_worker: MakeWorker,
    clock: ManualClock,
    catalog: Catalog,
) -> None:
    subscribed = desk.subscribe(receiver.url("/hook"))
    identity, since = subscribed.subscription.id, clock.now()
    with desk.database.session() as session:
        Switches(clock).off(session, identity, **desk.where)
    desk.publish()
    desk.choose(subscribed, "transcript")
    clock.advance(LAG + timedelta(seconds=1))
    recoveries = Recoveries(clock, catalog)
    with desk.database.session() as session:
        Switches(clock).on(session, identity, **desk.where)
    with desk.database.session() as session:
        recoveries.start(session, identity, since=since, **desk.where)
    with desk.database.session() as session:
        assert recoveries.step(session) == 1
    make_worker().run_once()
    [one] = receiver.requests
    assert b"sw0rdfish" not in one.body
    assert json.loads(one.body)["text"] == "t"


def test_a_frozen_body_stays_as_it_is(desk: Desk) -> None:
    event = desk.publish()
    for whole in (b'{"said": "a", "text": "b"}', b'{"said": "a", "text": "c"}'):
        with desk.database.session() as session, writing(session):
            variants.freeze(session, TALK, [(event.id, whole)], ["transcript"])
    with desk.database.session() as session, session.begin():
        assert session.scalars(select(EventVariant.body)).one() == b'{"text":"b"}'
