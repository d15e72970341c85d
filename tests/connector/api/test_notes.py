from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator

from connector.meetings.payloads import schema
from connector.meetings.schemas import Note
from keystore.clock import ManualClock
from tests.connector.api.conftest import AddCaller, on_one_database
from tests.connector.api.test_meetings import JANUARY, check_problem, put
from tests.connector.meetings.support import ANA, MEETING


def write(api: FlaskClient, heading: str, day: int, **changes: Any) -> str:
    """Put a meeting on this day of January with one section of notes; return its uuid."""
    uuid = str(uuid4())
    section = {"heading": heading, "text": "<b>", **changes}
    moment = f"2026-01-{day:02}T09:00:00Z"
    put(api, f"/v1/meetings/{uuid}/", notes=[section], start_at=moment, end_at=None)
    return uuid


def get(api: FlaskClient, **query: str) -> list[Any]:
    answer = api.get("/v1/notes/", query_string=JANUARY | query)
    assert answer.status_code == 200, answer.data
    validator = Draft202012Validator(schema(Note))
    results: list[Any] = answer.get_json()["results"]
    for note in results:
        validator.validate(note)
    return results


def headings(api: FlaskClient, **query: str) -> list[str]:
    return [note["data"]["notes"][0]["heading"] for note in get(api, **query)]


@pytest.mark.parametrize("path", ["/v1/notes", "/v1/notes/"])
def test_without_any_notes_there_is_no_content(api: FlaskClient, path: str) -> None:
    put(api, f"/v1/meetings/{MEETING}/")
    answer = api.get(path, query_string=JANUARY)
    assert (answer.status_code, answer.data) == (204, b"")


def test_notes_come_in_pages_and_in_order(api: FlaskClient, clock: ManualClock) -> None:
    uuids = []
    for day in (3, 1, 2):
        uuids.append(write(api, f"{day}", day))
        clock.advance(60)
    assert headings(api) == ["3", "2", "1"]
    assert headings(api, o="start_at") == ["1", "2", "3"]
    assert headings(api, o="modified") == ["3", "1", "2"]
    assert headings(api, o="-modified", page_size="2") == ["2", "1"]
    assert headings(api, from_date="2026-01-02", to_date="2026-01-02") == ["2"]
    assert headings(api, meeting_uuid=uuids[1]) == ["1"]
    page = api.get("/v1/notes/", query_string=JANUARY | {"page_size": "2", "page": "2"}).get_json()
    assert (page["count"], page["next"]) == (3, None)
    assert page["previous"].startswith("http://127.0.0.1:8400/v1/notes/?")
    assert get(api, page="9") == []


def test_five_notes_make_a_page_unless_more_are_asked_for(api: FlaskClient) -> None:
    for day in range(1, 8):
        write(api, f"{day}", day)
    assert len(get(api)) == 5
    assert len(get(api, page_size="20")) == 7


def test_notes_as_data_html_and_markdown(api: FlaskClient, clock: ManualClock) -> None:
    write(api, "Next & last", 1)
    [note] = get(api)
    assert note == {
        "created": "2026-01-01T00:00:00Z",
        "modified": "2026-01-01T00:00:00Z",
        "data": {
            "notes": [{"heading": "Next & last", "text": "<b>", "category": None}],
            "action_items": [],
        },
    }
    [html] = get(api, output_format="html")
    assert html["data"] == "<h3>Next &amp; last</h3>\n<p>&lt;b&gt;</p>"
    [markdown] = get(api, output_format="markdown")
    assert markdown["data"] == "### Next & last\n\n\\<b>"


def test_a_category_keeps_only_its_parts(api: FlaskClient) -> None:
    category = str(uuid4())
    write(api, "Risks", 1, category=category)
    [note] = get(api, custom_category=category)
    assert [one["heading"] for one in note["data"]["notes"]] == ["Risks"]
    [note] = get(api, custom_category=str(uuid4()))
    assert note["data"]["notes"] == []


@on_one_database
@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ({}, ["from_date", "to_date"]),
        (JANUARY | {"page_size": "21"}, ["page_size"]),
        (JANUARY | {"o": "created"}, ["o"]),
        (JANUARY | {"output_format": "pdf"}, ["output_format"]),
        (JANUARY | {"meeting_uuid": ANA}, ["meeting_uuid"]),
        (JANUARY | {"custom_category": "1"}, ["custom_category"]),
    ],
)
def test_a_bad_query_is_told_by_parameter(
    api: FlaskClient, query: dict[str, str], fields: list[str]
) -> None:
    check_problem(api.get("/v1/notes/", query_string=query), 400, *fields)


def test_notes_are_for_those_who_may_read(
    api: FlaskClient, client: FlaskClient, stranger: FlaskClient, add_caller: AddCaller
) -> None:
    write(api, "Ours", 1)
    check_problem(client.get("/v1/notes/", query_string=JANUARY), 401)
    writer = add_caller("meetings:write")
    check_problem(writer.get("/v1/notes/", query_string=JANUARY), 403)
    assert stranger.get("/v1/notes/", query_string=JANUARY).status_code == 204
