from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import delete, select, text

from keystore.clock import ManualClock
from keystore.db import Database, writing
from keystore.models import Organization, User
from keystore.team_models import Team, TeamMember
from keystore.vault import Vault
from tests.support.many import subscribe_many
from tests.support.receiver import Receiver
from tests.support.statements import statements
from tests.webhooks.conftest import EVERYTHING, NOTE_GONE, NOTE_READY, Publish, Subscribe
from webhooks import audiences, outbox
from webhooks.choices import Choices
from webhooks.models import Delivery, Event
from webhooks.worker import Worker

URL = "https://hooks.example.com/northwind"


def deliveries(database: Database) -> list[Delivery]:
    with database.session() as session, session.begin():
        return list(session.scalars(select(Delivery).order_by(Delivery.id)))


def forget_what_was_read(database: Database) -> None:
    """Let PostgreSQL count anew what statements read."""
    with database.engine.begin() as connection:
        connection.execute(text("SELECT pg_stat_force_next_flush()"))
        connection.execute(text("SELECT pg_stat_reset()"))


def what_was_read(database: Database, question: str) -> Sequence[Any]:
    """Ask PostgreSQL what statements have read, once it has counted all of them."""
    with database.engine.connect() as connection:
        with connection.begin():
            connection.execute(text("SELECT pg_stat_force_next_flush()"))
        return connection.scalars(text(question)).all()


def test_an_event_goes_to_every_active_subscription_of_its_type(
    database: Database,
    subscribe: Subscribe,
    publish: Publish,
    clock: ManualClock,
    organization: Organization,
) -> None:
    first = subscribe(URL).subscription
    second = subscribe(URL).subscription
    subscribe(URL, "note.gone")
    event = publish()
    made = deliveries(database)
    assert sorted(one.subscription_id for one in made) == sorted([first.id, second.id])
    for one in made:
        assert (one.event_id, one.organization_id) == (event.id, organization.id)
        assert (one.state, one.attempts, one.throttles) == ("pending", 0, 0)
        assert one.due_at == one.created_at == clock.now()
        assert (one.lease_owner, one.lease_token, one.lease_until) == (None, None, None)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_publishing_is_planned_once_however_rare_its_type_is(
    database: Database, vault: Vault, subscribe: Subscribe, publish: Publish
) -> None:
    """Beside many subscriptions to another type, each value would be worth a plan of its own."""
    others = subscribe(URL, NOTE_GONE.name)
    subscribe_many(database, vault, others, [URL] * 2_000)
    subscribe(URL)
    database.analyze()
    for _ in range(20):  # the driver prepares what it has seen often, PostgreSQL then tries 5 plans
        publish()
    with database.engine.connect() as connection:
        prepared = connection.execute(
            text("SELECT statement, custom_plans, generic_plans FROM pg_prepared_statements")
        ).all()
    publishing = ("WITH happened AS", "INSERT INTO deliveries")
    plans = [rest for statement, *rest in prepared if statement.startswith(publishing)]
    assert [custom for custom, _ in plans] == [5, 5]
    assert all(generic > 5 for _, generic in plans)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_publishing_goes_to_the_database_and_back_twice_whether_it_wakes_somebody_or_not(
    database: Database, subscribe: Subscribe, publish: Publish
) -> None:
    subscribe(URL)
    counts = []
    for _ in range(2):
        with statements(database) as asked:
            publish()
        counts.append(len(asked))
    assert counts == [2, 2]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_nothing_is_read_from_end_to_end_though_there_was_nothing_when_rows_were_counted(
    database: Database, subscribe: Subscribe, publish: Publish, receiver: Receiver, worker: Worker
) -> None:
    """Plans are made once, when the tables are small, and kept as they grow."""
    with database.engine.begin() as connection:  # an earlier test may have counted its events
        connection.execute(text("TRUNCATE events CASCADE"))
    subscribe(receiver.url())
    database.analyze()
    forget_what_was_read(database)
    for _ in range(20):
        publish()
        assert worker.run_once() == 1
    read = what_was_read(database, "SELECT relname FROM pg_stat_user_tables WHERE seq_tup_read > 0")
    assert set(read) <= {"lanes"}, "of which all are looked at, by a sweep"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_an_event_is_looked_up_though_there_were_few_when_rows_were_counted(
    database: Database, subscribe: Subscribe, publish: Publish, receiver: Receiver, worker: Worker
) -> None:
    """To read a few from end to end, if by an index, may be the best plan as it is made."""
    rounds = 30
    subscribe(receiver.url())
    publish()
    worker.run_once()
    database.analyze()
    forget_what_was_read(database)
    for _ in range(rounds):
        publish()
        assert worker.run_once() == 1
    [read] = what_was_read(
        database, "SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = 'events'"
    )
    assert 0 < read < 4 * rounds, "a few for each delivery, not as many as there are"


def test_a_subscription_of_several_types_gets_each_once(
    database: Database, subscribe: Subscribe, publish: Publish
) -> None:
    both = subscribe(URL, ["note.gone", "note.ready"]).subscription
    events = [publish(event_type=NOTE_READY), publish(event_type=NOTE_GONE)]
    found = [(one.subscription_id, one.event_id) for one in deliveries(database)]
    assert found == [(both.id, event.id) for event in events]


def test_a_subscription_of_teams_gets_what_is_put_down_to_somebody_in_one(
    database: Database,
    subscribe: Subscribe,
    publish: Publish,
    organization: Organization,
    clock: ManualClock,
    admin: User,
    member: User,
) -> None:
    sales = Team(organization_id=organization.id, name="Sales", created_at=clock.now(), id=uuid4())
    support = Team(
        organization_id=organization.id, name="Support", created_at=clock.now(), id=uuid4()
    )
    with database.session() as session, writing(session):
        session.add_all([sales, support])
        session.flush()
        session.add(TeamMember(team_id=sales.id, user_id=member.id))
        session.add(TeamMember(team_id=support.id, user_id=member.id))
    everything = subscribe(URL).subscription
    of_both = subscribe(URL, chosen=Choices(teams=[sales.id, support.id])).subscription
    with database.session() as session, writing(session):
        audience = {
            who: audiences.show_to(
                session,
                organization_id=organization.id,
                subject=f"note-{number}",
                people=[admin.email, member.email],
                private=False,
                attributed=who,
            )
            for number, who in enumerate((admin.email, member.email, None))
        }
    got = {}
    for who, shown in audience.items():
        event = publish(audience=shown)
        got[who] = {one.subscription_id for one in deliveries(database) if one.event_id == event.id}
    assert got[admin.email] == got[None] == {everything.id}
    assert got[member.email] == {everything.id, of_both.id}
    publish(audience=None)
    assert deliveries(database)[-1].subscription_id == everything.id, "it is nobody's meeting"

    with database.session() as session, writing(session):
        session.execute(delete(TeamMember))
        session.execute(delete(Team))
    publish(audience=audience[member.email])
    assert len(deliveries(database)) == 6, "a team that is gone does not let everything through"


def test_an_event_of_another_organization_goes_nowhere(
    database: Database, subscribe: Subscribe, organization: Organization, clock: ManualClock
) -> None:
    subscribe(URL)
    other = Organization(id=uuid4(), name="Southwind", created_at=clock.now())
    with database.session() as session, writing(session):
        session.add(other)
        session.flush()
        outbox.publish(
            session,
            organization_id=other.id,
            event_type=NOTE_READY,
            audience=None,
            body=b"{}",
            subject="",
            now=clock.now(),
        )
    assert deliveries(database) == []


def test_event_and_deliveries_share_the_fate_of_the_caller_s_transaction(
    database: Database, subscribe: Subscribe, organization: Organization, clock: ManualClock
) -> None:
    subscribe(URL)

    def publish_and_fail() -> None:
        with database.session() as session, writing(session):
            outbox.publish(
                session,
                organization_id=organization.id,
                event_type=NOTE_READY,
                audience=None,
                body=b"{}",
                subject="",
                now=clock.now(),
            )
            raise RuntimeError

    with pytest.raises(RuntimeError):
        publish_and_fail()
    assert deliveries(database) == []
    with database.session() as session:
        assert outbox.recent(session, organization.id, "note.ready", 10, EVERYTHING) == []


def test_the_body_is_kept_byte_for_byte(
    database: Database, organization: Organization, clock: ManualClock
) -> None:
    body = b'{"b": 1.0,  "a": "\xc3\xa9\\u0000"}\n\x00\xff'
    with database.session() as session, writing(session):
        event = outbox.publish(
            session,
            organization_id=organization.id,
            event_type=NOTE_READY,
            audience=None,
            body=body,
            subject="note-1",
            now=clock.now(),
        )
    with database.session() as session, session.begin():
        assert session.get_one(Event, event.id).body == body


def test_recent_events_come_newest_first_and_without_any_subscriber(
    database: Database, publish: Publish, organization: Organization, clock: ManualClock
) -> None:
    published = []
    for number in range(4):
        published.append(publish(number).id)
        clock.advance(1)
    publish(9, event_type=NOTE_GONE)
    with database.session() as session:
        recent = outbox.recent(session, organization.id, "note.ready", 3, EVERYTHING)
        assert [event.id for event in recent] == published[:0:-1]
        assert [event.subject for event in recent] == ["note-3", "note-2", "note-1"]
        assert outbox.recent(session, uuid4(), "note.ready", 3, EVERYTHING) == []
