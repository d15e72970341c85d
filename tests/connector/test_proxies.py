"""Networks of a key, proxies before the server: whose word counts for where a request is from."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_network

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from connector.app import Parts, create_app
from keystore.audit import SYSTEM
from keystore.keys import Issued
from keystore.uses import Use
from tests.support.typos import mistyped

Ask = Callable[..., TestResponse]
OFFICE, HOME, PROXY = "203.0.113.7", "198.51.100.9", "10.0.0.1"


@pytest.fixture
def ask(parts: Parts, issued: Issued) -> Ask:
    """Ask who the key is, from an address, with what a proxy adds; 10.0.0.0/8 is trusted."""
    settings = replace(parts.services.settings, trusted_proxies=(ip_network("10.0.0.0/8"),))
    app = create_app(replace(parts, services=replace(parts.services, settings=settings)))
    pair = f"{issued.key.client_key}:{issued.client_secret.reveal()}"

    def get(peer: str, forwarded: str | None = None) -> TestResponse:
        client = app.test_client()
        headers = {"Authorization": f"Bearer {pair}"}
        if forwarded is not None:
            headers["X-Forwarded-For"] = forwarded
        return client.get("/v1/me/", headers=headers, environ_overrides={"REMOTE_ADDR": peer})

    return get


@pytest.fixture
def _only_the_office(parts: Parts, issued: Issued) -> None:
    with parts.services.db.session() as session:
        parts.services.grants.set_networks(
            session,
            issued.key.id,
            organization_id=issued.key.organization_id,
            allowed=["203.0.113.0/24"],
            actor=SYSTEM,
        )


def uses(parts: Parts, issued: Issued) -> list[Use]:
    parts.services.uses.flush(parts.services.db)
    with parts.services.db.session() as session:
        return list(parts.services.uses.of_key(session, issued.key.id))


@pytest.mark.usefixtures("_only_the_office")
def test_a_key_works_from_its_networks_only(ask: Ask) -> None:
    assert ask(OFFICE).status_code == 200
    assert ask(f"::ffff:{OFFICE}").status_code == 200

    refused = ask(HOME)
    assert refused.status_code == 403
    assert refused.json is not None
    assert HOME in refused.json["detail"], "the secret was right, so its holder may know why"


@pytest.mark.usefixtures("_only_the_office")
def test_a_refused_request_is_no_use_of_the_key(ask: Ask, parts: Parts, issued: Issued) -> None:
    ask(HOME)
    assert uses(parts, issued) == []


@pytest.mark.usefixtures("_only_the_office")
def test_nobody_talks_themselves_into_a_network(ask: Ask) -> None:
    assert ask(HOME, OFFICE).status_code == 403
    assert ask(PROXY, f"{OFFICE}, {HOME}").status_code == 403
    assert ask(PROXY, HOME).status_code == 403


@pytest.mark.usefixtures("_only_the_office")
def test_a_trusted_proxy_says_who_is_behind_it(ask: Ask, parts: Parts, issued: Issued) -> None:
    assert ask(PROXY, f"{HOME}, {OFFICE}").status_code == 200
    assert [use.address for use in uses(parts, issued)] == [OFFICE]


@pytest.mark.usefixtures("_only_the_office")
def test_a_wrong_secret_learns_nothing_of_the_networks(client: FlaskClient, issued: Issued) -> None:
    wrong = f"{issued.key.client_key}:{mistyped(issued.client_secret.reveal())}"
    for address in (OFFICE, HOME):
        answer = client.get(
            "/v1/me/",
            headers={"Authorization": f"Bearer {wrong}"},
            environ_overrides={"REMOTE_ADDR": address},
        )
        assert answer.status_code == 401


@pytest.mark.usefixtures("_only_the_office")
def test_tokens_are_held_to_the_networks_too(client: FlaskClient, issued: Issued) -> None:
    secret = issued.client_secret.reveal()

    def token(address: str) -> TestResponse:
        return client.post(
            "/oauth/token",
            data={"grant_type": "client_credentials"},
            auth=(issued.key.client_key, secret),
            environ_overrides={"REMOTE_ADDR": address},
        )

    assert token(HOME).status_code == 403
    answer = token(OFFICE)
    assert answer.json is not None
    bearer = {"Authorization": f"Bearer {answer.json['access_token']}"}
    for address, status in ((OFFICE, 200), (HOME, 403)):
        who = client.get("/v1/me/", headers=bearer, environ_overrides={"REMOTE_ADDR": address})
        assert who.status_code == status
