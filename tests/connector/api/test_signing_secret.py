"""The organization's signing secret, as the contract has it, and rotating a subscription's own."""

import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from keystore import scopes
from keystore.models import User
from keystore.scopes import DataScope
from tests.connector.api.conftest import AddCaller
from tests.connector.api.test_webhooks import subscribe

PATH = "/v1/webhooks/signing-secret/"
CHOSEN = {"signing_secret": "chosen by Northwind itself"}


def test_the_secret_is_chosen_read_rotated_and_removed(api: FlaskClient) -> None:
    assert api.get(PATH).json == {"signing_secret": ""}
    chosen = {"signing_secret": "chosen-by-Northwind-itself"}
    assert api.patch(PATH, json=chosen).json == chosen
    assert api.get(PATH).json == chosen
    rotated = api.post(PATH + "rotate/")
    assert rotated.status_code == 200
    assert re.fullmatch("[0-9a-f]{64}", rotated.get_json()["signing_secret"])
    read = api.get(PATH)
    assert (read.json, read.headers["Cache-Control"]) == (rotated.json, "no-store")
    for _ in range(2):
        gone = api.delete(PATH)
        assert (gone.status_code, gone.data) == (204, b"")
    assert api.get(PATH).json == {"signing_secret": ""}


def test_an_empty_secret_is_none(api: FlaskClient) -> None:
    api.post(PATH + "rotate/")
    assert api.patch(PATH, json={"signing_secret": ""}).json == {"signing_secret": ""}
    assert api.get(PATH).json == {"signing_secret": ""}


@pytest.mark.parametrize(
    "body", [{}, [], {"signing_secret": None}, {"signing_secret": "short"}, CHOSEN, {"x": 1}]
)
def test_what_cannot_be_a_secret_is_refused(api: FlaskClient, body: object) -> None:
    answer = api.patch(PATH, json=body)
    assert answer.status_code == 400
    assert "signing_secret" in answer.get_json()["detail"]
    assert api.get(PATH).json == {"signing_secret": ""}


def test_it_is_for_keys_of_the_organization_that_manage_webhooks(
    api: FlaskClient, add_caller: AddCaller, member: User, stranger: FlaskClient
) -> None:
    api.post(PATH + "rotate/")
    personal = add_caller(*scopes.DEFAULT, data=DataScope.USER_FULL, owner_id=member.id)
    for caller in (personal, add_caller(*scopes.DEFAULT - {"webhooks:manage"})):
        for call in (caller.get, caller.delete):
            assert call(PATH).status_code == 403
        assert caller.patch(PATH, json={"signing_secret": ""}).status_code == 403
        assert caller.post(PATH + "rotate/").status_code == 403
    assert stranger.get(PATH).json == {"signing_secret": ""}
    assert api.get(PATH).get_json()["signing_secret"] != ""


def test_a_subscriptions_own_secret_is_rotated(api: FlaskClient, add_caller: AddCaller) -> None:
    made = subscribe(api)
    path = f"/v1/webhooks/{made['id']}/"

    def rotate(**how: Any) -> dict[str, Any]:
        answer = api.post(path + "rotate/", **how)
        assert answer.status_code == 200, answer.data
        return dict(answer.get_json())

    rotated = rotate()
    assert rotated["signing_secret"].startswith("whsec_")
    assert rotated["signing_secret"] != made["signing_secret"]
    assert rotated["former_secret_until"]
    shown = api.get(path).get_json()
    assert shown["former_secret_until"] == rotated["former_secret_until"]
    assert "signing_secret" not in shown
    assert "former_secret_until" not in rotate(json={"overlap_seconds": 0})
    for wrong in ({"overlap_seconds": 8 * 86_400}, {"overlap_seconds": -1}, {"overlap": 1}, [1]):
        assert api.post(path + "rotate/", json=wrong).status_code == 400
    narrow = add_caller(*scopes.DEFAULT, data=DataScope.ORG_NON_PRIVATE)
    assert narrow.post(path + "rotate/").status_code == 403
    assert api.post("/v1/webhooks/no-id/rotate/").status_code == 404


def test_a_key_pair_is_rotated_in_the_same_way(api: FlaskClient) -> None:
    made = subscribe(api, scheme="v1a")
    rotated = api.post(f"/v1/webhooks/{made['id']}/rotate/").get_json()
    assert rotated["public_key"].startswith("whpk_")
    assert rotated["public_key"] != made["public_key"]
    assert "signing_secret" not in rotated
