"""Events, subscribers, moods of receivers and deaths of workers, in any order: nothing is lost.

The model is a list of what has to be delivered: each event to each subscription that was active
when it was published. Whatever happens, the table has exactly these deliveries, each is told by its
log, and none is stuck: in the end everything has arrived, was given up after all attempts, or is
for nobody any more.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from keystore import scopes
from keystore.accounts import Accounts
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.db import Database, writing
from keystore.keys import Keys
from keystore.vault import Vault
from tests.properties.together import Stop, dying_at
from tests.support.receiver import Answer, Behaviour, CloseEarly, Receiver
from tests.webhooks.conftest import LOOPBACK, NOTE_READY
from webhooks import outbox
from webhooks.catalog import Catalog
from webhooks.models import Attempt, Delivery, DeliveryState, Subscription
from webhooks.retry import CONTRACT
from webhooks.subscriptions import Subscriptions
from webhooks.worker import Worker

MOODS: dict[str, Behaviour] = {
    "well": Answer(),
    "sick": Answer(500),
    "patient": Answer(503, {"Retry-After": "7200"}),
    "busy": Answer(429, {"Retry-After": "20"}),
    "rude": CloseEarly(),
    "gone": Answer(410),
}
MOST_SUBSCRIPTIONS = 3
ENDLESS = 80  # steps of an hour after which whatever still waits is stuck
_names = count(1)


class Deliveries(RuleBasedStateMachine):
    """One organization; one worker at a time, which may die at any statement or commit."""

    def __init__(
        self, database: Database, vault: Vault, clock: ManualClock, receiver: Receiver
    ) -> None:
        super().__init__()
        self.database, self.vault, self.receiver = database, vault, receiver
        self.clock = clock  # goes on from one example to the next, as their database does
        catalog = Catalog()
        catalog.register(NOTE_READY)
        self.subscriptions = Subscriptions(vault, self.clock, catalog, LOOPBACK)
        with database.session() as session:
            organization = Accounts(self.clock).create_organization(
                session, name=f"Northwind {next(_names)}", actor=SYSTEM
            )
        with database.session() as session:
            issued = Keys(vault, self.clock).create(
                session, organization_id=organization.id, name="Zapier", actor=SYSTEM
            )
        self.organization_id, self.key_id = organization.id, issued.key.id
        self.worker = self._hire()
        self.paths: dict[UUID, str] = {}
        self.due: list[tuple[UUID, UUID]] = []  # event, subscription: the model
        # Which rules there are hangs on the rules before alone, never on what came over the wire:
        # the same choices have to lead to the same ones.
        self.has_published = False
        self.final: dict[int, DeliveryState] = {}

    @precondition(lambda self: len(self.paths) < MOST_SUBSCRIPTIONS)
    @rule(mood=st.sampled_from(sorted(MOODS)))
    def subscribe(self, mood: str) -> None:
        path = f"/{next(_names)}"
        self.receiver.on(path, MOODS[mood])
        with self.database.session() as session:
            subscribed = self.subscriptions.subscribe(
                session,
                organization_id=self.organization_id,
                key_id=self.key_id,
                event_type=NOTE_READY.name,
                target_url=self.receiver.url(path),
                operations=scopes.DEFAULT,
                actor=SYSTEM,
            )
        self.paths[subscribed.subscription.id] = path

    @precondition(lambda self: self.paths)
    @rule(data=st.data(), mood=st.sampled_from(sorted(MOODS)))
    def change_mood(self, data: st.DataObject, mood: str) -> None:
        self.receiver.on(data.draw(st.sampled_from(list(self.paths.values()))), MOODS[mood])

    @precondition(lambda self: self.paths)
    @rule(data=st.data())
    def unsubscribe(self, data: st.DataObject) -> None:
        which = data.draw(st.sampled_from(list(self.paths)))
        with self.database.session() as session:
            self.subscriptions.unsubscribe(
                session, which, organization_id=self.organization_id, actor=SYSTEM
            )

    @rule(events=st.integers(1, 3))
    def publish(self, events: int) -> None:
        self.has_published = True
        wanted = [one.id for one in self._rows(Subscription) if one.is_active]
        for number in range(events):
            with self.database.session() as session, writing(session):
                event = outbox.publish(
                    session,
                    organization_id=self.organization_id,
                    event_type=NOTE_READY,
                    body=b'{"note": %d}' % number,
                    subject="note",
                    audience=None,
                    now=self.clock.now(),
                )
            self.due += [(event.id, one) for one in wanted]

    @precondition(lambda self: self.has_published)
    @rule()
    def work(self) -> None:
        self.worker.run_once()

    @precondition(lambda self: self.has_published)
    @rule(statement=st.integers(1, 22))
    def die(self, statement: int) -> None:
        with dying_at(self.database.engine, statement), suppress(Stop):
            self.worker.run_once()
        self.worker.close()
        self.worker = self._hire()

    @rule(minutes=st.sampled_from([0.2, 2, 12, 100, 700, 2000]))
    def wait(self, minutes: float) -> None:
        self.clock.advance(timedelta(minutes=minutes))

    @invariant()
    def nothing_is_lost_and_nothing_invented(self) -> None:
        rows = self._rows(Delivery)
        assert Counter((one.event_id, one.subscription_id) for one in rows) == Counter(self.due)

    @invariant()
    def the_log_tells_each_delivery(self) -> None:
        requests = Counter((one.path, one.headers["webhook-id"]) for one in self.receiver.requests)
        deliveries = self._rows(Delivery)
        logs = self._attempts([one.id for one in deliveries])
        active = {one.id for one in self._rows(Subscription) if one.is_active}
        for one in deliveries:
            log = logs[one.id]
            assert [attempt.number for attempt in log] == list(range(1, one.attempts + 1))
            path = self.paths[one.subscription_id]
            assert requests[path, f"evt_{one.event_id.hex}"] >= len(log)
            successes = [attempt for attempt in log if attempt.status == 200]
            match one.state:
                case DeliveryState.DELIVERED:
                    assert log[-1:] == successes
                    assert len(successes) == 1
                case DeliveryState.FAILED:
                    assert one.attempts - one.throttles == len(CONTRACT) + 1
                case DeliveryState.DROPPED:
                    assert one.subscription_id not in active
                case DeliveryState.PENDING:
                    assert not successes
            assert (one.finished_at is None) == (one.state == DeliveryState.PENDING)
            assert self.final.get(one.id, one.state) == one.state, "what is over stays over"
            if one.state != DeliveryState.PENDING:
                self.final[one.id] = one.state
                assert one.lease_token is None or one.state == DeliveryState.DROPPED

    def teardown(self) -> None:
        """Let everybody be well, and see that all that waits comes to its end."""
        for path in self.paths.values():
            self.receiver.on(path, Answer())
        for _ in range(ENDLESS):
            while self.worker.run_once():
                pass
            if all(one.state != DeliveryState.PENDING for one in self._rows(Delivery)):
                break
            self.clock.advance(timedelta(hours=1))
        self.worker.close()
        stuck = [one.id for one in self._rows(Delivery) if one.state == DeliveryState.PENDING]
        assert stuck == []
        self.nothing_is_lost_and_nothing_invented()
        self.the_log_tells_each_delivery()

    def _hire(self) -> Worker:
        return Worker(
            self.database,
            self.vault,
            self.clock,
            allow_networks=LOOPBACK,
            timeout=5.0,
            slots=8,
            batch=4,
        )

    def _rows(self, table: Any) -> list[Any]:
        with self.database.session() as session, session.begin():
            mine = table.organization_id == self.organization_id
            return list(session.scalars(select(table).where(mine).order_by(table.id)))

    def _attempts(self, ids: list[int]) -> dict[int, list[Attempt]]:
        found: dict[int, list[Attempt]] = {one: [] for one in ids}
        with self.database.session() as session, session.begin():
            query = select(Attempt).where(Attempt.delivery_id.in_(ids)).order_by(Attempt.id)
            for attempt in session.scalars(query):
                found[attempt.delivery_id].append(attempt)
        return found


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def test_deliveries(
    database: Database, vault: Vault, clock: ManualClock, receiver: Receiver
) -> None:
    run_state_machine_as_test(
        lambda: Deliveries(database, vault, clock, receiver),  # type: ignore[arg-type]  # any factory
        settings=settings(
            max_examples=15, stateful_step_count=25, phases=[Phase.reuse, Phase.generate]
        ),
    )
