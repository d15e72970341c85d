"""Bookings over HTTP: put by whatever holds the scheduling pages, told to whoever may see them."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from connector.app import Parts
from keystore.models import User
from keystore.scopes import DataScope
from tests.connector.api.conftest import AddCaller, on_one_database
from tests.connector.api.test_meetings import check_problem
from tests.connector.bookings.support import (
    BOOKED,
    BOOKING,
    CANCELED,
    MOVED,
    OFF,
    RESCHEDULED,
    sent,
)
from tests.connector.meetings.test_ingest import JSON

PATH = f"/v1/bookings/{BOOKING}/"


def put(api: FlaskClient, path: str = PATH, **changes: Any) -> TestResponse:
    return api.put(path, json=sent(**changes))


def told(api: FlaskClient, event_type: str) -> list[dict[str, Any]]:
    """Return what has happened of a type, or the made-up sample."""
    answer = api.get(f"/v1/events/{event_type}/samples/")
    assert answer.status_code == 200, answer.data
    found: list[dict[str, Any]] = answer.get_json()
    return found


def test_a_booking_is_put_and_answered(api: FlaskClient) -> None:
    made = put(api)
    assert made.status_code == 201
    shown = made.get_json()
    assert shown.items() >= sent().items()
    again = put(api)
    assert (again.status_code, again.json) == (200, shown)
    back = api.put(PATH, json=shown)
    assert (back.status_code, back.json) == (200, shown), "what was read can be sent back"


@pytest.mark.parametrize(
    "path", [PATH, PATH.rstrip("/"), PATH.upper().replace("/V1/BOOKINGS", "/v1/bookings")]
)
def test_every_spelling_of_the_address_answers_without_a_redirect(
    api: FlaskClient, path: str
) -> None:
    assert put(api, path).status_code == 201
    assert put(api).status_code == 200


def test_what_happens_to_it_is_told_byte_for_byte_to_the_contract_s_schema(
    api: FlaskClient, parts: Parts
) -> None:
    for changes in ({}, MOVED, MOVED | OFF):
        put(api, **changes)
    for name, changes in ((BOOKED, {}), (RESCHEDULED, MOVED), (CANCELED, MOVED | OFF)):
        [body] = told(api, name)
        assert body["event_type"] == name
        expected = sent(**changes)
        del expected["state"], expected["is_private"]
        assert body.items() >= expected.items()
        assert body.keys() == parts.hooks.catalog.get(name).schema["properties"].keys()


def test_a_personal_key_sees_its_person_s_bookings_alone(
    api: FlaskClient, add_caller: AddCaller, member: User
) -> None:
    scopes = ("meetings:read", "meetings:write", "webhooks:manage")
    mel = add_caller(*scopes, data=DataScope.USER_NON_PRIVATE, owner_id=member.id)
    check_problem(put(mel), 404)
    put(api, subject="Mine", booker_email=member.email)
    assert [one["subject"] for one in told(mel, BOOKED)] == ["Mine"]
    assert put(mel, subject="Mine", booker_email=member.email, **MOVED).status_code == 200

    put(api, subject="Private", booker_email=member.email, is_private=True)
    assert "Private" not in json.dumps([told(mel, BOOKED), told(mel, RESCHEDULED)])
    check_problem(put(mel, booker_email=member.email), 404)
    put(api, subject="Not mine")
    check_problem(put(mel, booker_email=member.email), 404)


def test_a_key_does_only_what_it_may(add_caller: AddCaller, client: FlaskClient) -> None:
    check_problem(put(client), 401)
    check_problem(put(add_caller("meetings:read", "webhooks:manage")), 403)
    writer = add_caller("meetings:write")
    made = put(writer)
    assert (made.status_code, made.json) == (201, {"uuid": str(BOOKING)})
    assert writer.get(PATH).status_code == 405, "it is told in events, not read"


def test_a_stranger_neither_sees_nor_changes_it(api: FlaskClient, stranger: FlaskClient) -> None:
    ours = put(api, subject="Ours")
    assert put(stranger, subject="Theirs").status_code == 201
    assert put(api, subject="Ours").json == ours.json
    assert [one["subject"] for one in told(api, BOOKED)] == ["Ours"]
    assert [one["subject"] for one in told(stranger, BOOKED)] == ["Theirs"]


@on_one_database
def test_a_fault_is_told_by_field_and_nothing_is_kept(api: FlaskClient) -> None:
    check_problem(
        put(api, state="moved", subject=None, colour="red"), 422, "state", "subject", "colour"
    )
    check_problem(put(api, cancel_reason="Ill"), 422, "cancel_reason")
    check_problem(put(api, event_end_time="2026-01-01T00:00:00Z"), 422, "event_end_time")
    for wrong in ("1", str(BOOKING)[:-1], "%00", "é"):
        check_problem(put(api, f"/v1/bookings/{wrong}/"), 400, "uuid")
    for body in (b"", b"{", b"\xff\xfe{}"):
        check_problem(api.put(PATH, data=body), 400)
    assert put(api).status_code == 201


@settings(max_examples=60)
@given(JSON | st.dictionaries(st.sampled_from(sorted(sent())), JSON).map(lambda it: sent(**it)))
def test_no_json_makes_us_stumble(api: FlaskClient, data: Any) -> None:
    answer = api.put(PATH, data=json.dumps(data))
    assert answer.status_code in {200, 201, 422}, answer.data
    json.loads(answer.data)
