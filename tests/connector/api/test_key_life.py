"""A key's secrets over HTTP: replaced by those who have seen the present one, and not twice."""

from datetime import timedelta
from uuid import uuid4

import pytest

from keystore.clock import ManualClock
from keystore.rotation import KeyState
from tests.connector.api.office import MANAGE, Office, body, made, works

SEEN = {"If-Match": '"1"'}
DAY = timedelta(days=1)


def test_r1_r2_regenerating_changes_the_secret_and_nothing_else(
    office: Office, clock: ManualClock
) -> None:
    manager, issued = office.manager(), office.issue(rate_limit=30, allowed=["127.0.0.1"])
    path = f"/v1/keys/{issued.key.id}/"
    before = body(manager.get(path))
    clock.advance(60)

    answer = manager.post(path + "regenerate/", headers=SEEN)

    after = body(answer)
    secret = after.pop("client_secret")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["ETag"] == '"2"'
    assert after == before | {"generation": 2, "secret_created_at": "2026-01-01T00:01:00Z"}
    assert after == body(manager.get(path))
    assert works(office.client(after["client_key"], secret))


def test_a_planned_change_lets_the_old_secret_work_for_a_day_or_as_long_as_was_said(
    office: Office, clock: ManualClock
) -> None:
    manager = office.manager()
    for given, seconds in ((None, 86_400), ({}, 86_400), ({"overlap_seconds": 60}, 60)):
        issued = office.issue()
        path = f"/v1/keys/{issued.key.id}/regenerate/"
        new = body(manager.post(path, json=given, headers=SEEN))
        clock.advance(seconds - 1)
        assert works(office.holder(issued))
        clock.advance(1)
        assert not works(office.holder(issued))
        assert works(office.client(new["client_key"], new["client_secret"]))


@pytest.mark.parametrize("given", [{"compromised": True}, {"overlap_seconds": 0}])
def test_r6_what_is_compromised_dies_at_once(office: Office, given: dict[str, object]) -> None:
    manager, issued = office.manager(), office.issue()

    answer = manager.post(f"/v1/keys/{issued.key.id}/regenerate/", json=given, headers=SEEN)

    assert answer.status_code == 200
    assert not works(office.holder(issued))


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"compromised": True, "overlap_seconds": 60}, 400),
        ({"compromised": "yes"}, 400),
        ({"overlap_seconds": -1}, 400),
        ({"overlap_seconds": "60"}, 400),
        ({"overlap": 60}, 400),
        (["overlap_seconds"], 400),
        ({"overlap_seconds": 7 * 86_400 + 1}, 422),
    ],
)
def test_an_overlap_that_cannot_be_is_refused(office: Office, given: object, status: int) -> None:
    manager, issued = office.manager(), office.issue()

    answer = manager.post(f"/v1/keys/{issued.key.id}/regenerate/", json=given, headers=SEEN)

    assert answer.status_code == status, answer.data
    assert body(manager.get(f"/v1/keys/{issued.key.id}/"))["generation"] == 1


@pytest.mark.parametrize(
    ("header", "status"),
    [(None, 428), ("*", 428), ('"2"', 412), ("1", 412), ('W/"1"', 412), ('"1", "2"', 412)],
)
def test_nobody_regenerates_without_having_seen_the_present_generation(
    office: Office, header: str | None, status: int
) -> None:
    manager, issued = office.manager(), office.issue()
    headers = {} if header is None else {"If-Match": header}

    answer = manager.post(f"/v1/keys/{issued.key.id}/regenerate/", headers=headers)

    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    assert works(office.holder(issued))


def test_every_change_can_be_bound_to_the_generation_that_was_seen(office: Office) -> None:
    manager, issued = office.manager(), office.issue()
    path = f"/v1/keys/{issued.key.id}/"
    manager.post(path + "regenerate/", headers=SEEN)
    for answer in (
        manager.patch(path, json={"name": "x"}, headers=SEEN),
        manager.post(path + "disable/", headers=SEEN),
        manager.post(path + "finish/", headers=SEEN),
        manager.delete(path, headers=SEEN),
    ):
        assert answer.status_code == 412
    assert works(office.holder(issued)), "its overlap goes on"
    assert manager.delete(path, headers={"If-Match": '"2"'}).status_code == 200


def test_a_key_regenerates_itself_and_goes_on_with_the_new_secret(office: Office) -> None:
    issued = office.issue(MANAGE)
    old = office.holder(issued)

    new = body(old.post("/v1/keys/self/regenerate/", headers=SEEN))

    fresh = office.client(new["client_key"], new["client_secret"])
    assert works(old)
    assert works(fresh)
    assert fresh.post("/v1/keys/self/finish/").status_code == 200
    assert not works(old)
    assert works(fresh)


def test_r5_what_sleeps_or_is_over_is_not_regenerated(office: Office, clock: ManualClock) -> None:
    manager = office.manager()
    asleep = office.issue().key
    over = office.issue(expires_at=clock.now() + DAY).key
    manager.post(f"/v1/keys/{asleep.id}/disable/")
    clock.advance(DAY)
    for key, state in ((asleep, KeyState.DISABLED), (over, KeyState.EXPIRED)):
        answer = manager.post(f"/v1/keys/{key.id}/regenerate/", headers=SEEN)
        assert answer.status_code == 409
        assert state in body(answer)["detail"]
        assert body(manager.get(f"/v1/keys/{key.id}/"))["generation"] == 1
    assert manager.post(f"/v1/keys/{asleep.id}/enable/").status_code == 200
    assert manager.post(f"/v1/keys/{over.id}/enable/").status_code == 409


def test_r9_a_lost_answer_is_asked_for_again_without_a_second_change(office: Office) -> None:
    """The old secret works on, so whoever has lost the new one is not locked out."""
    issued = office.issue(MANAGE)
    client = office.holder(issued)
    named = SEEN | {"Idempotency-Key": f'"{uuid4()}"'}

    lost = client.post("/v1/keys/self/regenerate/", headers=named)
    again = client.post("/v1/keys/self/regenerate/", headers=named)

    assert lost.status_code == again.status_code == 200
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.headers["ETag"] == '"2"'
    told = body(again)
    assert (told["id"], told["generation"]) == (str(issued.key.id), 2)
    assert told["client_secret"] is None
    assert "cannot be shown again" in told["detail"]
    assert body(client.get("/v1/keys/self/"))["generation"] == 2
    found = client.post(
        "/v1/keys/self/regenerate/",
        headers={"If-Match": again.headers["ETag"], "Idempotency-Key": str(uuid4())},
    )
    new = body(found)
    assert works(office.client(new["client_key"], new["client_secret"]))
    done = [entry for entry in office.log() if entry[:2] == ("key.regenerated", "done")]
    assert len(done) == 2, "each was done once"


def test_r9_a_key_is_made_once_however_often_it_is_asked_for(office: Office) -> None:
    manager, named = office.manager(), {"Idempotency-Key": "deploy-17"}
    wanted = {"name": "Zapier", "scopes": ["meetings:read"]}

    key = made(manager.post("/v1/keys/", json=wanted, headers=named))
    spelled = '{ "scopes": ["meetings:read"],  "name": "Zapier" }'
    again = manager.post("/v1/keys", data=spelled, headers=named)

    assert again.status_code == 200
    assert body(again)["id"] == key["id"]
    assert body(again)["client_secret"] is None
    assert body(manager.get("/v1/keys/"))["count"] == 2


def test_r9_a_name_is_for_one_request_of_one_key_for_a_day(
    office: Office, clock: ManualClock
) -> None:
    manager, other = office.manager(), office.manager()
    named = {"Idempotency-Key": "1"}
    wanted = {"name": "Zapier", "scopes": []}
    made(manager.post("/v1/keys/", json=wanted, headers=named))

    for more in ({"name": "n8n"}, {"scopes": ["meetings:read"]}):
        reused = manager.post("/v1/keys/", json=wanted | more, headers=named)
        assert reused.status_code == 422
        assert "different request" in body(reused)["detail"]
    assert manager.post("/v1/keys/self/disable/", headers=named).status_code == 422
    made(other.post("/v1/keys/", json=wanted | {"name": "n8n"}, headers=named))
    clock.advance(DAY)
    taken = manager.post("/v1/keys/", json=wanted, headers=named)
    assert taken.status_code == 409, "asked for anew, and the name of the key is taken"


def test_a_request_that_was_refused_may_come_again_under_its_name(office: Office) -> None:
    manager, named = office.manager(), {"Idempotency-Key": "1"}
    taken = office.issue(name="Zapier").key
    wanted = {"name": "Zapier", "scopes": []}
    assert manager.post("/v1/keys/", json=wanted, headers=named).status_code == 409
    manager.delete(f"/v1/keys/{taken.id}/")

    made(manager.post("/v1/keys/", json=wanted, headers=named))


@pytest.mark.parametrize("name", ["", '"', "ü", "x" * 256, "two words"])
def test_a_name_that_is_none_is_refused(office: Office, name: str) -> None:
    answer = office.manager().post(
        "/v1/keys/",
        json={"name": "Zapier", "scopes": []},
        headers={"Idempotency-Key": name},
    )

    assert answer.status_code == 400
    assert "Idempotency-Key" in body(answer)["detail"]


def test_uses_say_which_secret_is_still_used_from_where_and_what_depends(office: Office) -> None:
    manager, issued = office.manager(), office.issue(MANAGE)
    subscribed = office.holder(issued).post(
        "/v1/webhooks/",
        json={"event_type": "AINOTE", "target_url": "https://hooks.example.com/1"},
        headers={"User-Agent": "n8n"},
    )
    assert subscribed.status_code == 201
    path = f"/v1/keys/{issued.key.id}/"
    manager.post(path + "regenerate/", json={"overlap_seconds": 3600}, headers=SEEN)
    office.parts.services.uses.flush(office.parts.services.db)

    told = body(manager.get(path + "uses/"))

    assert told["requests_last_7_days"] == 1
    current, retiring = told["secrets"]
    assert (current["generation"], current["state"]) == (2, "current")
    assert (current["last_used_at"], current["until"]) == (None, None)
    assert retiring == {
        "generation": 1,
        "state": "retiring",
        "created_at": "2026-01-01T00:00:00Z",
        "until": "2026-01-01T01:00:00Z",
        "last_used_at": "2026-01-01T00:00:00Z",
        "address": "127.0.0.1",
        "agent": "n8n",
    }
    assert [one["count"] for one in told["dependents"]] == [1]
    manager.delete(path)
    assert body(manager.get(path + "uses/"))["secrets"] == []


def test_an_action_takes_no_fields(office: Office) -> None:
    manager, issued = office.manager(), office.issue()

    answer = manager.post(f"/v1/keys/{issued.key.id}/disable/", json={"until": "tomorrow"})

    assert answer.status_code == 400
    assert works(office.holder(issued))
