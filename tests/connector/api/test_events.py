"""Samples: what a platform shows while somebody sets up a flow."""

import json

import pytest
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator

from connector.app import Parts
from connector.bookings import events as booking_events
from connector.keys import events as key_events
from connector.meetings.events import event_types
from keystore.clock import ManualClock
from keystore.db import Database
from keystore.models import Organization
from tests.connector.api.conftest import AddCaller, on_one_database
from tests.connector.api.test_meetings import check_problem, put
from tests.connector.meetings.support import NOTES, TRANSCRIPT
from tests.webhooks.conftest import EVERYTHING
from webhooks import outbox
from webhooks.catalog import EventType

NAMES = [event_type.name for event_type in event_types()]
ALL_TYPES = (*event_types(), *booking_events.event_types(), *key_events.event_types())


@pytest.mark.parametrize("event_type", ALL_TYPES, ids=lambda event_type: event_type.name)
def test_where_nothing_happened_yet_there_is_a_made_up_sample(
    add_caller: AddCaller, event_type: EventType
) -> None:
    api = add_caller(*event_type.needs)
    for slash in ("", "/"):
        answer = api.get(f"/v1/events/{event_type.name}/samples{slash}")
        assert answer.status_code == 200
        assert answer.json == [event_type.sample]


@pytest.mark.parametrize("name", NAMES)
def test_samples_are_the_newest_real_bodies_byte_for_byte(
    api: FlaskClient,
    database: Database,
    organization: Organization,
    clock: ManualClock,
    parts: Parts,
    name: str,
) -> None:
    for number in range(5):
        clock.advance(60)
        path = f"/v1/meetings/00000000-0000-4000-8000-00000000000{number}/"
        told = {"subject": f"Ünïcode {number}", "audio_ready": True}
        put(api, path, **told, state="in_progress", processing_status="recording_error")
        clock.advance(60)
        put(
            api,
            path,
            **told,
            notes=NOTES,
            transcript=TRANSCRIPT,
            is_private=True,
            outcome={"label": "Won"},
        )
    answer = api.get(f"/v1/events/{name}/samples/")
    assert answer.content_type == "application/json"
    assert [one["subject"][-1] for one in answer.get_json()] == ["4", "3", "2"]
    with database.session() as session:
        recent = outbox.recent(session, organization.id, name, 3, EVERYTHING)
        bodies = [event.body for event in recent]
    assert answer.data == b"[" + b",".join(bodies) + b"]"
    validator = Draft202012Validator(parts.hooks.catalog.get(name).schema)
    for body in bodies:
        validator.validate(json.loads(body))

    assert len(api.get(f"/v1/events/{name}/samples/?limit=1").get_json()) == 1
    assert len(api.get(f"/v1/events/{name}/samples/?limit=100").get_json()) == 5


def test_an_unknown_type_is_told_those_there_are(api: FlaskClient) -> None:
    body = check_problem(api.get("/v1/events/meeting.burned/samples/"), 404)
    assert all(name in body["detail"] for name in NAMES)


@on_one_database
@pytest.mark.parametrize("limit", ["0", "101", "-1", "", "x"])
def test_a_bad_limit_is_told(api: FlaskClient, limit: str) -> None:
    check_problem(
        api.get("/v1/events/AINOTE/samples/", query_string={"limit": limit}), 400, "limit"
    )


def test_samples_are_the_organization_s_own(
    api: FlaskClient, client: FlaskClient, stranger: FlaskClient, add_caller: AddCaller
) -> None:
    put(api, subject="Our secret")
    path = "/v1/events/meeting.ended/samples/"
    check_problem(client.get(path), 401)
    check_problem(add_caller("meetings:read").get(path), 403)
    assert b"Our secret" not in stranger.get(path).data
    assert b"Our secret" in add_caller("webhooks:manage", "meetings:read").get(path).data


@pytest.mark.parametrize("event_type", ALL_TYPES, ids=lambda event_type: event_type.name)
def test_whoever_lacks_a_scope_that_the_body_needs_is_told_which(
    add_caller: AddCaller, event_type: EventType
) -> None:
    assert event_type.needs > {"webhooks:manage"}
    for scope in event_type.scopes:
        answer = add_caller(*event_type.needs - {scope}).get(
            f"/v1/events/{event_type.name}/samples/"
        )
        check_problem(answer, 403)
        challenge = answer.headers["WWW-Authenticate"]
        assert 'error="insufficient_scope"' in challenge
        assert f'scope="{scope}"' in challenge
