"""Requests whose credential ends after they were let in: an admin's click is faster."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from connector import auth
from keystore import access, scopes
from keystore.audit import SYSTEM
from keystore.keys import Issued
from keystore.models import Outcome
from keystore.verification import VerifiedKey
from tests.connector.api.conftest import AddCaller
from tests.connector.api.office import Office
from tests.connector.api.test_webhooks import TARGET, subscribe
from tests.connector.bookings import support as bookings
from tests.connector.meetings import support as meetings

ONE = "/v1/webhooks/<subscription_id>/"
MEETING_ROUTE = "/v1/meetings/<meeting_uuid>/"
#: What each change is sent, by its method and route. Those of keys are told of in `test_keys`.
CHANGES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/v1/webhooks/"): {"event_type": "new_conversation", "target_url": TARGET + "mine/"},
    ("PATCH", ONE): {"target_url": TARGET + "mine/"},
    ("DELETE", ONE): {},
    ("POST", f"{ONE}test/"): {},
    ("POST", f"{ONE}rotate/"): {},
    ("POST", f"{ONE}enable/"): {},
    ("POST", f"{ONE}disable/"): {},
    ("POST", f"{ONE}recover/"): {"since": "2026-01-01"},
    ("POST", f"{ONE}redeliver/"): {"state": "failed"},
    ("POST", f"{ONE}deliveries/<delivery_id>/redeliver/"): {},
    ("DELETE", f"{ONE}recoveries/<recovery_id>/"): {},
    ("PATCH", "/v1/webhooks/signing-secret/"): {"signing_secret": "mine" * 8},
    ("DELETE", "/v1/webhooks/signing-secret/"): {},
    ("POST", "/v1/webhooks/signing-secret/rotate/"): {},
    ("PUT", MEETING_ROUTE): meetings.sent(subject="Mine"),
    ("PATCH", MEETING_ROUTE): {"outcome": {"label": "Mine"}},
    ("PUT", "/v1/bookings/<booking_uuid>/"): bookings.sent(state="canceled"),
}


def changing(app: Flask) -> Iterator[tuple[str, str]]:
    for rule in app.url_map.iter_rules():
        guard = getattr(app.view_functions[rule.endpoint], "access", access.Access(""))
        if guard.who.startswith("scope:") and not rule.rule.startswith("/v1/keys/"):
            for method in (rule.methods or set()) - {"GET", "HEAD", "OPTIONS"}:
                yield method, rule.rule


def test_every_change_is_among_these(app: Flask) -> None:
    assert set(changing(app)) == set(CHANGES)


@pytest.mark.parametrize(("method", "route"), CHANGES)
def test_z1_nothing_changes_by_a_credential_that_ended_meanwhile(
    api: FlaskClient,
    add_caller: AddCaller,
    office: Office,
    issued: Issued,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    route: str,
) -> None:
    witness, services = add_caller(*scopes.DEFAULT), office.parts.services
    made = subscribe(api)
    api.patch("/v1/webhooks/signing-secret/", json={"signing_secret": "before" * 4})
    job = api.post(f"/v1/webhooks/{made['id']}/recover/", json={"since": "2026-01-01"}).get_json()
    api.put(f"/v1/meetings/{meetings.MEETING}/", json=meetings.sent())
    api.put(f"/v1/bookings/{bookings.BOOKING}/", json=bookings.sent())
    named = {
        "subscription_id": made["id"],
        "delivery_id": 1,
        "recovery_id": job["id"],
        "meeting_uuid": meetings.MEETING,
        "booking_uuid": bookings.BOOKING,
    }
    path = route
    for name, value in named.items():
        path = path.replace(f"<{name}>", str(value))

    def seen() -> list[Any]:
        of_one = ("", "deliveries/", f"recoveries/{job['id']}/")
        places = ["", "signing-secret/", *(f"{made['id']}/{place}" for place in of_one)]
        places = [f"/v1/webhooks/{place}" for place in places]
        places += ["/v1/meetings/?from_date=2020-01-01&to_date=2030-01-01"]
        places += [f"/v1/events/{one}/samples/" for one in (bookings.BOOKED, bookings.CANCELED)]
        answers = [witness.get(place) for place in places]
        assert {answer.status_code for answer in answers} == {200}
        return [answer.get_json() for answer in answers]

    before, let_in = seen(), auth._admit

    def and_then_the_click(key: VerifiedKey, *rest: Any) -> None:
        let_in(key, *rest)
        with services.db.session() as session:
            services.keys.regenerate(
                session,
                issued.key.id,
                organization_id=issued.key.organization_id,
                generation=1,
                actor=SYSTEM,
            )

    with monkeypatch.context() as patch:
        patch.setattr(auth, "_admit", and_then_the_click)
        refused = api.open(path, method=method, json=CHANGES[method, route])

    at_the_door = api.get("/v1/webhooks/")
    assert (refused.status_code, refused.get_json()) == (401, at_the_door.get_json())
    assert refused.headers["WWW-Authenticate"] == at_the_door.headers["WWW-Authenticate"]
    assert seen() == before
    if "webhooks" in route:
        assert {reason for _, _, reason in office.log(outcome=Outcome.REFUSED)} == {"KeyEnded"}
