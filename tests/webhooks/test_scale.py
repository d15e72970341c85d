"""Many subscriptions, one event: everyone gets it, once."""

from collections import Counter

from sqlalchemy import func, select

from keystore.db import Database
from keystore.vault import Vault
from tests.support.many import subscribe_many
from tests.support.receiver import Drip, Hang
from tests.support.receiver_process import receiver_process
from tests.webhooks.conftest import NOTE_GONE, MakeWorker, Publish, Subscribe
from tests.webhooks.running import running, until
from webhooks.models import Attempt, Delivery

SUBSCRIPTIONS = 10_000
CROWD = 2_000


GOOD, EVENTS = 8, 40


def count(database: Database, *conditions: object) -> int:
    with database.session() as session, session.begin():
        query = select(func.count()).select_from(Delivery).where(*conditions)  # type: ignore[arg-type]
        return session.scalars(query).one()


def test_one_publish_reaches_thousands_among_ten_thousand_subscriptions(
    database: Database,
    vault: Vault,
    subscribe: Subscribe,
    publish: Publish,
    make_worker: MakeWorker,
) -> None:
    with receiver_process() as receiver:
        others = subscribe(receiver.url("/other"), NOTE_GONE.name)
        crowd = subscribe(receiver.url("/0"))
        urls = [receiver.url("/other")] * (SUBSCRIPTIONS - CROWD - 1)
        subscribe_many(database, vault, others, urls)
        subscribe_many(database, vault, crowd, [receiver.url(f"/{n}") for n in range(1, CROWD)])
        event = publish()
        assert count(database) == CROWD
        with running(make_worker(slots=100, timeout=20.0)):
            until(lambda: count(database, Delivery.state == "delivered") == CROWD, seconds=120.0)
        receipts = receiver.receipts()
    assert Counter(one.path for one in receipts) == {f"/{number}": 1 for number in range(CROWD)}
    assert {one.message_id for one in receipts} == {f"evt_{event.id.hex}"}
    with database.session() as session, session.begin():
        assert session.scalars(select(func.count()).select_from(Attempt)).one() == CROWD


def test_eight_endpoints_get_everything_while_a_ninth_hangs_and_a_tenth_drips(
    database: Database,
    subscribe: Subscribe,
    publish: Publish,
    make_worker: MakeWorker,
) -> None:
    with receiver_process({"/hang": Hang(), "/drip": Drip(every=1.0)}) as receiver:
        # The bad ones come first in every line.
        bad = [subscribe(receiver.url(path)).subscription.id for path in ("/hang", "/drip")]
        for number in range(GOOD):
            subscribe(receiver.url(f"/good{number}"))
        events = [f"evt_{publish(number).id.hex}" for number in range(EVENTS)]
        # Far more is due for the bad ones than there are slots, and none of it ends meanwhile.
        with running(make_worker(slots=40, batch=10, timeout=120.0, grace=0.0)):
            until(lambda: count(database, Delivery.state == "delivered") == GOOD * EVENTS, 60.0)
        receipts = Counter((one.path, one.message_id) for one in receiver.receipts())
    for number in range(GOOD):
        for event in events:
            assert receipts[f"/good{number}", event] == 1
    assert count(database, Delivery.subscription_id.in_(bad), Delivery.attempts > 0) == 0
    assert count(database, Delivery.lease_token.is_not(None)) == 0, "given back at the end"
