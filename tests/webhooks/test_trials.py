"""A subscriber tries a subscription out and sees what was sent and what came back."""

from collections.abc import Callable, Sequence
from uuid import UUID

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from keystore import scopes
from keystore.clock import ManualClock
from keystore.db import Database, writing
from keystore.keys import Issued
from keystore.models import Organization
from keystore.vault import Vault
from tests.support.receiver import Answer as Received
from tests.support.receiver import Receiver
from tests.webhooks.conftest import ADA, LOOPBACK, End, Subscribe
from webhooks.catalog import Catalog, EventType
from webhooks.choices import Choices, Verify
from webhooks.consent import Consent
from webhooks.errors import SubscriptionEnded, TooSoon, UnknownEventType
from webhooks.exchange import Answer, Exchange
from webhooks.models import Attempt, Delivery, Event, Subscription
from webhooks.signing import Signer
from webhooks.subscriptions import Subscriptions
from webhooks.trials import Trial, Trials

Try = Callable[..., Trial]


@pytest.fixture
def try_out(
    database: Database,
    vault: Vault,
    clock: ManualClock,
    catalog: Catalog,
    organization: Organization,
) -> Try:
    trials = Trials(vault, clock, catalog, Exchange(allow_networks=LOOPBACK))

    def try_out(subscription: Subscription, event_type: str | None = None) -> Trial:
        with database.session() as session:
            return trials.send(
                session,
                subscription.id,
                organization_id=organization.id,
                actor=ADA,
                event_type=event_type,
            )

    return try_out


def test_a_made_up_event_is_sent_signed_to_the_target_and_told_of(
    database: Database,
    subscribe: Subscribe,
    try_out: Try,
    receiver: Receiver,
    clock: ManualClock,
) -> None:
    own = Choices(headers={"authorization": "Bearer of-the-receiver"})
    made = subscribe(receiver.url("/hook"), chosen=own)
    receiver.then(Received(500, {"x-why": "tired"}, b"try later"))
    trial = try_out(made.subscription, "note.ready")
    [request] = receiver.requests
    assert (request.path, request.body, trial.body) == ("/hook", b'{"note":1}', b'{"note":1}')
    signed = Signer(made.signing_secret).headers(
        request.headers["webhook-id"], int(request.headers["webhook-timestamp"]), request.body
    )
    assert signed.items() <= request.headers.items()
    assert request.headers["authorization"] == "Bearer of-the-receiver"
    assert "of-the-receiver" not in str(trial.lines)
    outcome = trial.answer.outcome
    assert (outcome.status, outcome.excerpt, outcome.delivered) == (500, "try later", False)
    assert trial.answer.headers["x-why"] == "tired"

    clock.advance(5)
    assert try_out(made.subscription).body == b'{"type":"test.ping"}'
    with database.session() as session, session.begin():
        for table in (Event, Delivery, Attempt):
            assert session.scalar(select(func.count()).select_from(table)) == 0
        assert session.get_one(Subscription, made.subscription.id).failing_since is None


def test_what_is_made_up_lacks_the_same_parts(
    catalog: Catalog, subscribe: Subscribe, try_out: Try, receiver: Receiver
) -> None:
    sample, parts = {"subject": "Kick-off", "said": "Hello"}, {"transcript": frozenset({"said"})}
    catalog.register(EventType("talk", "", "", {}, sample, frozenset(), parts))
    less = subscribe(receiver.url(), "talk", chosen=Choices(without=["transcript"])).subscription
    assert try_out(less, "talk").body == receiver.requests[0].body == b'{"subject":"Kick-off"}'


class Watching(Exchange):
    """Sees that others can write while a target is waited for."""

    def __init__(self, database: Database) -> None:
        super().__init__(allow_networks=LOOPBACK)
        self.database = database
        self.session: Session | None = None

    def send(
        self,
        organization_id: UUID,
        url: str,
        lines: Sequence[str],
        body: bytes = b"",
        *,
        method: str = "POST",
    ) -> Answer:
        assert self.session is not None
        assert not self.session.in_transaction()
        with self.database.session() as session, writing(session):
            session.execute(update(Subscription).values(rate=7))
        return super().send(organization_id, url, lines, body, method=method)


def test_no_transaction_is_open_while_a_target_is_waited_for(
    database: Database,
    vault: Vault,
    clock: ManualClock,
    catalog: Catalog,
    organization: Organization,
    issued: Issued,
    subscribe: Subscribe,
    receiver: Receiver,
) -> None:
    exchange = Watching(database)
    made = subscribe(receiver.url()).subscription
    with database.session() as session:
        exchange.session = session
        Trials(vault, clock, catalog, exchange).send(
            session, made.id, organization_id=organization.id, actor=ADA
        )
    receiver.then(Received(200, {"WebHook-Allowed-Origin": "*"}))
    service = Subscriptions(
        vault, clock, catalog, LOOPBACK, consent=Consent(exchange, "https://keyhook.example.com")
    )
    with database.session() as session:
        exchange.session = session
        service.subscribe(
            session,
            organization_id=organization.id,
            key_id=issued.key.id,
            event_type="note.ready",
            target_url=receiver.url(),
            operations=scopes.DEFAULT,
            actor=ADA,
            verify=Verify.OPTIONS,
        )
    assert len(receiver.requests) == 2


def test_one_waits_a_little_between_two_trials(
    subscribe: Subscribe, try_out: Try, receiver: Receiver, clock: ManualClock
) -> None:
    one, two = (subscribe(receiver.url()).subscription for _ in range(2))
    try_out(one)
    clock.advance(3)
    with pytest.raises(TooSoon) as caught:
        try_out(one)
    assert caught.value.seconds == 2
    try_out(two)
    clock.advance(2)
    try_out(one)
    assert len(receiver.requests) == 3


def test_what_is_not_there_is_not_tried(
    subscribe: Subscribe, try_out: Try, receiver: Receiver, unsubscribe: End
) -> None:
    made = subscribe(receiver.url()).subscription
    with pytest.raises(UnknownEventType):
        try_out(made, "note.raedy")
    unsubscribe(made.id)
    with pytest.raises(SubscriptionEnded):
        try_out(made)
    assert receiver.requests == []
