"""What is told of a meeting carries the meeting's audience, always the present one."""

from uuid import uuid4

from sqlalchemy import select

from tests.connector.meetings.support import ANA, BEN, MEETING, NOTES, Product, read
from webhooks.models import Audience, AudiencePerson, Event


def audience(product: Product) -> tuple[bool, set[str]] | None:
    """Return what is known of the first meeting's: (private, people)."""
    with product.database.session() as session, session.begin():
        found = session.scalars(
            select(Audience).where(
                Audience.organization_id == product.sight.organization_id,
                Audience.subject == str(MEETING),
            )
        ).one_or_none()
        if found is None:
            return None
        of_events = session.scalars(
            select(Event.audience_id).where(Event.subject == str(MEETING)).distinct()
        ).all()
        assert of_events in ([found.id], [])
        people = select(AudiencePerson.person).where(AudiencePerson.audience_id == found.id)
        return found.private, set(session.scalars(people))


def test_an_event_is_for_those_who_take_part(product: Product) -> None:
    product.put(organizer_email="  Ana@Northwind.EXAMPLE".strip(), is_private=True, notes=NOTES)
    assert audience(product) == (True, {ANA, BEN})
    assert len(product.events()) == 4


def test_people_are_known_by_both_spellings_of_a_letter_that_has_two(product: Product) -> None:
    product.put(attendees=[{"email": "Große@x.example", "response_status": "accepted"}])
    assert audience(product) == (False, {ANA, "große@x.example", "grosse@x.example"})


def test_a_meeting_that_changes_takes_its_events_along(product: Product) -> None:
    product.put()
    assert audience(product) == (False, {ANA, BEN})
    product.put(is_private=True)
    assert audience(product) == (True, {ANA, BEN})
    product.put(is_private=True, attendees=[])
    assert audience(product) == (True, {ANA})
    product.put(attendees=[{"email": "new@x.example", "response_status": "accepted"}])
    assert audience(product) == (False, {ANA, "new@x.example"})
    assert sorted(kind for kind, _ in product.events()) == [
        "meeting.ended",
        "privacy.changed",
        "privacy.changed",
    ]


def test_history_that_nobody_is_told_of_changes_what_was_told_before(product: Product) -> None:
    def silently(**changes: object) -> None:
        records = [(MEETING, read(**changes)), (uuid4(), read())]
        with product.database.session() as session:
            product.meetings.save_many(session, product.sight, records, publish=False)

    silently()
    assert audience(product) is None
    product.put(notes=NOTES)
    silently(is_private=True)
    assert audience(product) == (True, {ANA, BEN})
