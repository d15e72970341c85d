"""Keys that manage keys, over HTTP: what they may, and what they find out."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.keys import Issued
from keystore.models import User
from keystore.scopes import OPERATIONS, DataScope
from tests.connector.api.office import MANAGE, Office, body, made, works


def test_a_key_makes_a_key_whose_secret_is_shown_once(office: Office) -> None:
    manager = office.manager(name="Terraform")

    answer = manager.post("/v1/keys", json={"name": "Zapier", "scopes": ["meetings:read"]})

    key = made(answer)
    assert answer.headers["Location"] == f"http://127.0.0.1:8400/v1/keys/{key['id']}/"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["ETag"] == '"1"'
    assert works(office.client(key["client_key"], key["client_secret"]))
    shown = manager.get(f"/v1/keys/{key['id']}/")
    assert shown.headers["ETag"] == '"1"'
    assert body(shown) == {name: key[name] for name in key if name != "client_secret"}
    assert body(shown) == {
        "id": key["id"],
        "name": "Zapier",
        "client_key": key["client_key"],
        "state": "active",
        "scopes": ["meetings:read"],
        "data_scope": "org_full",
        "owner": None,
        "networks": [],
        "rate_limit": None,
        "expires_at": None,
        "generation": 1,
        "created_at": "2026-01-01T00:00:00Z",
        "secret_created_at": "2026-01-01T00:00:00Z",
        "disabled_at": None,
        "deleted_at": None,
    }
    assert office.log() == [("key.created", "done", None)]


def test_what_is_left_out_is_as_with_the_calling_key(
    office: Office, clock: ManualClock, admin: User
) -> None:
    end = clock.now() + timedelta(days=3)
    manager = office.manager(
        data=DataScope.USER_NON_PRIVATE,
        owner_id=admin.id,
        expires_at=end,
        allowed=["127.0.0.0/8"],
        rate_limit=500,
    )

    key = made(manager.post("/v1/keys/", json={"name": "n8n", "scopes": []}))

    assert (key["data_scope"], key["owner"]) == ("user_non_private", admin.email)
    assert (key["expires_at"], key["networks"]) == ("2026-01-04T00:00:00Z", ["127.0.0.0/8"])
    assert (key["rate_limit"], key["scopes"]) == (500, [])


def test_z1_nothing_beyond_the_calling_key_is_made(
    office: Office, clock: ManualClock, admin: User, member: User
) -> None:
    manager = office.manager(
        MANAGE - {"meetings:write"},
        data=DataScope.USER_NON_PRIVATE,
        owner_id=admin.id,
        expires_at=clock.now() + timedelta(days=3),
        allowed=["127.0.0.0/8"],
        rate_limit=500,
    )
    for more, word in (
        ({"scopes": ["meetings:write"]}, "meetings:write"),
        ({"data_scope": "user_full"}, "does not see"),
        ({"data_scope": "org_non_private"}, "does not see"),
        ({"owner": member.email}, "does not see"),
        ({"expires_at": None}, "ends at"),
        ({"expires_at": "2026-01-04T00:00:00.000001Z"}, "ends at"),
        ({"networks": []}, "127.0.0.0/8 only"),
        ({"networks": ["126.0.0.0/7"]}, "127.0.0.0/8 only"),
        ({"rate_limit": 501}, "500 a minute"),
        ({"rate_limit": None}, "500 a minute"),
    ):
        answer = manager.post("/v1/keys/", json={"name": "n8n", "scopes": ["keys:manage"]} | more)
        assert (answer.status_code, word in body(answer)["detail"]) == (403, True), (more, word)
    assert {entry[1:] for entry in office.log()} == {("refused", "BeyondItself")}
    assert body(manager.get("/v1/keys/"))["count"] == 1, "itself"


def test_a_body_that_is_wrong_is_told_all_at_once(office: Office) -> None:
    manager = office.manager()

    answer = manager.post(
        "/v1/keys/",
        json={"scopes": "all", "expires_at": "tomorrow", "rate_limit": 0, "secret": "x"},
    )

    assert answer.status_code == 400
    assert {"name", "scopes", "expires_at", "rate_limit", "secret"} <= body(answer).keys()


@pytest.mark.parametrize(
    ("more", "status", "field"),
    [
        ({"name": " "}, 422, "name"),
        ({"name": "taken"}, 409, "detail"),
        ({"scopes": ["everything"]}, 422, "scopes"),
        ({"data_scope": "legacy"}, 400, "data_scope"),
        ({"data_scope": "user_full"}, 422, "scopes"),
        ({"data_scope": "user_full", "owner": "nobody@northwind.example"}, 422, "owner"),
        ({"expires_at": "2025-12-31T23:59:59Z"}, 422, "expires_at"),
        ({"networks": ["somewhere"]}, 422, "networks"),
    ],
)
def test_what_breaks_a_rule_is_refused_by_name(
    office: Office, more: dict[str, Any], status: int, field: str
) -> None:
    office.issue(name="taken")

    answer = office.manager().post("/v1/keys/", json={"name": "n8n", "scopes": []} | more)

    assert answer.status_code == status, answer.data
    assert field in body(answer)


def test_the_list_has_pages_and_a_filter_by_state(office: Office, clock: ManualClock) -> None:
    manager = office.manager(name="Terraform")
    for name in ("active", "disabled", "expired", "deleted"):
        clock.advance(1)
        made(
            manager.post(
                "/v1/keys/",
                json={
                    "name": name,
                    "scopes": ["meetings:read"],
                    "expires_at": "2026-01-02T00:00:00Z" if name == "expired" else None,
                },
            )
        )
    ids = {one["name"]: one["id"] for one in body(manager.get("/v1/keys/"))["results"]}
    manager.post(f"/v1/keys/{ids['disabled']}/disable/")
    manager.delete(f"/v1/keys/{ids['deleted']}/")
    clock.advance(timedelta(days=1))

    for state in ("disabled", "expired", "deleted"):
        found = body(manager.get(f"/v1/keys/?state={state}"))
        assert [one["name"] for one in found["results"]] == [state]
        assert {one["state"] for one in found["results"]} == {state}
    page = body(manager.get("/v1/keys/?page_size=3"))
    assert [one["name"] for one in page["results"]] == ["expired", "disabled", "active"]
    assert (page["count"], page["previous"]) == (4, None)
    rest = body(manager.get(page["next"].removeprefix("http://127.0.0.1:8400")))
    assert [one["name"] for one in rest["results"]] == ["Terraform"]
    assert manager.get("/v1/keys/?state=gone&page=0").status_code == 400


def everything(office: Office, manager: FlaskClient, key_id: UUID) -> dict[str, TestResponse]:
    """Try with a key all that there is."""
    path = f"/v1/keys/{key_id}/"
    if_match = {"If-Match": '"1"'}
    spike = {"rate_limit": 100, "ends_at": "2026-01-02T00:00:00Z", "reason": "Import"}
    return {
        "show": manager.get(path),
        "uses": manager.get(path + "uses/"),
        "spikes": manager.get(path + "spikes/"),
        "rename": manager.patch(path, json={"name": uuid4().hex}),
        "expire": manager.patch(path, json={"expires_at": "2026-01-02T00:00:00Z"}),
        "rescope": manager.patch(path, json={"scopes": []}),
        "networks": manager.patch(path, json={"networks": ["127.0.0.1"]}),
        "limit": manager.patch(path, json={"rate_limit": 10}),
        "regenerate": manager.post(path + "regenerate/", json={}, headers=if_match),
        "finish": manager.post(path + "finish/"),
        "disable": manager.post(path + "disable/"),
        "enable": manager.post(path + "enable/"),
        "spike": manager.post(path + "spikes/", json=spike),
        "unspike": manager.delete(f"{path}spikes/{uuid4()}/"),
        "delete": manager.delete(path),
    }


def told(answer: TestResponse) -> tuple[bytes, dict[str, str]]:
    """Return all that an answer tells, but for how often the caller may ask."""
    headers = {name: value for name, value in answer.headers if not name.startswith("RateLimit")}
    return answer.data, headers


def test_z1_a_key_that_may_more_is_not_there_for_one_that_may_less(
    office: Office, admin: User, member: User
) -> None:
    """No answer differs from that for a key that was never there; and nothing happens to it."""
    private = office.manager(data=DataScope.ORG_NON_PRIVATE)
    adas = office.manager(data=DataScope.USER_FULL, owner_id=admin.id)
    modest = office.manager(frozenset({"keys:manage"}))
    full = office.issue()
    mels = office.issue(data=DataScope.USER_FULL, owner_id=member.id)
    for manager, beyond in ((private, full), (adas, full), (adas, mels), (modest, full)):
        nothing = everything(office, manager, uuid4())
        for what, answer in everything(office, manager, beyond.key.id).items():
            assert answer.status_code == 404, what
            assert told(answer) == told(nothing[what]), what
        assert works(office.holder(beyond))
        seen = body(manager.get("/v1/keys/?page_size=100"))
        assert str(beyond.key.id) not in {one["id"] for one in seen["results"]}
        assert seen["count"] == len(seen["results"])
    assert ("key.deleted", "refused", "NotYourKey") in office.log()


def test_z1_a_deleted_key_that_could_more_is_not_there_either(office: Office) -> None:
    deleted = office.issue()
    office.manager().delete(f"/v1/keys/{deleted.key.id}/")
    modest = office.manager(frozenset({"keys:manage"}))

    assert modest.get(f"/v1/keys/{deleted.key.id}/").status_code == 404
    assert body(modest.get("/v1/keys/?state=deleted"))["count"] == 0


def test_another_organizations_keys_are_not_there(office: Office) -> None:
    with office.parts.services.db.session() as session:
        other = office.parts.services.accounts.create_organization(
            session, name="Southwind", actor=SYSTEM
        )
    theirs = office.issue(organization_id=other.id)
    manager = office.manager()

    assert {one.status_code for one in everything(office, manager, theirs.key.id).values()} == {404}
    assert works(office.holder(theirs))


def test_z1_a_key_that_lasts_longer_or_from_more_places_is_seen_and_ended_but_not_changed(
    office: Office, clock: ManualClock
) -> None:
    """Its new secret would be more than the one that the caller holds."""
    for bound in (
        {"expires_at": clock.now() + timedelta(days=3)},
        {"allowed": ["127.0.0.0/8"]},
    ):
        manager, wide = office.manager(**bound), office.issue()
        path = f"/v1/keys/{wide.key.id}/"
        if_match = {"If-Match": '"1"'}
        assert manager.get(path).status_code == 200
        assert manager.post(path + "regenerate/", headers=if_match).status_code == 403
        assert manager.patch(path, json={"name": uuid4().hex}).status_code == 403
        assert manager.post(path + "disable/").status_code == 200
        assert manager.post(path + "enable/").status_code == 403
        assert not works(office.holder(wide))
        assert manager.delete(path).status_code == 200


def test_each_thing_about_a_key_is_changed_by_itself(office: Office, member: User) -> None:
    manager = office.manager()
    path = f"/v1/keys/{office.issue().key.id}/"
    for change, expected in (
        ({"name": "Zapier (sales)"}, {}),
        ({"expires_at": "2026-02-01T00:00:00+01:00"}, {"expires_at": "2026-01-31T23:00:00Z"}),
        ({"networks": ["127.0.0.1"]}, {"networks": ["127.0.0.1/32"]}),
        ({"networks": []}, {}),
        ({"rate_limit": 30}, {}),
        ({"rate_limit": None}, {}),
        ({"scopes": ["notes:read"]}, {}),
        ({"data_scope": "user_full", "owner": member.email}, {}),
        ({"data_scope": "user_non_private"}, {"owner": member.email}),
        ({"data_scope": "org_full", "scopes": []}, {"owner": None}),
        ({"expires_at": None}, {}),
    ):
        answer = manager.patch(path, json=change)
        assert answer.status_code == 200, answer.data
        assert body(answer).items() >= (change | expected).items()
        assert body(answer) == body(manager.get(path))
        assert answer.headers["ETag"] == '"1"', "that is the secret's"
    assert [outcome for _, outcome, _ in office.log()] == ["done"] * 11


@pytest.mark.parametrize(
    "change",
    [{}, {"name": "x", "rate_limit": 5}, {"client_key": "x"}, {"scopes": ["x"], "name": "y"}],
)
def test_two_changes_at_once_or_none_are_refused_whole(
    office: Office, change: dict[str, Any]
) -> None:
    manager, issued = office.manager(), office.issue(name="Zapier")
    path = f"/v1/keys/{issued.key.id}/"
    before = body(manager.get(path))

    assert manager.patch(path, json=change).status_code == 400
    assert body(manager.get(path)) == before


WIDER: list[dict[str, Any]] = [
    {"scopes": sorted(OPERATIONS)},
    {"data_scope": "org_full"},
    {"data_scope": "user_full", "owner": "mel@northwind.example"},
    {"expires_at": None},
    {"expires_at": "2026-01-05T00:00:00Z"},
    {"networks": []},
    {"networks": ["0.0.0.0/0"]},
    {"rate_limit": 501},
    {"rate_limit": None},
]
LESS: list[dict[str, Any]] = [
    {"expires_at": "2026-01-03T00:00:00Z"},
    {"networks": ["127.0.0.0/8"]},
    {"rate_limit": 30},
    {"scopes": ["keys:manage"]},
    {"scopes": []},
]


def test_z1_no_key_widens_itself_or_another(
    office: Office, clock: ManualClock, member: User
) -> None:
    end = clock.now() + timedelta(days=3)
    manager = office.manager(
        MANAGE - {"meetings:write"},
        data=DataScope.ORG_NON_PRIVATE,
        expires_at=end,
        allowed=["127.0.0.0/8"],
        rate_limit=500,
    )
    other = made(manager.post("/v1/keys/", json={"name": "n8n", "scopes": []}))
    for which in ("self", other["id"]):
        before = body(manager.get(f"/v1/keys/{which}/"))
        for change in WIDER:
            assert manager.patch(f"/v1/keys/{which}/", json=change).status_code == 403, change
        assert body(manager.get(f"/v1/keys/{which}/")) == before


def test_a_key_may_make_itself_less(office: Office) -> None:
    manager = office.manager()
    for change in LESS:
        answer = manager.patch("/v1/keys/self/", json=change)
        assert answer.status_code == 200, (change, answer.data)
    assert manager.patch("/v1/keys/self/", json={"name": "x"}).status_code == 403
    assert works(manager)


@pytest.mark.parametrize(
    ("method", "path", "state"),
    [("POST", "/v1/keys/self/disable/", "disabled"), ("DELETE", "/v1/keys/self/", "deleted")],
)
def test_a_key_may_put_itself_to_sleep_or_end_itself(
    office: Office, method: str, path: str, state: str
) -> None:
    manager = office.manager()

    answer = manager.open(path, method=method)

    assert (answer.status_code, body(answer)["state"]) == (200, state)
    assert not works(manager)


def test_any_key_may_read_itself_and_no_more(office: Office) -> None:
    plain = office.issue(name="Zapier")
    zapier = office.holder(plain)

    assert body(zapier.get("/v1/keys/self/"))["id"] == str(plain.key.id)
    assert zapier.get("/v1/keys/self/uses/").status_code == 200
    assert zapier.get("/v1/keys/self/spikes/").status_code == 200
    for answer in (
        zapier.get("/v1/keys/"),
        zapier.get(f"/v1/keys/{plain.key.id}/"),
        zapier.patch("/v1/keys/self/", json={"name": "x"}),
        zapier.post("/v1/keys/self/regenerate/", headers={"If-Match": '"1"'}),
        zapier.delete("/v1/keys/self/"),
    ):
        assert answer.status_code == 403
        assert (
            'error="insufficient_scope", scope="keys:manage"' in answer.headers["WWW-Authenticate"]
        )


def test_deleting_twice_gives_the_same_answer(office: Office) -> None:
    manager, path = office.manager(), f"/v1/keys/{office.issue(name='Zapier').key.id}/"

    first, second = manager.delete(path), manager.delete(path)

    assert (first.status_code, second.status_code) == (200, 200)
    assert body(first) == body(second) == body(manager.get(path))
    assert body(first)["state"] == "deleted"
    assert made(manager.post("/v1/keys/", json={"name": "Zapier", "scopes": []}))


def test_z1_an_access_token_with_fewer_scopes_is_less_than_its_key(office: Office) -> None:
    issued = office.issue(MANAGE)
    got = office.app.test_client().post(
        "/oauth/token",
        data={
            "grant_type": "client_credentials",
            "client_id": issued.key.client_key,
            "client_secret": issued.client_secret.reveal(),
            "scope": "keys:manage",
        },
    )
    token = office.app.test_client()
    token.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {body(got)['access_token']}"

    assert body(token.get("/v1/keys/self/"))["id"] == str(issued.key.id)
    refused = token.post("/v1/keys/", json={"name": "x", "scopes": ["meetings:read"]})
    assert refused.status_code == 403
    assert made(token.post("/v1/keys/", json={"name": "x", "scopes": ["keys:manage"]}))
    took = token.post("/v1/keys/self/regenerate/", headers={"If-Match": '"1"'})
    assert took.status_code == 403, "the new secret would be good for all of the key's scopes"


@pytest.mark.parametrize("shown", ["secret", "token"])
def test_z1_a_credential_that_ends_while_its_request_is_under_way_gets_the_one_401(
    office: Office, monkeypatch: pytest.MonkeyPatch, shown: str
) -> None:
    """An admin's click is faster than the change of somebody who was let in before it."""
    issued, services = office.issue(MANAGE), office.parts.services
    caller = office.holder(issued)
    if shown == "token":
        secret = issued.client_secret.reveal()
        given = {"client_id": issued.key.client_key, "client_secret": secret}
        given["grant_type"] = "client_credentials"
        text = body(caller.post("/oauth/token", data=given, headers={"Authorization": ""}))
        caller.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {text['access_token']}"
    create = services.keys.create

    def after_the_click(session: Session, **given: Any) -> Issued:
        with services.db.session() as admins:
            if shown == "token":
                token = services.verification.by_token(text["access_token"])
                assert token is not None
                services.tokens.revoke(admins, token)
            else:
                services.keys.regenerate(
                    admins,
                    issued.key.id,
                    organization_id=office.organization.id,
                    generation=1,
                    actor=SYSTEM,
                )
        return create(session, **given)

    monkeypatch.setattr(services.keys, "create", after_the_click)
    refused = caller.post("/v1/keys/", json={"name": "Mine now", "scopes": ["keys:manage"]})
    monkeypatch.undo()

    at_the_door = caller.get("/v1/keys/")
    assert (refused.status_code, body(refused)) == (401, body(at_the_door))
    assert refused.headers["WWW-Authenticate"] == at_the_door.headers["WWW-Authenticate"]
    assert office.log() == [("key.created", "refused", "CallerOver")]
    with services.db.session() as session:
        kept = services.keys.list(session, office.organization.id, actor=SYSTEM)
    assert [key.id for key in kept] == [issued.key.id]
