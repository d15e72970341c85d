"""Z1: nothing under `/v1/` shows or changes what lies outside the caller's data scope.

Each route has a row here that says how to ask it about one meeting; a new one without a row fails.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update
from werkzeug.test import TestResponse

from connector.app import Parts
from connector.bookings import events as booking_events
from connector.bookings import ingest as booking_ingest
from connector.meetings import events as meeting_events
from connector.meetings import ingest
from connector.meetings.record import transcription_uuid
from connector.meetings.sight import Sight
from keystore import scopes
from keystore.audit import SYSTEM
from keystore.db import Database, writing
from keystore.keys import Keys
from keystore.models import Key, Organization, User
from keystore.scopes import DataScope
from tests.connector.bookings import support as bookings
from tests.connector.meetings.support import ANA, NOTES, TRANSCRIPT, sent
from webhooks.catalog import EventType

ALWAYS = {"from_date": "2000-01-01", "to_date": "2100-01-01"}
NOWHERE = UUID("b7f1a2c3-0000-4000-8000-0000000000ff")


@dataclass(frozen=True)
class Known:
    """A meeting that there is. Its mark stands in its subject, notes, transcript and booking."""

    uuid: UUID
    mark: str
    own: bool
    private: bool
    organization_id: UUID

    def body(self) -> dict[str, object]:
        people = [ANA, "Mel@Northwind.example"] if self.own else [ANA]
        return sent(
            subject=self.mark,
            is_private=self.private,
            attendees=[{"email": one, "response_status": "accepted"} for one in people],
            notes=[NOTES[0] | {"heading": self.mark}],
            transcript=TRANSCRIPT
            | {"transcript": [TRANSCRIPT["transcript"][0] | {"transcript": self.mark}]},
        )

    def booking(self) -> dict[str, object]:
        """Its booking does not say itself that it is private."""
        return bookings.sent(
            subject=self.mark,
            meeting_uuid=str(self.uuid),
            booker_email="Mel@Northwind.example" if self.own else None,
        )

    @property
    def transcript(self) -> UUID:
        return transcription_uuid(self.organization_id, self.uuid)

    def seen_by(self, data: DataScope) -> bool:
        return (self.own or not data.is_personal) and (not self.private or data.sees_private)


Ask = Callable[[FlaskClient, Known], TestResponse]


def link(caller: FlaskClient, one: Known) -> TestResponse:
    """Follow the link in the transcript, the only way to one."""
    transcript = caller.get(f"/v1/transcriptions/{one.transcript}/")
    if transcript.status_code != 200:
        return transcript
    whole: str = transcript.get_json()["transcription_vtt_url"]
    return caller.get(whole[whole.index("/v1/") :])


#: About one meeting: what is out of sight answers exactly as what does not exist.
BY_ID: dict[str, Ask] = {
    "GET /meetings/<meeting_uuid>/": lambda api, one: api.get(f"/v1/meetings/{one.uuid}/"),
    "PUT /meetings/<meeting_uuid>/": lambda api, one: api.put(
        f"/v1/meetings/{one.uuid}/", json=one.body()
    ),
    "PATCH /meetings/<meeting_uuid>/": lambda api, one: api.patch(
        f"/v1/meetings/{one.uuid}/", json={"outcome": {"label": "Won"}}
    ),
    "PUT /bookings/<booking_uuid>/": lambda api, one: api.put(
        f"/v1/bookings/{one.uuid}/", json=one.booking()
    ),
    "GET /transcriptions/<transcription_uuid>/": lambda api, one: api.get(
        f"/v1/transcriptions/{one.transcript}/"
    ),
    "GET /transcriptions/<transcription_uuid>/vtt/": link,
}
#: About many: what is out of sight is not among them.
LISTS: dict[str, Ask] = {
    "GET /meetings/": lambda api, _one: api.get(
        "/v1/meetings/", query_string=ALWAYS | {"attendee_emails": ANA}
    ),
    "GET /notes/": lambda api, one: api.get(
        "/v1/notes/", query_string=ALWAYS | {"meeting_uuid": str(one.uuid)}
    ),
    "GET /events/<event_type>/samples/": lambda api, _one: api.get(
        "/v1/events/AINOTE/samples/", query_string={"limit": "100"}
    ),
}
#: These tell nothing of any meeting.
OF_NONE = {
    "GET /me/",
    "GET /webhooks/",
    "POST /webhooks/",
    "GET /webhooks/<subscription_id>/",
    "PATCH /webhooks/<subscription_id>/",
    "DELETE /webhooks/<subscription_id>/",
    "GET /webhooks/signing-secret/",
    "PATCH /webhooks/signing-secret/",
    "DELETE /webhooks/signing-secret/",
    "POST /webhooks/signing-secret/rotate/",
    "POST /webhooks/<subscription_id>/rotate/",
    "GET /teams/",
    "POST /webhooks/<subscription_id>/test/",
    "POST /webhooks/<subscription_id>/disable/",
    "POST /webhooks/<subscription_id>/enable/",
    # Of a delivery's body: tests/connector/api/test_deliveries.py.
    "GET /webhooks/<subscription_id>/deliveries/",
    "GET /webhooks/<subscription_id>/deliveries/<delivery_id>/",
    "POST /webhooks/<subscription_id>/deliveries/<delivery_id>/redeliver/",
    "POST /webhooks/<subscription_id>/redeliver/",
    "POST /webhooks/<subscription_id>/recover/",
    "GET /webhooks/<subscription_id>/recoveries/<recovery_id>/",
    "DELETE /webhooks/<subscription_id>/recoveries/<recovery_id>/",
    "POST /leaks/github/",
}
#: These tell of keys, with bounds of their own (see tests/connector/api/test_keys.py).
KEYS = "/v1/keys/"


@pytest.fixture
def known(parts: Parts, organization: Organization) -> list[Known]:
    made = []
    for number, (own, private) in enumerate(
        [(True, False), (True, True), (False, False), (False, True)]
    ):
        uuid = UUID(f"b7f1a2c3-0000-4000-8000-00000000000{number}")
        one = Known(uuid, f"MARK{number}", own, private, organization.id)
        # Twice, so that there is an event of every type: some tell of changes.
        failed = {"state": "in_progress", "processing_status": "recording_error"}
        for step in (
            failed | {"is_private": not private, "notes": None, "transcript": None},
            {"audio_ready": True, "outcome": {"label": "Won"}},
        ):
            given = ingest.meeting(one.body() | step)
            with parts.services.db.session() as session:
                parts.meetings.save(session, Sight(organization.id), uuid, given, SYSTEM)
        for changes in ({}, bookings.MOVED, bookings.OFF, {}):
            booked = booking_ingest.booking(one.booking() | changes)
            with parts.services.db.session() as session:
                parts.bookings.save(session, Sight(organization.id), uuid, booked, SYSTEM)
        made.append(one)
    return made


@pytest.fixture(params=list(DataScope))
def data(request: pytest.FixtureRequest) -> DataScope:
    scope: DataScope = request.param
    return scope


@pytest.fixture
def caller(
    app: Flask,
    database: Database,
    keys: Keys,
    organization: Organization,
    admin: User,
    member: User,
    data: DataScope,
) -> FlaskClient:
    """A key that may do everything, to what its data scope shows."""
    with database.session() as session:
        issued = keys.create(
            session,
            organization_id=organization.id,
            name="Narrow",
            granted=frozenset(scopes.OPERATIONS),
            data=data,
            owner_id=member.id if data.is_personal else None,
            actor=SYSTEM,
        )
    client = app.test_client()
    pair = f"{issued.key.client_key}:{issued.client_secret.reveal()}"
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {pair}"
    return client


def test_z1_every_route_of_the_api_is_asked_below(app: Flask) -> None:
    routes = {
        f"{method} {rule.rule.removeprefix('/v1')}"
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/v1/") and not rule.rule.startswith(KEYS)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert routes == BY_ID.keys() | LISTS.keys() | OF_NONE


@pytest.mark.parametrize("route", BY_ID)
def test_z1_what_is_out_of_sight_answers_as_what_does_not_exist(
    caller: FlaskClient, api: FlaskClient, known: list[Known], data: DataScope, route: str
) -> None:
    ask = BY_ID[route]
    nothing = Known(NOWHERE, "MARK9", own=True, private=False, organization_id=UUID(int=0))
    nowhere = ask(caller, nothing) if "PUT" not in route or data in narrow() else None
    for one in known:
        before = api.get(f"/v1/meetings/{one.uuid}/").data
        answer = ask(caller, one)
        if one.seen_by(data):
            assert answer.status_code == 200
            assert one.mark.encode() in answer.data
        else:
            assert nowhere is not None
            assert (answer.status_code, answer.data) == (404, nowhere.data)
            assert headers(answer) == headers(nowhere)
            assert api.get(f"/v1/meetings/{one.uuid}/").data == before


@pytest.mark.parametrize("route", LISTS)
def test_z1_what_is_out_of_sight_is_in_no_list(
    caller: FlaskClient, known: list[Known], data: DataScope, route: str
) -> None:
    seen = [one for one in known if one.seen_by(data)]
    for one in known:
        answer = LISTS[route](caller, one)
        assert (one.mark.encode() in answer.data) == one.seen_by(data)
        marks = set(re.findall(rb"MARK\d", answer.data))
        assert marks <= {other.mark.encode() for other in seen}
        if answer.status_code == 200 and isinstance(answer.json, dict):
            assert answer.json["count"] == len(marks)


def test_z1_samples_of_every_event_type_are_of_what_is_in_sight(
    caller: FlaskClient, known: list[Known], data: DataScope
) -> None:
    for event_type in (*meeting_events.event_types(), *booking_events.event_types()):
        told = caller.get(f"/v1/events/{event_type.name}/samples/?limit=100").data
        marks = {one.mark for one in known if one.mark.encode() in told}
        assert marks == {one.mark for one in known if one.seen_by(data)}


@pytest.mark.parametrize("lacking", sorted(scopes.OPERATIONS))
def test_z1_no_event_type_or_route_gives_what_its_scope_was_taken_from(
    app: Flask, database: Database, api: FlaskClient, known: list[Known], lacking: str
) -> None:
    """Whatever is asked: words of a transcript or of notes come with their own scope alone."""
    with database.session() as session, writing(session):
        session.execute(update(Key).values(scopes=sorted(scopes.OPERATIONS.keys() - {lacking})))
    heading = '"heading"' if lacking == "notes:read" else None
    one = known[0]
    types: list[EventType] = list(app.extensions["keyhook_webhooks"].catalog)
    answers = [ask(api, one) for ask in (*BY_ID.values(), *LISTS.values())]
    answers += [api.get(f"/v1/events/{event_type.name}/samples/") for event_type in types]
    for answer in answers:
        text = answer.get_data(as_text=True)
        if lacking == "transcripts:read":
            assert "transcription_vtt_url" not in text
            assert "WEBVTT" not in text
        if lacking == "notes:read":
            assert "ai_notes" not in text
            assert heading is not None
            assert heading not in text
        if lacking == "meetings:read":
            assert '"organizer_email"' not in text


def narrow() -> set[DataScope]:
    return set(DataScope) - {DataScope.ORG_FULL, DataScope.LEGACY}


def headers(answer: TestResponse) -> dict[str, str]:
    """Return all headers but the one that counts requests."""
    return {name: value for name, value in answer.headers if name != "RateLimit"}
