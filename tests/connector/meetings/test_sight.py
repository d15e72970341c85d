"""Who sees less than the whole organization: everything else is not there, whatever is asked."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest

from connector.meetings.errors import MeetingNotFound, TranscriptNotFound
from connector.meetings.queries import MeetingsQuery, NotesQuery
from connector.meetings.sight import Sight
from keystore.scopes import DataScope, Reach, Rights
from tests.connector.meetings.support import NOTES, TRANSCRIPT, Product

MEL = "Mel@Northwind.example"
NOWHERE = UUID("b7f1a2c3-0000-4000-8000-0000000000ff")
ALWAYS: dict[str, Any] = {
    "from_date": datetime(2000, 1, 1, tzinfo=UTC),
    "to_date": datetime(2100, 1, 1, tzinfo=UTC),
}
OWN, OWN_PRIVATE = "own", "own, private"
OTHERS, OTHERS_PRIVATE = "others'", "others', private"
SEEN = {
    DataScope.USER_NON_PRIVATE: {OWN},
    DataScope.USER_FULL: {OWN, OWN_PRIVATE},
    DataScope.ORG_NON_PRIVATE: {OWN, OTHERS},
    DataScope.ORG_FULL: {OWN, OWN_PRIVATE, OTHERS, OTHERS_PRIVATE},
    DataScope.LEGACY: {OWN, OWN_PRIVATE, OTHERS, OTHERS_PRIVATE},
}
NARROW = [data for data in DataScope if len(SEEN[data]) < len(SEEN[DataScope.ORG_FULL])]


class Viewer(Product):
    """Somebody who looks at the product's meetings with rights of their own."""

    def __init__(self, product: Product, data: DataScope) -> None:
        super().__init__(product.database, product.meetings, product.sight.organization_id)
        person = MEL if data.is_personal else None
        self.sight = Sight.of(self.sight.organization_id, Rights(frozenset(), data, person))

    def listed(self, **query: Any) -> set[str]:
        with self.database.session() as session:
            found = self.meetings.list(session, self.sight, MeetingsQuery(**ALWAYS, **query))
        assert found.count == len(found.results)
        return {one.subject for one in found.results}

    def notes(self, **query: Any) -> list[Any]:
        with self.database.session() as session:
            found = self.meetings.notes(session, self.sight, NotesQuery(**ALWAYS, **query))
        assert found.count == len(found.results)
        return [one.data for one in found.results]


@pytest.fixture
def meetings_by_name(product: Product) -> dict[str, UUID]:
    """One meeting of each kind, with transcript and notes; Mel is spelled in another way."""
    made = {}
    for name in SEEN[DataScope.ORG_FULL]:
        people = ["ana@northwind.example"]
        people.append("mEL@northwind.example" if name.startswith("own") else "x@y.example")
        made[name] = uuid4()
        product.put(
            made[name],
            subject=name,
            is_private=name.endswith("private"),
            attendees=[{"email": one, "response_status": "accepted"} for one in people],
            transcript=TRANSCRIPT,
            notes=[NOTES[0] | {"heading": name}],
        )
    return made


@pytest.fixture(params=list(DataScope))
def data(request: pytest.FixtureRequest) -> DataScope:
    scope: DataScope = request.param
    return scope


def test_a_data_scope_shows_its_part_by_every_way_there_is(
    product: Product, meetings_by_name: dict[str, UUID], data: DataScope
) -> None:
    viewer = Viewer(product, data)
    assert viewer.listed() == SEEN[data]
    assert {notes["notes"][0]["heading"] for notes in viewer.notes()} == SEEN[data]
    for name, uuid in meetings_by_name.items():
        ways: list[tuple[Callable[[], Any], type[Exception]]] = [
            (partial(viewer.get, uuid), MeetingNotFound),
            (partial(viewer.transcript, product.get(uuid).transcription_uuid), TranscriptNotFound),
            (partial(viewer.set_outcome, "Won", uuid), MeetingNotFound),
        ]
        for way, not_found in ways:
            if name in SEEN[data]:
                assert way()
            else:
                with pytest.raises(not_found):
                    way()
        assert len(viewer.notes(meeting_uuid=uuid)) == (name in SEEN[data])
        won = product.get(uuid).outcome
        assert (won is not None) == (name in SEEN[data])


def test_a_filter_on_people_narrows_what_is_in_sight(
    product: Product, meetings_by_name: dict[str, UUID], data: DataScope
) -> None:
    viewer = Viewer(product, data)
    assert viewer.listed(attendee_emails=("ana@northwind.example",)) == SEEN[data]
    others = SEEN[data] & {OTHERS, OTHERS_PRIVATE}
    assert viewer.listed(attendee_emails=("x@y.example",)) == others


def test_the_organizer_takes_part_even_when_not_invited(product: Product) -> None:
    product.put(organizer_email="MEL@northwind.example", attendees=[])
    assert Viewer(product, DataScope.USER_NON_PRIVATE).listed() == {"Demo"}


@pytest.mark.parametrize("data", NARROW)
def test_who_does_not_see_all_changes_what_is_seen_and_adds_nothing(
    product: Product, meetings_by_name: dict[str, UUID], data: DataScope
) -> None:
    viewer = Viewer(product, data)
    events = product.events()
    before = {uuid: product.get(uuid) for uuid in meetings_by_name.values()}
    for name, uuid in {**meetings_by_name, "nowhere": NOWHERE}.items():
        if name in SEEN[data]:
            assert not viewer.put(uuid, subject="Changed").created
            assert product.get(uuid).subject == "Changed"
            continue
        for is_private in (False, True):
            with pytest.raises(MeetingNotFound):
                viewer.put(uuid, subject="Changed", is_private=is_private)
        if name in before:
            assert product.get(uuid) == before[uuid]
    told = [event for event in product.events() if event[0] != "privacy.changed"]
    assert told == [event for event in events if event[0] != "privacy.changed"]
    with pytest.raises(MeetingNotFound):
        product.get(NOWHERE)


def test_what_turns_private_or_loses_its_person_is_gone_from_then_on(product: Product) -> None:
    mel = {"email": MEL, "response_status": "accepted"}
    uuid = uuid4()
    product.put(uuid, attendees=[mel], transcript=TRANSCRIPT)
    shared, own = (Viewer(product, one) for one in (DataScope.ORG_NON_PRIVATE, DataScope.USER_FULL))
    assert shared.get(uuid) == own.get(uuid)
    product.put(uuid, attendees=[mel], is_private=True)
    assert own.get(uuid).is_private
    with pytest.raises(MeetingNotFound):
        shared.get(uuid)
    product.put(uuid, attendees=[])
    assert shared.get(uuid)
    with pytest.raises(MeetingNotFound):
        own.get(uuid)


def test_a_dry_run_tells_how_much_rights_would_show(
    product: Product, meetings_by_name: dict[str, UUID], data: DataScope
) -> None:
    def reach(*operations: str) -> Reach:
        rights = Rights(frozenset(operations), data, MEL if data.is_personal else None)
        with product.database.session() as session:
            return product.meetings.reach(session, product.sight.organization_id, rights)

    private = [name for name in SEEN[data] if name.endswith("private")]
    assert reach("notes:read", "webhooks:manage") == Reach(len(SEEN[data]), len(private))
    assert reach("meetings:write", "webhooks:manage", "keys:manage") == reach() == Reach(0, 0)


def test_no_rights_reach_into_another_organization(
    product: Product, stranger: Product, meetings_by_name: dict[str, UUID], data: DataScope
) -> None:
    assert Viewer(stranger, data).listed() == set()
