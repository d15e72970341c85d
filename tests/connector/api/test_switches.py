"""Switching a subscription off and on again over the API."""

from uuid import uuid4

import pytest
from flask.testing import FlaskClient

from keystore.models import User
from keystore.scopes import DataScope
from tests.connector.api.conftest import AddCaller
from tests.connector.api.test_webhooks import subscribe


def test_a_subscription_is_switched_off_and_on_again_and_again(api: FlaskClient) -> None:
    path = f"/v1/webhooks/{subscribe(api)['id']}/"
    for action, is_active in (("disable", False), ("disable", False), ("enable", True)):
        answer = api.post(f"{path}{action}/")
        assert (answer.status_code, answer.get_json()["is_active"]) == (200, is_active)
        assert api.get(path).get_json()["is_active"] is is_active


@pytest.mark.parametrize("action", ["enable", "disable"])
def test_one_that_has_ended_stays_so(api: FlaskClient, action: str) -> None:
    path = f"/v1/webhooks/{subscribe(api)['id']}/"
    api.delete(path)
    answer = api.post(f"{path}{action}/")
    assert answer.status_code == 409
    assert api.get(path).get_json()["is_active"] is False
    assert api.post(f"/v1/webhooks/{uuid4()}/{action}/").status_code == 404


def test_a_personal_key_has_no_say_in_what_others_set_up(
    api: FlaskClient, add_caller: AddCaller, member: User
) -> None:
    path = f"/v1/webhooks/{subscribe(api)['id']}/"
    personal = add_caller("webhooks:manage", data=DataScope.USER_FULL, owner_id=member.id)
    assert personal.post(f"{path}disable/").status_code == 404
    assert api.get(path).get_json()["is_active"] is True
