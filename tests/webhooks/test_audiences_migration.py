"""Events that there are already get the audience of their meeting."""

from alembic import command
from sqlalchemy import inspect, select

from connector.meetings.links import Links
from connector.meetings.store import Meetings
from keystore.clock import ManualClock
from keystore.db import Database
from keystore.models import Organization
from keystore.vault import Vault
from tests.connector.meetings.support import NOTES, Product
from webhooks.models import Audience, AudiencePerson, Event

BEFORE = "0014"
#: The event types that there were.
EARLY = ("AINOTE", "meeting.ended", "new_conversation")


def known(database: Database) -> list[tuple[str, str, bool, tuple[str, ...]]]:
    """Return (event type, what it needs, whether private, people) of each event."""
    with database.session() as session, session.begin():
        people = {
            audience.id: tuple(
                session.scalars(
                    select(AudiencePerson.person)
                    .where(AudiencePerson.audience_id == audience.id)
                    .order_by(AudiencePerson.person)
                )
            )
            for audience in session.scalars(select(Audience))
        }
        found = session.execute(
            select(Event.type, Event.needs, Audience.private, Audience.id)
            .join(Audience, Audience.id == Event.audience_id)
            .where(Event.type.in_(EARLY))
            .order_by(Event.subject, Event.type)
        ).all()
        return [(kind, needs, private, people[at]) for kind, needs, private, at in found]


def test_what_was_published_before_is_for_those_who_take_part(
    database: Database, organization: Organization, clock: ManualClock, vault: Vault
) -> None:
    meetings = Meetings(clock, Links(vault, "https://keyhook.example"))
    product = Product(database, meetings, organization.id)
    product.put(notes=NOTES)
    product.put(organization.id, is_private=True, attendees=[])
    before = known(database)
    assert len(before) == 4
    assert {private for _, _, private, _ in before} == {False, True}

    command.downgrade(database._alembic(), BEFORE)
    assert "audiences" not in inspect(database.engine).get_table_names()
    database.upgrade()
    assert known(database) == before
