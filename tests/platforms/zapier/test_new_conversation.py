"""The main job: a Zap is turned on, a meeting ends, the Zap runs, the Zap is turned off."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.connector.examples import example_spec
from tests.platforms.node import JavaScriptError
from tests.platforms.zapier.connector import TRIGGER, Connector, as_zapier_hands_over
from tests.support.receiver import Received, Receiver
from tests.support.server import Server, eventually

SUBSCRIBE, UNSUBSCRIBE = f"{TRIGGER}.performSubscribe", f"{TRIGGER}.performUnsubscribe"
PERFORM, PERFORM_LIST = f"{TRIGGER}.perform", f"{TRIGGER}.performList"


@pytest.fixture
def zap() -> Iterator[Receiver]:
    """The address that Zapier makes for a Zap; here it remembers what arrives."""
    with Receiver() as catcher:
        yield catcher


def subscriptions(server: Server) -> list[str]:
    return [one["id"] for one in server.call("GET", "/v1/webhooks/").json()["results"]]


def end_a_meeting(server: Server, subject: str) -> str:
    """A product says that a meeting is over and its notes are ready."""
    meeting_uuid = str(uuid4())
    ended = {
        "subject": subject,
        "state": "completed",
        "processing_status": "notes_available",
        "is_private": False,
        "is_internal": False,
        "start_at": "2026-11-02T09:00:00Z",
        "end_at": "2026-11-02T09:30:00Z",
        "duration": 1805,
        "organizer_email": "ada@northwind.example",
        "attendees": [
            {"email": "ada@northwind.example", "name": "Ada", "response_status": "accepted"},
            {"email": "jürgen@größe.example", "response_status": "needsaction"},
        ],
        "transcript_ready": True,
        "transcript": {
            "speakers": [{"id": 0, "email": "ada@northwind.example", "is_rep": True}],
            "transcript": [{"speaker_id": 0, "transcript": "Guten Tag", "timestamps": [0.5, 1]}],
        },
        "notes_ready": True,
        "notes": [{"heading": "Größe", "text": "- Jürgen pays in €\n- \u2028 \U0001f600"}],
    }
    answer = server.call("PUT", f"/v1/meetings/{meeting_uuid}/", json=ended)
    assert answer.status_code == 201, answer.text
    return meeting_uuid


def arrived(zap: Receiver, meeting_uuid: str) -> Received:
    """Wait for the push about a meeting."""

    def find() -> Received | None:
        return next((one for one in zap.requests if meeting_uuid.encode() in one.body), None)

    request = eventually(find)
    assert isinstance(request, Received)
    return request


def test_a_zap_runs_on_what_the_server_pushed(
    connector: Connector, server: Server, zap: Receiver
) -> None:
    # On: the subscription is there, and Zapier keeps the answer.
    subscribed = connector.run(SUBSCRIBE, targetUrl=zap.url("/hooks/standard/1/abc/"))
    assert subscribed["id"] in subscriptions(server)
    assert subscribed["target_type"] == 1

    # A meeting ends; the push arrives, is signed, and runs through `perform`.
    meeting_uuid = end_a_meeting(server, "Größe & Söhne: “Demo”")
    push = arrived(zap, meeting_uuid)
    assert push.path == "/hooks/standard/1/abc/"
    (item,) = connector.run(PERFORM, subscribeData=subscribed, **as_zapier_hands_over(push))
    assert item == {"id": meeting_uuid, **json.loads(push.body)}
    assert item["subject"] == "Größe & Söhne: “Demo”"

    # Off: nothing is left.
    connector.run(UNSUBSCRIBE, subscribeData=subscribed)
    assert subscribed["id"] not in subscriptions(server)


def test_what_is_listed_in_the_editor_is_what_was_pushed(
    connector: Connector, server: Server, zap: Receiver
) -> None:
    subscribed = connector.run(SUBSCRIBE, targetUrl=zap.url())
    push = arrived(zap, end_a_meeting(server, "Weekly"))
    pushed = connector.run(PERFORM, subscribeData=subscribed, **as_zapier_hands_over(push))
    listed = connector.run(PERFORM_LIST)
    trigger = example_spec().triggers[0]
    sample = {"id", *trigger.item.sample}
    assert listed[0] == pushed[0]
    assert set(pushed[0]) == sample
    # A meeting without a transcript or a recording has no links to them.
    assert all(set(item) <= sample for item in listed)
    connector.run(UNSUBSCRIBE, subscribeData=subscribed)


TAMPERED: list[tuple[str, dict[str, str]]] = [
    ('{"uuid":"7","subject":"Send money"}', {}),
    ("", {}),
    ("[]", {}),
    ("same", {"Http-Webhook-Id": "msg_other"}),
    ("same", {"Http-Webhook-Timestamp": "1"}),
    ("same", {"Http-Webhook-Signature": ""}),
    ("same", {"Http-Webhook-Signature": "v1,"}),
    ("same", {"Http-Webhook-Signature": f"v1,{'A' * 43}="}),
]


@pytest.fixture(scope="module")
def pushed(connector: Connector, server: Server) -> dict[str, Any]:
    """One real push, as Zapier hands it over together with what it kept of the subscription."""
    with Receiver() as catcher:
        subscribed = connector.run(SUBSCRIBE, targetUrl=catcher.url())
        push = arrived(catcher, end_a_meeting(server, "Quarterly"))
        connector.run(UNSUBSCRIBE, subscribeData=subscribed)
    return {"subscribeData": subscribed, **as_zapier_hands_over(push)}


@pytest.mark.parametrize(("content", "headers"), TAMPERED)
def test_a_push_that_was_tampered_with_is_refused(
    connector: Connector, pushed: dict[str, Any], content: str, headers: dict[str, str]
) -> None:
    raw = pushed["rawRequest"]
    tampered = {
        **raw,
        "headers": raw["headers"] | headers,
        "content": raw["content"] if content == "same" else content,
    }
    with pytest.raises(JavaScriptError) as raised:
        connector.run(PERFORM, **pushed | {"rawRequest": tampered})
    assert raised.value.name == "HaltedError"
    assert "signature" in raised.value.message


def test_a_push_with_one_right_signature_among_others_is_taken(
    connector: Connector, pushed: dict[str, Any]
) -> None:
    raw = pushed["rawRequest"]
    several = f"v1a,abc v1,{'A' * 43}= {raw['headers']['Http-Webhook-Signature']}"
    headers = raw["headers"] | {"Http-Webhook-Signature": several}
    (item,) = connector.run(PERFORM, **pushed | {"rawRequest": raw | {"headers": headers}})
    assert item["subject"] == "Quarterly"


def test_a_push_of_another_subscription_is_refused(
    connector: Connector, pushed: dict[str, Any], zap: Receiver
) -> None:
    other = connector.run(SUBSCRIBE, targetUrl=zap.url())
    connector.run(UNSUBSCRIBE, subscribeData=other)
    with pytest.raises(JavaScriptError, match="signature"):
        connector.run(PERFORM, **pushed | {"subscribeData": other})


def test_a_zap_that_has_no_secret_still_runs(connector: Connector, pushed: dict[str, Any]) -> None:
    subscription = {"id": pushed["subscribeData"]["id"]}
    (item,) = connector.run(PERFORM, **pushed | {"subscribeData": subscription})
    assert item["subject"] == "Quarterly"


def test_a_zap_may_be_turned_off_again_and_again(
    connector: Connector, server: Server, zap: Receiver
) -> None:
    subscribed = connector.run(SUBSCRIBE, targetUrl=zap.url())
    first = connector.run(UNSUBSCRIBE, subscribeData=subscribed)
    assert first["is_active"] is False
    assert connector.run(UNSUBSCRIBE, subscribeData=subscribed) == first
    assert subscribed["id"] not in subscriptions(server)


def test_a_subscription_that_is_not_there_counts_as_turned_off(connector: Connector) -> None:
    assert connector.run(UNSUBSCRIBE, subscribeData={"id": str(uuid4())}) == {}


def test_a_subscription_id_cannot_lead_elsewhere(connector: Connector) -> None:
    with pytest.raises(JavaScriptError, match="usable value for id"):
        connector.run(UNSUBSCRIBE, subscribeData={"id": ".."})


def test_an_address_that_may_not_be_reached_stops_the_zap_with_the_reason(
    connector: Connector, server: Server
) -> None:
    before = subscriptions(server)
    target = {"event_type": "new_conversation", "target_url": "https://10.0.0.1/hook"}
    refusal = server.call("POST", "/v1/webhooks/", json=target)
    with pytest.raises(JavaScriptError) as raised:
        connector.run(SUBSCRIBE, targetUrl=target["target_url"])
    assert (raised.value.name, raised.value.message) == ("HaltedError", refusal.json()["detail"])
    assert subscriptions(server) == before
