"""A Zap looks for a meeting and sets its outcome."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from tests.connector.examples import example_spec
from tests.platforms.node import JavaScriptError, Node
from tests.platforms.zapier.connector import Connector, emit
from tests.support.receiver import Answer, Receiver
from tests.support.server import Server

FIND = "searches.find_meeting.operation.perform"
SET = "creates.set_meeting_outcome.operation.perform"
JANUARY = {"from_date": "2026-01-01T00:00:00Z", "to_date": "2026-01-31T00:00:00Z"}


@pytest.fixture
def meeting(server: Server) -> dict[str, Any]:
    """A meeting in January, with an attendee whom no other meeting has."""
    attendee = f"guest-{uuid4()}@harbour.example"
    body = {
        "subject": "Demo",
        "state": "completed",
        "is_private": False,
        "is_internal": False,
        "start_at": "2026-01-15T09:00:00Z",
        "end_at": "2026-01-15T09:30:00Z",
        "organizer_email": "ada@northwind.example",
        "attendees": [{"email": attendee, "response_status": "accepted"}],
        "url": "https://meet.example/demo",
        "crm_associations": [{"crm_obj_id": "0061", "crm_obj_type": "oppo"}],
    }
    answer = server.call("PUT", f"/v1/meetings/{uuid4()}/", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json() | {"attendee": attendee}
    return made


def find(connector: Connector, meeting: dict[str, Any], **dates: str) -> list[dict[str, Any]]:
    given = {"attendee_email": meeting["attendee"]} | dates
    found: list[dict[str, Any]] = connector.run(FIND, inputData=given)
    return found


def test_a_meeting_is_found_by_its_attendee_within_a_window(
    connector: Connector, meeting: dict[str, Any]
) -> None:
    (found,) = find(connector, meeting, **JANUARY)
    assert found["id"] == found["uuid"] == meeting["uuid"]
    assert found["crm_associations"] == [{"crm_obj_id": "0061", "crm_obj_type": "oppo"}]


def test_a_window_that_is_left_empty_is_the_last_ninety_days(
    connector: Connector, server: Server
) -> None:
    now = datetime.now(UTC).isoformat()
    dates = {"from_date": "2000-01-01", "to_date": now, "page_size": "100"}
    newest = server.call("GET", "/v1/meetings/", params=dates).json()["results"][0]
    given = {"attendee_email": newest["attendees"][0]["email"]}
    for empty in ({}, {"from_date": "", "to_date": ""}):
        found = connector.run(FIND, inputData=given | empty)
        assert found[0]["uuid"] == newest["uuid"]


def test_nothing_found_is_an_empty_list(connector: Connector, meeting: dict[str, Any]) -> None:
    assert find(connector, meeting, from_date="2026-02-01T00:00:00Z") == []


def test_a_date_that_is_none_stops_the_zap_with_the_servers_reason(
    connector: Connector, meeting: dict[str, Any]
) -> None:
    with pytest.raises(JavaScriptError) as raised:
        find(connector, meeting, from_date="someday")
    assert raised.value.name == "HaltedError"
    assert "from_date" in raised.value.message


def test_the_outcome_is_set_and_the_meeting_handed_on(
    connector: Connector, server: Server, meeting: dict[str, Any]
) -> None:
    given = {"meeting_uuid": meeting["uuid"], "outcome": "Größe & „Sieg“ 🏁"}
    answer = connector.run(SET, inputData=given)
    kept = server.call("GET", f"/v1/meetings/{meeting['uuid']}/").json()
    assert answer["id"] == meeting["uuid"]
    assert answer["outcome"] == kept["outcome"]
    assert kept["outcome"]["label"] == "Größe & „Sieg“ 🏁"


def test_what_is_found_and_what_is_changed_have_the_fields_of_the_sample(
    connector: Connector, meeting: dict[str, Any]
) -> None:
    (found,) = find(connector, meeting, **JANUARY)
    changed = connector.run(SET, inputData={"meeting_uuid": meeting["uuid"], "outcome": "Won"})
    sample = {"id", *example_spec().searches[0].item.sample}
    assert set(found) == set(changed) == sample


def test_an_outcome_that_breaks_a_rule_stops_the_zap_with_the_servers_reason(
    connector: Connector, server: Server, meeting: dict[str, Any]
) -> None:
    label = "x" * 1000
    refusal = server.call(
        "PATCH", f"/v1/meetings/{meeting['uuid']}/", json={"outcome": {"label": label}}
    )
    assert refusal.status_code == 422
    with pytest.raises(JavaScriptError) as raised:
        connector.run(SET, inputData={"meeting_uuid": meeting["uuid"], "outcome": label})
    assert raised.value.name == "HaltedError"
    assert raised.value.message == refusal.json()["detail"]


def test_a_meeting_that_is_not_there_stops_the_zap(connector: Connector) -> None:
    with pytest.raises(JavaScriptError) as raised:
        connector.run(SET, inputData={"meeting_uuid": str(uuid4()), "outcome": "Won"})
    assert raised.value.name == "HaltedError"


@pytest.mark.parametrize(
    ("method", "given", "label"),
    [
        (FIND, {}, "Attendee Email"),
        (FIND, {"attendee_email": " "}, "Attendee Email"),
        (SET, {"meeting_uuid": "", "outcome": "Won"}, "Meeting"),
        (SET, {"meeting_uuid": str(uuid4()), "outcome": None}, "Outcome"),
    ],
)
def test_a_required_field_that_came_out_empty_stops_the_zap(
    connector: Connector, method: str, given: dict[str, Any], label: str
) -> None:
    with pytest.raises(JavaScriptError) as raised:
        connector.run(method, inputData=given)
    assert (raised.value.name, raised.value.message) == ("HaltedError", f"{label} is empty.")


@pytest.mark.parametrize("dots", [".", ".."])
def test_dots_cannot_lead_to_another_address(connector: Connector, dots: str) -> None:
    with pytest.raises(JavaScriptError, match="no usable value for uuid"):
        connector.run(SET, inputData={"meeting_uuid": dots, "outcome": "Won"})


@pytest.mark.parametrize("text", ["../../settings", "a/b", "a?b=c", "a#b", "%2e%2e", "ü €"])
def test_any_other_text_stays_where_a_uuid_belongs(
    zapier: Node, node_modules: Path, tmp_path: Path, text: str
) -> None:
    # Only a server that tells what it was asked can show the address: ours would just say 404.
    with Receiver() as server:
        server.default = Answer(body=b'{"uuid": "7"}')
        project = emit(server.url(""), tmp_path / "project", node_modules)
        connector = Connector(zapier, project, "khk" + "a" * 20, "khs" + "b" * 48)
        connector.run(SET, inputData={"meeting_uuid": text, "outcome": "Won"})
    (asked,) = server.requests
    assert (asked.method, asked.path) == ("PATCH", f"/v1/meetings/{quote(text, safe='')}/")
    assert asked.headers["authorization"] == f"Bearer khk{'a' * 20}:khs{'b' * 48}"
