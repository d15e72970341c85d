"""Meetings over HTTP: put by a product, listed and read by whoever has a key for it."""

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from werkzeug.test import TestResponse

from connector.meetings import events
from keystore.clock import ManualClock
from tests.connector.api.conftest import AddCaller, on_one_database
from tests.connector.meetings.support import ANA, BEN, MEETING, NOTES, TRANSCRIPT, sent

PATH = f"/v1/meetings/{MEETING}/"
JANUARY = {"from_date": "2026-01-01", "to_date": "2026-01-31"}


def put(api: FlaskClient, path: str = PATH, **changes: Any) -> TestResponse:
    return api.put(path, json=sent(**changes))


def check_meeting(meeting: Any) -> None:
    Draft202012Validator(
        events.meeting_schema(), format_checker=Draft202012Validator.FORMAT_CHECKER
    ).validate(meeting)


def check_problem(answer: TestResponse, status: int, *fields: str) -> dict[str, Any]:
    """Check that this is a problem (RFC 9457) that names exactly these fields."""
    assert answer.status_code == status, answer.data
    assert answer.content_type == "application/problem+json"
    body: dict[str, Any] = answer.get_json()
    assert body["status"] == status
    assert body["detail"]
    assert body.keys() - {"type", "title", "status", "detail"} == set(fields)
    assert all(isinstance(body[field], list) and body[field] for field in fields)
    return body


def subjects(api: FlaskClient, **query: str) -> list[str]:
    answer = api.get("/v1/meetings/", query_string=JANUARY | query)
    assert answer.status_code == 200, answer.data
    return [one["subject"] for one in answer.get_json()["results"]]


def test_a_meeting_is_put_and_read(api: FlaskClient) -> None:
    made = put(api, transcript=TRANSCRIPT, notes=NOTES, duration=1800)
    assert made.status_code == 201
    assert made.headers["Location"] == f"http://127.0.0.1:8400{PATH}"
    check_meeting(made.json)
    again = put(api, transcript=TRANSCRIPT, notes=NOTES, duration=1800)
    assert (again.status_code, again.json) == (200, made.json)
    changed = put(api, subject="Renamed")
    assert changed.status_code == 200
    assert changed.get_json()["subject"] == "Renamed"


@pytest.mark.parametrize(
    "path", [PATH, PATH.rstrip("/"), PATH.upper().replace("/V1/MEETINGS", "/v1/meetings")]
)
def test_every_spelling_of_the_address_answers_without_a_redirect(
    api: FlaskClient, path: str
) -> None:
    assert put(api, path).status_code == 201
    assert api.get(path).status_code == 200
    assert api.patch(path, json={"outcome": None}).status_code == 200
    assert put(api, PATH).status_code == 200


@pytest.mark.parametrize("path", ["/v1/meetings/", "/v1/meetings"])
def test_the_list_answers_with_and_without_the_slash(api: FlaskClient, path: str) -> None:
    answer = api.get(path, query_string=JANUARY)
    assert answer.status_code == 200
    assert answer.json == {"count": 0, "next": None, "previous": None, "results": []}


def test_associations_are_shown_to_those_who_ask(api: FlaskClient) -> None:
    links = [{"crm_obj_id": "1", "crm_obj_type": "account"}]
    put(api, crm_associations=links)
    assert "crm_associations" not in api.get(PATH).get_json()
    shown = api.get(PATH, query_string={"include_crm_associations": "true"}).get_json()
    assert shown["crm_associations"] == links
    [listed] = api.get(
        "/v1/meetings/", query_string=JANUARY | {"include_crm_associations": "1"}
    ).get_json()["results"]
    check_meeting(listed)
    assert listed == shown


def test_pages_are_linked_under_the_installation_s_own_name(api: FlaskClient) -> None:
    for number in range(5):
        put(
            api,
            f"/v1/meetings/{uuid4()}/",
            subject=f"{number}",
            start_at=f"2026-01-0{number + 1}T10:00:00+00:00",
            end_at=None,
        )
    query = JANUARY | {"page_size": "2", "attendee_emails": f"{ANA},x+y@b.example"}
    first = api.get("/v1/meetings", query_string=query).get_json()
    assert (first["count"], first["previous"]) == (5, None)
    assert [one["subject"] for one in first["results"]] == ["4", "3"]
    link = urlsplit(first["next"])
    assert first["next"].startswith("http://127.0.0.1:8400/v1/meetings/?")
    assert dict(parse_qsl(link.query)) == query | {"page": "2"}

    second = api.get(first["next"]).get_json()
    assert [one["subject"] for one in second["results"]] == ["2", "1"]
    assert api.get(second["previous"]).get_json()["results"] == first["results"]
    third = api.get(second["next"]).get_json()
    assert [one["subject"] for one in third["results"]] == ["0"]
    assert third["next"] is None

    beyond = api.get("/v1/meetings/", query_string=query | {"page": "1000000000"}).get_json()
    assert (beyond["count"], beyond["results"], beyond["next"]) == (5, [], None)
    assert api.get(beyond["previous"]).get_json()["results"] == third["results"]


def test_filters_narrow_the_list(api: FlaskClient) -> None:
    def add(subject: str, **changes: Any) -> None:
        put(api, f"/v1/meetings/{uuid4()}/", subject=subject, **changes)

    add("call", is_call=True, crm_associations=[{"crm_obj_id": "a", "crm_obj_type": "account"}])
    add("internal", is_internal=True, attendees=[{"email": ANA, "response_status": "accepted"}])
    add(
        "long",
        duration=3600,
        audio_ready=True,
        crm_associations=[{"crm_obj_id": "o", "crm_obj_type": "oppo"}],
    )
    add("unrecorded", duration=3600)
    add("february", start_at="2026-02-01T00:00:00Z", end_at=None)
    everything = {"call", "internal", "long", "unrecorded"}
    assert set(subjects(api)) == everything
    assert subjects(api, is_call="true") == ["call"]
    assert subjects(api, is_call="False", is_internal="1") == ["internal"]
    assert subjects(api, recording_duration__gte="3600") == ["long"]
    assert subjects(api, recording_duration__gte="3600.5") == []
    assert set(subjects(api, attendee_emails=f" {BEN.upper()} ,x@y.example")) == everything - {
        "internal"
    }
    assert subjects(api, crm_account_ids="b, a") == ["call"]
    assert subjects(api, crm_account_ids="o") == []
    assert subjects(api, crm_opportunity_ids="o") == ["long"]
    assert set(subjects(api, is_call="")) == everything
    assert subjects(api, to_date="2026-02-01", from_date="2026-02-01") == ["february"]


@pytest.mark.parametrize("empty", ["", ",", " , "])
@pytest.mark.parametrize("name", ["attendee_emails", "crm_lead_ids"])
def test_a_filter_that_turns_out_empty_is_not_taken_for_everybody(
    api: FlaskClient, name: str, empty: str
) -> None:
    put(api)

    answer = api.get("/v1/meetings/", query_string=JANUARY | {name: empty})

    assert answer.status_code == 400
    assert answer.json is not None
    assert next(iter(answer.json)) == name


def test_both_ends_of_the_window_count(api: FlaskClient) -> None:
    put(api, start_at="2026-01-10T23:30:00Z", end_at=None)
    assert subjects(api, from_date="2026-01-10T23:30:00Z", to_date="2026-01-10T23:30:00Z")
    assert subjects(api, from_date="2026-01-10", to_date="2026-01-10")
    assert not subjects(api, from_date="2026-01-10T23:30:00.000001Z")
    assert subjects(api, from_date="0001-01-01", to_date="9999-12-31")


@on_one_database
@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ({}, ["from_date", "to_date"]),
        ({"from_date": "2026-01-01"}, ["to_date"]),
        (JANUARY | {"to_date": ""}, ["to_date"]),
        (JANUARY | {"to_date": "2025-12-31"}, ["to_date"]),
        (JANUARY | {"from_date": "yesterday"}, ["from_date"]),
        (JANUARY | {"from_date": "\x00"}, ["from_date"]),
        (JANUARY | {"page": "0"}, ["page"]),
        (JANUARY | {"page": "-1"}, ["page"]),
        (JANUARY | {"page": "٣"}, ["page"]),
        (JANUARY | {"page": "9" * 5000}, ["page"]),
        (JANUARY | {"page_size": "101"}, ["page_size"]),
        (JANUARY | {"page_size": ""}, ["page_size"]),
        (JANUARY | {"o": "modified"}, ["o"]),
        (JANUARY | {"o": "-start_at,uuid"}, ["o"]),
        (JANUARY | {"is_call": "maybe", "is_internal": "2"}, ["is_call", "is_internal"]),
        (JANUARY | {"recording_duration__gte": "-1"}, ["recording_duration__gte"]),
        (JANUARY | {"recording_duration__gte": "nan"}, ["recording_duration__gte"]),
        (JANUARY | {"recording_duration__gte": ""}, ["recording_duration__gte"]),
        (JANUARY | {"attendee_emails": "ana"}, ["attendee_emails"]),
        (JANUARY | {"attendee_emails": "a\x00@b"}, ["attendee_emails"]),
        (JANUARY | {"crm_lead_ids": "a\x00"}, ["crm_lead_ids"]),
        (JANUARY | {"crm_lead_ids": ",".join(map(str, range(101)))}, ["crm_lead_ids"]),
        (JANUARY | {"include_crm_associations": "all"}, ["include_crm_associations"]),
    ],
)
def test_a_bad_query_is_told_by_parameter(
    api: FlaskClient, query: dict[str, str], fields: list[str]
) -> None:
    check_problem(api.get("/v1/meetings/", query_string=query), 400, *fields)


@on_one_database
@pytest.mark.parametrize(
    "body", [b"", b"{", b"nonsense", b"\xff\xfe{}", b"[" * 100_000, b"1" * 5000, b"\x00"]
)
def test_what_is_not_json_is_a_bad_request(api: FlaskClient, body: bytes) -> None:
    for method in ("PUT", "PATCH"):
        check_problem(api.open(PATH, method=method, data=body), 400)


def test_a_body_without_end_is_refused(api: FlaskClient) -> None:
    body = json.dumps(sent(subject="x" * 5_000_001))
    check_problem(api.put(PATH, data=body, content_type="application/json"), 413)


def test_a_broken_rule_is_told_by_field(api: FlaskClient) -> None:
    answer = put(api, state="over", subject=None, attendees=[{"email": "x"}], colour="red")
    check_problem(
        answer,
        422,
        "state",
        "subject",
        "attendees.0.email",
        "attendees.0.response_status",
        "colour",
    )
    check_problem(api.get(PATH), 404)


def test_the_address_of_a_meeting_ends_with_a_uuid(api: FlaskClient) -> None:
    for wrong in ("1", str(MEETING)[:-1], "{" + str(MEETING) + "}", "%00", "é"):
        check_problem(put(api, f"/v1/meetings/{wrong}/"), 400, "uuid")
        check_problem(api.get(f"/v1/meetings/{wrong}/"), 404)
        check_problem(api.patch(f"/v1/meetings/{wrong}/", json={"outcome": None}), 404)


def test_an_outcome_is_set_and_cleared(api: FlaskClient, clock: ManualClock) -> None:
    put(api)
    clock.advance(60)
    won = api.patch(PATH, json={"outcome": {"label": "Won"}})
    assert won.status_code == 200
    check_meeting(won.json)
    assert won.get_json()["outcome"]["label"] == "Won"
    assert won.get_json()["modified"] == "2026-01-01T00:01:00Z"
    again = api.patch(PATH, json={"outcome": won.get_json()["outcome"]})
    assert again.json == won.json
    assert api.patch(PATH, json={"outcome": None}).get_json()["outcome"] is None
    check_problem(api.patch(PATH, json={"outcome": {"label": ""}}), 422, "outcome")
    check_problem(api.patch(PATH, json={}), 422, "outcome")
    check_problem(api.patch(PATH, json={"outcome": None, "state": "x"}), 422, "state")
    check_problem(api.patch(f"/v1/meetings/{uuid4()}/", json={"outcome": None}), 404)


def test_a_key_does_only_what_it_may(add_caller: AddCaller) -> None:
    reader, writer = add_caller("meetings:read"), add_caller("meetings:write")
    check_problem(put(reader), 403)
    check_problem(reader.patch(PATH, json={"outcome": None}), 403)
    check_problem(writer.get(PATH), 403)
    check_problem(writer.patch(PATH, json={"outcome": None}), 404)
    made = put(writer)
    assert (made.status_code, made.json) == (201, {"uuid": str(MEETING)})
    changed = writer.patch(PATH, json={"outcome": {"label": "Won"}})
    assert (changed.status_code, changed.json) == (200, {"uuid": str(MEETING)})
    check_problem(writer.get(PATH), 403)
    check_problem(writer.get("/v1/meetings/", query_string=JANUARY), 403)
    assert reader.get(PATH).status_code == 200


def test_without_a_key_nothing_is_told(client: FlaskClient) -> None:
    for path in (PATH, "/v1/meetings/", "/v1/meetings/1/"):
        check_problem(client.get(path), 401)
    check_problem(put(client), 401)
    check_problem(client.patch(PATH, json={}), 401)


def test_a_stranger_s_answers_are_those_for_nothing(
    api: FlaskClient, stranger: FlaskClient
) -> None:
    before = stranger.get(PATH)
    ours = put(api, transcript=TRANSCRIPT, notes=NOTES).json
    after = stranger.get(PATH)
    assert (after.status_code, after.data) == (before.status_code, before.data)
    check_problem(stranger.patch(PATH, json={"outcome": {"label": "Won"}}), 404)
    listed = stranger.get("/v1/meetings/", query_string=JANUARY)
    assert listed.get_json()["count"] == 0
    assert put(stranger, subject="Theirs").status_code == 201
    assert api.get(PATH, query_string={"include_crm_associations": "true"}).json == ours


def test_a_fault_in_a_field_that_is_named_like_a_problem_s_own_is_told_too(
    api: FlaskClient,
) -> None:
    body = check_problem(put(api, type={"label": 5}, title="x"), 422, "type.label")
    assert "title: There is no such field." in body["detail"]
    assert body["title"] == "Unprocessable Entity"
