"""A pair gets a token, the token opens the API, and it is gone the moment its secret is."""

from collections.abc import Callable
from pathlib import Path

import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url
from flask.testing import FlaskClient

from connector.app import assemble, create_app
from keystore import credentials, scopes
from keystore.clock import ManualClock
from keystore.db import Database
from keystore.keys import Issued, Keys
from keystore.settings import Settings
from tests.connector.oauth.asking import (
    GRANT,
    ask,
    basic,
    bodies,
    body_of,
    delete,
    introspected,
    me,
    pair,
    token_of,
)
from tests.support.server import running_server


def test_a_pair_by_basic_gets_a_token_that_opens_the_api(
    client: FlaskClient, issued: Issued
) -> None:
    answer = ask(
        client, basic(":".join(pair(issued))), **GRANT, scope="webhooks:manage meetings:read"
    )

    assert answer.status_code == 200
    assert answer.json is not None
    assert answer.json | {"access_token": ""} == {
        "access_token": "",
        "token_type": "Bearer",
        "expires_in": 3600,
        "scope": "meetings:read webhooks:manage",
    }
    assert answer.content_type == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Pragma"] == "no-cache"
    assert credentials.public_part(answer.json["access_token"]) is not None

    who = me(client, answer.json["access_token"])
    assert who.status_code == 200
    assert who.json is not None
    assert who.json["key"]["client_key"] == issued.key.client_key
    assert who.json["key"]["scopes"] == ["meetings:read", "webhooks:manage"]


def test_a_pair_in_the_body_gets_one_too(client: FlaskClient, issued: Issued) -> None:
    answer = ask(client, **GRANT, **body_of(issued))

    assert answer.status_code == 200
    assert answer.json is not None
    assert me(client, answer.json["access_token"]).status_code == 200


def test_a_client_id_beside_basic_is_no_second_proof(client: FlaskClient, issued: Issued) -> None:
    header = basic(":".join(pair(issued)))

    assert ask(client, header, **GRANT, client_id=issued.key.client_key).status_code == 200
    assert ask(client, header, **GRANT, client_id="somebody").status_code == 400


def test_the_spelling_of_bearer_does_not_matter_and_that_of_the_token_does(
    client: FlaskClient, issued: Issued
) -> None:
    token = token_of(client, issued)

    def status(header: str) -> int:
        return client.get("/v1/me/", environ_overrides={"HTTP_AUTHORIZATION": header}).status_code

    assert status(f"bearer  {token}") == 200
    assert status(f"Bearer {token.upper()}") == 401
    assert status(f"Bearer K{token[1:]}") == 401
    assert status(f"Basic {token}") == 401
    assert client.get(f"/v1/me/?access_token={token}").status_code == 401


def test_what_the_metadata_says_is_there(client: FlaskClient, issued: Issued) -> None:
    answer = client.get(get_well_known_url("https://keyhook.example.com"))

    assert answer.status_code == 200
    data = answer.json
    assert data is not None
    assert data["issuer"] == "http://127.0.0.1:8400"
    assert data["response_types_supported"] == []
    # Authlib's own check holds an empty list for a missing one; everything else passes it.
    AuthorizationServerMetadata(data | {"response_types_supported": ["none"]}).validate()
    assert data["grant_types_supported"] == ["client_credentials"]
    assert data["scopes_supported"] == sorted(scopes.OPERATIONS)
    for name in ("token", "introspection", "revocation"):
        path = data[f"{name}_endpoint"].removeprefix(data["issuer"])
        methods = data[f"{name}_endpoint_auth_methods_supported"]
        assert methods == ["client_secret_basic", "client_secret_post"]
        assert ask(client, basic(":".join(pair(issued))), path, **GRANT, token="x").json is not None
        assert ask(client, None, path, **GRANT, **body_of(issued), token="x").status_code == 200


def test_a_client_library_finds_its_way_from_the_metadata_alone(tmp_path: Path) -> None:
    """Over the network, in a process of its own, with Authlib's client in the other seat."""
    with running_server(tmp_path) as running:
        there = requests.get(
            running.base_url + get_well_known_url(running.base_url), timeout=30
        ).json()
        for method in there["token_endpoint_auth_methods_supported"]:
            with OAuth2Session(
                running.client_key, running.client_secret, token_endpoint_auth_method=method
            ) as library:
                token = library.fetch_token(
                    there["token_endpoint"],
                    grant_type="client_credentials",
                    scope="webhooks:manage",
                )
                who = library.get(f"{running.base_url}/v1/me/", timeout=30)
                assert who.json()["key"]["scopes"] == ["webhooks:manage"]
                text = token["access_token"]
                seen = library.introspect_token(there["introspection_endpoint"], text)
                assert seen.json()["active"] is True
                assert library.revoke_token(there["revocation_endpoint"], text).status_code == 200
                again = library.get(f"{running.base_url}/v1/me/", timeout=30)
                assert again.status_code == 401
                assert text not in running.log()


def test_regenerating_ends_every_token_at_once(
    client: FlaskClient, issued: Issued, regenerate: Callable[[Issued], Issued]
) -> None:
    first, second = token_of(client, issued), token_of(client, issued)
    assert me(client, first).status_code == me(client, second).status_code == 200

    renewed = regenerate(issued)

    assert bodies([me(client, first), me(client, second)]) == bodies([me(client, "")])
    assert introspected(client, renewed, first) == {"active": False}
    assert me(client, token_of(client, renewed)).status_code == 200


def test_deleting_ends_every_token_at_once_in_every_process(
    client: FlaskClient,
    issued: Issued,
    database: Database,
    keys: Keys,
    app_settings: Settings,
    clock: ManualClock,
) -> None:
    elsewhere = assemble(app_settings, clock)
    try:
        other = create_app(elsewhere).test_client()
        token = token_of(other, issued)
        assert me(client, token).status_code == me(other, token).status_code == 200

        delete(database, keys, issued)

        assert me(client, token).status_code == me(other, token).status_code == 401
    finally:
        elsewhere.services.db.dispose()


def test_a_token_ends_after_an_hour(
    client: FlaskClient, issued: Issued, clock: ManualClock
) -> None:
    token = token_of(client, issued)

    clock.advance(3599)
    assert me(client, token).status_code == 200
    clock.advance(1)
    assert bodies([me(client, token)]) == bodies([me(client, "nothing")])
