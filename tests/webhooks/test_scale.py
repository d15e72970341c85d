"""Many subscriptions, one event: everyone gets it, once."""

from collections import Counter

from sqlalchemy import func, select

from keystore.db import Database
from keystore.vault import Vault
from tests.support.many import subscribe_many
from tests.support.receiver_process import receiver_process
from tests.webhooks.conftest import NOTE_GONE, MakeWorker, Publish, Subscribe
from tests.webhooks.test_worker import running, until
from webhooks.models import Attempt, Delivery

SUBSCRIPTIONS = 10_000
CROWD = 2_000


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
