from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import UUID, uuid4

import pytest
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator

from connector.meetings.links import LIFETIME
from connector.meetings.payloads import schema
from connector.meetings.schemas import Transcript
from keystore.clock import ManualClock
from tests.connector.api.conftest import AddCaller, on_one_database
from tests.connector.api.test_meetings import check_problem, put
from tests.connector.meetings.support import MEETING, TRANSCRIPT


@pytest.fixture
def path(api: FlaskClient) -> str:
    """Return the address of a transcript."""
    meeting = put(api, transcript=TRANSCRIPT).get_json()
    return f"/v1/transcriptions/{meeting['transcription_uuid']}/"


def link(api: FlaskClient, path: str) -> str:
    found: str = api.get(path).get_json()["transcription_vtt_url"]
    return found


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_transcript_is_read_by_its_own_id(api: FlaskClient, path: str, slash: str) -> None:
    answer = api.get(path.rstrip("/") + slash)
    assert answer.status_code == 200
    found = answer.get_json()
    Draft202012Validator(
        schema(Transcript), format_checker=Draft202012Validator.FORMAT_CHECKER
    ).validate(found)
    assert found["meeting_uuid"] == str(MEETING)
    assert found["speakers"] == TRANSCRIPT["speakers"]
    assert found["transcript"] == TRANSCRIPT["transcript"]


def test_a_transcript_that_is_not_there_is_not_found(api: FlaskClient) -> None:
    meeting = put(api).get_json()
    assert meeting["transcription_uuid"], "a completed meeting has one, even if it never came"
    for uuid in (meeting["transcription_uuid"], uuid4(), MEETING, "1"):
        check_problem(api.get(f"/v1/transcriptions/{uuid}/"), 404)


def test_transcripts_are_for_those_who_may_read(
    path: str, client: FlaskClient, stranger: FlaskClient, add_caller: AddCaller
) -> None:
    check_problem(client.get(path), 401)
    check_problem(stranger.get(path), 404)
    check_problem(add_caller("meetings:write", "webhooks:manage").get(path), 403)


def test_captions_are_for_whoever_has_the_link(
    api: FlaskClient, client: FlaskClient, path: str, clock: ManualClock
) -> None:
    url = link(api, path)
    assert url.startswith(f"http://127.0.0.1:8400{path}vtt/?")
    answer = client.get(url)
    assert answer.status_code == 200
    assert answer.content_type == "text/vtt; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.text.startswith("WEBVTT\n\n00:00:01.000 --> 00:00:02.000\n<v Ana Rep>Hello Ben.")
    clock.advance(LIFETIME)
    check_problem(client.get(url), 403)
    assert client.get(link(api, path)).status_code == 200


@on_one_database
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("signature", ""),
        ("signature", "v1$00$00"),
        ("signature", "\x00é"),
        ("expires", "99999999999"),
        ("expires", "9" * 5000),
        ("expires", "soon"),
        ("organization", str(UUID(int=1))),
        ("organization", "1"),
    ],
)
def test_a_changed_link_is_refused(
    api: FlaskClient, client: FlaskClient, path: str, name: str, value: str
) -> None:
    parts = urlsplit(link(api, path))
    query = {key: values[0] for key, values in parse_qs(parts.query).items()}
    check_problem(client.get(f"{parts.path}?{urlencode(query | {name: value})}"), 403)
    check_problem(client.get(parts.path), 403)


def test_a_link_to_captions_that_are_gone_is_not_found(
    api: FlaskClient, client: FlaskClient, path: str
) -> None:
    url = link(api, path)
    put(api, transcript=None)
    check_problem(client.get(url), 404)
