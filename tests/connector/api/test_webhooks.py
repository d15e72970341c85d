"""Subscribing over the API, as a platform does when a flow is switched on and off."""

from uuid import uuid4

import pytest
from flask.testing import FlaskClient

from connector.app import Parts
from keystore import scopes
from keystore.audit import SYSTEM
from keystore.keys import Issued
from keystore.models import User
from keystore.scopes import DataScope
from tests.connector.api.conftest import AddCaller
from tests.support.receiver import Answer, Receiver
from webhooks.targets import check_target

TARGET = "https://hooks.zapier.com/hooks/standard/1/abc/"


def subscribe(api: FlaskClient, **body: object) -> dict[str, object]:
    answer = api.post(
        "/v1/webhooks/", json={"event_type": "new_conversation", "target_url": TARGET} | body
    )
    assert answer.status_code == 201, answer.data
    assert isinstance(answer.json, dict)
    return answer.json


def test_a_subscription_is_made_shown_listed_and_ended(api: FlaskClient) -> None:
    answer = api.post("/v1/webhooks", json={"event_type": "new_conversation", "target_url": TARGET})
    assert answer.status_code == 201
    made = answer.json
    assert made is not None
    assert made["id"] == made["uuid"]
    assert (made["event_type"], made["target_url"], made["target_type"], made["is_active"]) == (
        "new_conversation",
        TARGET,
        1,
        True,
    )
    assert made["signing_secret"].startswith("whsec_")
    assert answer.headers["Location"] == f"http://127.0.0.1:8400/v1/webhooks/{made['id']}/"
    assert answer.headers["Cache-Control"] == "no-store"
    path = f"/v1/webhooks/{made['id']}/"

    shown = {name: value for name, value in made.items() if name != "signing_secret"}
    assert api.get(path).json == shown, "the signing secret is shown once"
    assert api.get("/v1/webhooks/").json == {"count": 1, "results": [shown]}

    ended = shown | {"is_active": False}
    for _ in range(3):
        gone = api.delete(path)
        assert (gone.status_code, gone.json) == (200, ended)
    assert api.get("/v1/webhooks/").json == {"count": 0, "results": []}
    assert api.get(path).json == ended


def test_the_target_type_follows_the_event_unless_it_is_given(api: FlaskClient) -> None:
    assert subscribe(api, event_type="AINOTE")["target_type"] == 2
    assert subscribe(api, event_type="new_conversation")["target_type"] == 1
    assert subscribe(api, target_type=2)["target_type"] == 2


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "event_type"),
        ({"event_type": "AINOTE"}, "target_url"),
        ({"event_type": 1, "target_url": TARGET}, "event_type"),
        ({"event_type": "AINOTE", "target_url": TARGET, "target_type": 3}, "target_type"),
        ({"event_type": "AINOTE", "target_url": TARGET, "target_type": True}, "target_type"),
        ({"event_type": "AINOTE", "target_url": TARGET, "target_type": [1]}, "target_type"),
        ({"event_type": "AINOTE", "target_url": TARGET, "targeturl": "x"}, "targeturl"),
        ({"event_type": "meeting.burned", "target_url": TARGET}, "new_conversation"),
        ({"event_type": "AINOTE", "target_url": "http://example.com/"}, "https"),
        ({"event_type": "AINOTE", "target_url": "https://u:p@example.com/"}, ""),
        ({"event_type": "AINOTE", "target_url": "https://10.0.0.1/"}, ""),
        ({"event_type": "AINOTE", "target_url": "ftp://example.com/"}, "https"),
        ({"event_type": "AINOTE", "target_url": "https://exa\x00mple.com/"}, ""),
        ({"event_type": "AI\x00NOTE", "target_url": TARGET}, ""),
        ({"event_type": "\ud800", "target_url": "https://\ud800.example/"}, ""),
        ([1], "JSON object"),
        ("x", "JSON object"),
    ],
)
def test_bad_input_gets_one_clear_error_and_changes_nothing(
    api: FlaskClient, body: object, told: str
) -> None:
    answer = api.post("/v1/webhooks/", json=body)

    assert answer.status_code == 400, answer.data
    assert answer.json is not None
    assert told in answer.json["detail"]
    assert api.get("/v1/webhooks/").json == {"count": 0, "results": []}


def test_several_event_types_are_answered_beside_the_first(api: FlaskClient) -> None:
    made = subscribe(api, event_type="AINOTE")
    assert (made["event_type"], made["event_types"]) == ("AINOTE", ["AINOTE"])
    answer = api.post(
        "/v1/webhooks/",
        json={"event_types": ["meeting.ended", "AINOTE"], "target_url": TARGET, "scheme": "v1a"},
    )
    several = answer.get_json()
    assert (several["event_type"], several["target_type"]) == ("meeting.ended", 2)
    assert several["public_key"].startswith("whpk_")
    assert "signing_secret" not in several
    assert api.get(f"/v1/webhooks/{several['id']}/").json == several


def test_a_subscription_is_changed_field_by_field(api: FlaskClient) -> None:
    made = subscribe(api, event_type="AINOTE", headers={"X-Token": "open sesame"}, rate=5)
    del made["signing_secret"]
    path = f"/v1/webhooks/{made['id']}/"
    assert (made["headers"], made["rate"], made["teams"]) == (["x-token"], 5, [])

    assert api.patch(path, json={}).get_json() == made
    changes = {"event_types": ["meeting.ended", "AINOTE"], "target_url": TARGET + "x"}
    changed = api.patch(path, json=changes | {"rate": None, "headers": {}})
    expected = made | changes | {"event_type": "meeting.ended", "rate": None, "headers": []}
    assert (changed.status_code, changed.get_json()) == (200, expected)
    assert "open sesame" not in changed.text
    assert api.get(path).json == expected
    assert api.patch(path, json={"event_type": "AINOTE"}).get_json()["event_types"] == ["AINOTE"]

    api.delete(path)
    assert api.patch(path, json={}).status_code == 409


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"event_type": 1}, "event_type"),
        ({"event_types": []}, "event_types"),
        ({"event_types": ["AINOTE"], "event_type": "meeting.ended"}, "event_types"),
        ({"event_types": "AINOTE"}, "event_types"),
        ({"event_types": ["meeting.burned"]}, "meeting.burned"),
        ({"target_type": 1}, "target_type"),
        ({"target_url": "https://10.0.0.1/"}, ""),
        ({"teams": ["x"]}, "teams"),
        ({"teams": [str(uuid4())]}, "teams"),
        ({"without": ["sauce"]}, "without"),
        ({"headers": {"host": "x"}}, "headers"),
        ({"headers": {"x": 1}}, "headers"),
        ({"headers": []}, "headers"),
        ({"rate": -1}, "rate"),
        ({"rate": True}, "rate"),
        ({"rate": 10**7}, "rate"),
        ({"scheme": "v1a"}, "scheme"),
        ([], "JSON object"),
    ],
)
def test_a_change_that_is_wrong_is_refused_by_field(
    api: FlaskClient, change: object, told: str
) -> None:
    path = f"/v1/webhooks/{subscribe(api, event_type='AINOTE')['id']}/"
    before = api.get(path).json

    answer = api.patch(path, json=change)

    assert answer.status_code == 400, answer.data
    assert told in answer.get_json()["detail"]
    assert api.get(path).json == before


def test_a_subscription_is_tried_out(api: FlaskClient, add_caller: AddCaller) -> None:
    with Receiver() as receiver:
        made = subscribe(api, target_url=receiver.url(), headers={"x-token": "sesame"})
        path = f"/v1/webhooks/{made['id']}/test/"
        receiver.then(Answer(202, {"x-seen": "yes"}, b"thanks"))
        answer = api.post(path, json={"event_type": "AINOTE"})
        assert answer.status_code == 200, answer.data
        told = answer.get_json()
        [request] = receiver.requests
        assert told["request"]["url"] == receiver.url()
        assert told["request"]["body"].encode() == request.body
        signature = told["request"]["headers"]["webhook-signature"]
        assert signature == request.headers["webhook-signature"]
        assert (request.headers["x-token"], told["request"]["headers"]["x-token"]) == (
            "sesame",
            "***",
        )
        assert (told["delivered"], told["error"]) == (True, None)
        assert (told["response"]["status"], told["response"]["body"]) == (202, "thanks")
        assert told["response"]["headers"]["x-seen"] == "yes"

        soon = api.post(path)
        assert (soon.status_code, soon.headers["Retry-After"]) == (429, "5")
        assert api.post(path, json={"event_type": 1}).status_code == 400
        assert add_caller(*scopes.READING).post(path).status_code == 403
    assert api.post(f"/v1/webhooks/{uuid4()}/test/").status_code == 404


def test_a_target_that_does_not_confirm_gets_no_subscription(api: FlaskClient) -> None:
    with Receiver() as receiver:
        body = {"event_type": "AINOTE", "target_url": receiver.url(), "verify": "options"}
        refused = api.post("/v1/webhooks/", json=body)
        assert (refused.status_code, "did not confirm" in refused.text) == (400, True)
        assert api.get("/v1/webhooks/").get_json()["count"] == 0
        receiver.then(Answer(200, {"WebHook-Allowed-Origin": "127.0.0.1"}))
        assert subscribe(api, **body)["verify"] == "options"
        assert api.post("/v1/webhooks/", json=body | {"verify": "shout"}).status_code == 400
        asked = len(receiver.requests)
        assert subscribe(api, verify="challenge")["verify"] is None, "Zapier is never asked"
        assert len(receiver.requests) == asked


def test_only_who_sees_as_much_turns_a_subscription_elsewhere(
    api: FlaskClient, add_caller: AddCaller
) -> None:
    path = f"/v1/webhooks/{subscribe(api)['id']}/"
    for caller in (
        add_caller(*scopes.DEFAULT, data=DataScope.ORG_NON_PRIVATE),
        add_caller("webhooks:manage"),
    ):
        assert caller.patch(path, json={"target_url": TARGET + "x"}).status_code == 403
    assert api.get(path).get_json()["target_url"] == TARGET
    assert add_caller(*scopes.DEFAULT).patch(path, json={"rate": 1}).status_code == 200


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_not_json_is_refused(api: FlaskClient, raw: bytes) -> None:
    answer = api.post("/v1/webhooks/", data=raw, content_type="application/json")

    assert answer.status_code == 400
    assert answer.content_type == "application/problem+json"


def test_only_what_a_key_may_read_can_be_subscribed_to(add_caller: AddCaller, parts: Parts) -> None:
    for event_type in parts.hooks.catalog:
        for scope in event_type.scopes:
            caller = add_caller(*event_type.needs - {scope})
            answer = caller.post(
                "/v1/webhooks/", json={"event_type": event_type.name, "target_url": TARGET}
            )
            assert answer.status_code == 403
            assert f'error="insufficient_scope", scope="{scope}"' in str(answer.headers)
            assert answer.json is not None
            assert scope in answer.json["detail"]
            assert caller.get("/v1/webhooks/").json == {"count": 0, "results": []}
    for event_type in parts.hooks.catalog:
        subscribe(add_caller(*event_type.needs), event_type=event_type.name)


def test_a_personal_key_has_no_say_in_what_others_set_up(
    api: FlaskClient, add_caller: AddCaller, member: User
) -> None:
    theirs = subscribe(api)
    personal = add_caller(*scopes.DEFAULT, data=DataScope.USER_FULL, owner_id=member.id)
    path = f"/v1/webhooks/{theirs['id']}/"
    assert personal.get("/v1/webhooks/").json == {"count": 0, "results": []}
    assert personal.get(path).status_code == personal.delete(path).status_code == 404
    assert api.get(path).get_json()["is_active"]

    own = subscribe(personal)
    path = f"/v1/webhooks/{own['id']}/"
    assert personal.get("/v1/webhooks/").get_json()["count"] == 1
    assert api.get("/v1/webhooks/").get_json()["count"] == 2
    assert personal.delete(path).status_code == api.get(path).status_code == 200


def test_an_unknown_subscription_is_not_found(api: FlaskClient) -> None:
    for call in (api.get, api.delete):
        answer = call(f"/v1/webhooks/{uuid4()}/")
        assert (answer.status_code, answer.content_type) == (404, "application/problem+json")


def test_a_key_that_dies_in_between_leaves_no_subscription_behind(
    api: FlaskClient, parts: Parts, issued: Issued, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deleted after the door and before the subscription: the delete has the last word."""

    def delete_meanwhile(url: str, allowed: object) -> None:
        check_target(url, allowed)  # type: ignore[arg-type]
        with parts.services.db.session() as session:
            parts.services.keys.delete(
                session,
                issued.key.id,
                organization_id=issued.key.organization_id,
                actor=SYSTEM,
            )

    monkeypatch.setattr("webhooks.subscriptions.check_target", delete_meanwhile)
    answer = api.post(
        "/v1/webhooks/", json={"event_type": "new_conversation", "target_url": TARGET}
    )

    assert answer.status_code == 401
    with parts.services.db.session() as session:
        assert parts.hooks.subscriptions.list(session, issued.key.organization_id) == []


def test_what_is_no_id_is_refused_at_the_door_as_everything_else(
    api: FlaskClient, client: FlaskClient
) -> None:
    assert client.get("/v1/webhooks/foo/").status_code == 401
    assert api.get("/v1/webhooks/foo/").status_code == 404
    assert api.delete("/v1/webhooks/foo/").status_code == 404


def test_answers_stay_out_of_caches(api: FlaskClient) -> None:
    for path in ("/v1/me/", "/v1/webhooks/", "/v1/nothing/"):
        answer = api.get(path)
        assert answer.headers["Cache-Control"] == "no-store", path
        assert answer.headers["X-Content-Type-Options"] == "nosniff", path


def opening(issued: Issued) -> str:
    return f"Bearer {issued.key.client_key}:{issued.client_secret.reveal()}"


def test_another_organizations_subscription_is_not_there(
    api: FlaskClient, client: FlaskClient, parts: Parts
) -> None:
    made = subscribe(api)
    with parts.services.db.session() as session:
        other = parts.services.accounts.create_organization(session, name="Contoso", actor=SYSTEM)
    with parts.services.db.session() as session:
        key = parts.services.keys.create(session, organization_id=other.id, name="k", actor=SYSTEM)
    client.environ_base["HTTP_AUTHORIZATION"] = opening(key)

    assert client.get("/v1/webhooks/").json == {"count": 0, "results": []}
    for call in (client.get, client.delete):
        assert call(f"/v1/webhooks/{made['id']}/").status_code == 404
    assert api.get(f"/v1/webhooks/{made['id']}/").json["is_active"] is True  # type: ignore[index]


def test_a_keys_death_is_the_end_of_its_subscriptions(
    api: FlaskClient, client: FlaskClient, parts: Parts, issued: Issued
) -> None:
    made = subscribe(api)
    organization_id = issued.key.organization_id
    with parts.services.db.session() as session:
        watcher = parts.services.keys.create(
            session, organization_id=organization_id, name="watcher", actor=SYSTEM
        )
    client.environ_base["HTTP_AUTHORIZATION"] = opening(watcher)

    with parts.services.db.session() as session:
        parts.services.keys.delete(
            session, issued.key.id, organization_id=organization_id, actor=SYSTEM
        )

    assert api.get("/v1/me/").status_code == 401
    answer = client.get(f"/v1/webhooks/{made['id']}/")
    assert answer.json is not None
    assert answer.json["is_active"] is False


def test_a_subscriber_chooses_which_parts_to_do_without(api: FlaskClient) -> None:
    made = subscribe(api, event_type="AINOTE", without=["transcript", "notes"])
    assert made["without"] == ["notes", "transcript"]
    path = f"/v1/webhooks/{made['id']}/"
    assert api.patch(path, json={"without": ["attendees"]}).get_json()["without"] == ["attendees"]
    assert api.patch(path, json={"event_type": "meeting.ended"}).get_json()["without"] == [
        "attendees"
    ]
    assert api.patch(path, json={"without": []}).get_json()["without"] == []
    refused = api.patch(path, json={"without": ["notes"]})
    assert refused.status_code == 400
    assert "choose from attendees, call, crm" in refused.get_json()["detail"]
