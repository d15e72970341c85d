from uuid import uuid4

import pytest

from keystore.clock import ManualClock
from keystore.db import Database
from keystore.keys import Issued
from keystore.models import Organization
from tests.support.receiver import Answer, Receiver
from tests.webhooks.conftest import Publish, Subscribe
from webhooks import log
from webhooks.errors import DeliveryNotFound
from webhooks.models import DeliveryState
from webhooks.worker import Worker


@pytest.fixture
def five(receiver: Receiver, subscribe: Subscribe, publish: Publish, worker: Worker) -> None:
    """Five deliveries: 1 and 2 arrived, 3 is to be tried again, 4 and 5 have yet to be sent."""
    subscribe(receiver.url())
    publish(1)
    publish(2)
    worker.run_once()
    receiver.then(Answer(500, body=b"oh"))
    publish(3)
    worker.run_once()
    publish(4)
    publish(5)


def subjects(page: log.Page) -> list[str]:
    return [entry.event.subject for entry in page.entries]


@pytest.mark.usefixtures("five")
def test_deliveries_come_newest_first_in_pages(
    database: Database, organization: Organization
) -> None:
    with database.session() as session:
        first = log.deliveries(session, organization.id, size=2)
        second = log.deliveries(session, organization.id, size=2, before=first.next_before)
        third = log.deliveries(session, organization.id, size=2, before=second.next_before)
        whole = log.deliveries(session, organization.id, size=5)
    assert subjects(first) == ["note-5", "note-4"]
    assert subjects(second) == ["note-3", "note-2"]
    assert subjects(third) == ["note-1"]
    assert third.next_before is None
    assert (len(whole.entries), whole.next_before) == (5, None)


@pytest.mark.usefixtures("five")
def test_deliveries_can_be_picked_by_state(database: Database, organization: Organization) -> None:
    with database.session() as session:
        picked = {
            state.value: subjects(log.deliveries(session, organization.id, log.Filter(state=state)))
            for state in DeliveryState
        }
    assert picked == {
        "pending": ["note-5", "note-4", "note-3"],
        "delivered": ["note-2", "note-1"],
        "failed": [],
        "dropped": [],
    }


@pytest.mark.usefixtures("five")
@pytest.mark.parametrize("wanted", [log.Filter(event_type="note\0"), log.Filter(host="\0")])
def test_text_that_no_row_can_hold_picks_nothing(
    database: Database, organization: Organization, wanted: log.Filter
) -> None:
    with database.session() as session:
        assert log.deliveries(session, organization.id, wanted) == log.Page([], None)


@pytest.mark.usefixtures("five")
def test_a_story_has_every_attempt_in_order(
    database: Database, organization: Organization, worker: Worker, clock: ManualClock
) -> None:
    with database.session() as session:
        [third] = [
            entry.delivery.id
            for entry in log.deliveries(session, organization.id).entries
            if entry.event.subject == "note-3"
        ]
    clock.advance(3600)
    while worker.run_once():  # two at a time, as the last attempt failed
        pass
    with database.session() as session:
        story = log.story(session, third, organization_id=organization.id)
    assert [(one.number, one.status) for one in story.attempts] == [(1, 500), (2, 200)]
    assert story.entry.delivery.state == "delivered"
    assert story.entry.event.body == b'{"note": 3}'


@pytest.mark.usefixtures("five")
def test_a_stranger_sees_nothing(database: Database, organization: Organization) -> None:
    stranger = uuid4()
    with database.session() as session:
        page = log.deliveries(session, organization.id)
        theirs = log.deliveries(session, stranger)
        assert (theirs.entries, theirs.next_before) == ([], None)
        assert log.subscriptions(session, stranger) == []
        with pytest.raises(DeliveryNotFound):
            log.story(session, page.entries[0].delivery.id, organization_id=stranger)
        with pytest.raises(DeliveryNotFound):
            log.story(session, 10**9, organization_id=organization.id)


def test_subscriptions_come_with_their_keys_and_ended_ones_last(
    database: Database,
    subscribe: Subscribe,
    publish: Publish,
    receiver: Receiver,
    worker: Worker,
    organization: Organization,
    issued: Issued,
    clock: ManualClock,
) -> None:
    receiver.on("/gone", Answer(410))
    stays = subscribe(receiver.url("/stays")).subscription
    clock.advance(1)
    gone = subscribe(receiver.url("/gone")).subscription
    publish()
    worker.run_once()
    with database.session() as session:
        listed = log.subscriptions(session, organization.id)
    assert [one.subscription.id for one in listed] == [stays.id, gone.id]
    assert listed[1].subscription.ended_reason == "target gone"
    assert {one.key.name for one in listed} == {issued.key.name}
