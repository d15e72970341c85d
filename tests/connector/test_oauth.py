"""A pair gets a token, the token opens the API, and it is gone the moment its secret is."""

import base64
import io
import logging
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import requests
from authlib.deprecate import AuthlibDeprecationWarning, deprecate
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from connector import logs, oauth
from connector.app import assemble, create_app
from keystore import credentials, scopes
from keystore.accounts import Accounts
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.db import Database
from keystore.keys import Issued, Keys
from keystore.models import AccessToken, Organization
from keystore.settings import Settings
from tests.support.server import running_server
from tests.support.statements import statements

CHALLENGE = 'Basic realm="keyhook", charset="UTF-8"'
ENDPOINTS = ("/oauth/token", "/oauth/introspect", "/oauth/revoke")
GRANT = {"grant_type": "client_credentials"}

on_one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

AddKey = Callable[..., Issued]


def pair(issued: Issued) -> tuple[str, str]:
    return issued.key.client_key, issued.client_secret.reveal()


def body_of(issued: Issued) -> dict[str, str]:
    client_id, client_secret = pair(issued)
    return {"client_id": client_id, "client_secret": client_secret}


def basic(text: str | bytes) -> str:
    raw = text.encode() if isinstance(text, str) else text
    return "Basic " + base64.b64encode(raw).decode()


def ask(
    client: FlaskClient, header: str | None = None, path: str = "/oauth/token", **form: str
) -> TestResponse:
    """Post this form with this Authorization header, in exactly these bytes."""
    environ = {} if header is None else {"HTTP_AUTHORIZATION": header}
    return client.post(path, data=form, environ_overrides=environ)


def token_of(client: FlaskClient, issued: Issued, **form: str) -> str:
    answer = ask(client, basic(":".join(pair(issued))), **GRANT, **form)
    assert answer.status_code == 200, answer.data
    assert answer.json is not None
    return str(answer.json["access_token"])


def me(client: FlaskClient, token: str) -> TestResponse:
    return client.get("/v1/me/", headers={"Authorization": f"Bearer {token}"})


def introspected(client: FlaskClient, issued: Issued, token: str, **form: str) -> dict[str, Any]:
    answer = ask(client, basic(":".join(pair(issued))), "/oauth/introspect", token=token, **form)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert isinstance(answer.json, dict)
    return answer.json


def tokens_in(database: Database) -> int:
    with database.session() as session:
        return session.scalars(select(func.count()).select_from(AccessToken)).one()


def bodies(answers: list[TestResponse]) -> set[tuple[int, bytes, tuple[tuple[str, str], ...]]]:
    return {
        (answer.status_code, answer.data, tuple(sorted(answer.headers.items())))
        for answer in answers
    }


@pytest.fixture
def add_key(database: Database, keys: Keys, organization: Organization) -> AddKey:
    def add(*scopes: str, organization_id: UUID | None = None) -> Issued:
        with database.session() as session:
            return keys.create(
                session,
                organization_id=organization_id or organization.id,
                name=f"Key for {', '.join(scopes)}",
                granted=frozenset(scopes),
                actor=SYSTEM,
            )

    return add


@pytest.fixture
def regenerate(database: Database, keys: Keys) -> Callable[[Issued], Issued]:
    def again(issued: Issued) -> Issued:
        with database.session() as session:
            return keys.regenerate(
                session,
                issued.key.id,
                organization_id=issued.key.organization_id,
                generation=issued.key.generation,
                actor=SYSTEM,
            )

    return again


def delete(database: Database, keys: Keys, issued: Issued) -> None:
    with database.session() as session:
        keys.delete(
            session, issued.key.id, organization_id=issued.key.organization_id, actor=SYSTEM
        )


# --- the way it goes ---


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


# --- dead the moment the secret is ---


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


# --- revocation (RFC 7009) ---


def test_a_revoked_token_is_dead_and_revoking_again_is_no_error(
    client: FlaskClient, issued: Issued
) -> None:
    token, sibling = token_of(client, issued), token_of(client, issued)
    header = basic(":".join(pair(issued)))

    for _ in range(2):
        answer = ask(client, header, "/oauth/revoke", token=token)
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")

    assert me(client, token).status_code == 401
    assert me(client, sibling).status_code == 200


def test_nothing_is_too_strange_to_revoke(client: FlaskClient, issued: Issued) -> None:
    for text in ("unknown", "kht" + "0" * 59, "\x00", "\ud7ff", "khs" + "ü" * 40):
        answer = ask(client, None, "/oauth/revoke", token=text, **body_of(issued))
        assert answer.status_code == 200


def test_another_clients_token_is_not_revoked(
    client: FlaskClient, issued: Issued, add_key: AddKey
) -> None:
    token, other = token_of(client, issued), add_key("meetings:read")

    answer = ask(client, basic(":".join(pair(other))), "/oauth/revoke", token=token)

    assert answer.status_code == 400
    assert answer.json == {"error": "invalid_grant"}
    assert me(client, token).status_code == 200


# --- introspection (RFC 7662) ---


def test_introspection_tells_what_a_token_may_do(
    client: FlaskClient, issued: Issued, add_key: AddKey, clock: ManualClock
) -> None:
    token = token_of(client, issued, scope="meetings:read")
    issued_at = int(clock.now().timestamp())
    clock.advance(60)

    for asking in (issued, add_key("webhooks:manage")):
        assert introspected(client, asking, token) == {
            "active": True,
            "scope": "meetings:read",
            "client_id": issued.key.client_key,
            "token_type": "Bearer",
            "iat": issued_at,
            "exp": issued_at + 3600,
            "sub": str(issued.key.id),
            "iss": "http://127.0.0.1:8400",
        }


def test_another_organization_learns_nothing(
    client: FlaskClient, issued: Issued, add_key: AddKey, database: Database, accounts: Accounts
) -> None:
    with database.session() as session:
        southwind = accounts.create_organization(session, name="Southwind", actor=SYSTEM)
    stranger = add_key("webhooks:manage", organization_id=southwind.id)
    token = token_of(client, issued)

    assert introspected(client, stranger, token) == {"active": False}
    assert introspected(client, issued, token)["active"] is True


def test_every_token_that_does_not_work_is_just_not_active(
    client: FlaskClient, issued: Issued, clock: ManualClock
) -> None:
    revoked, expired = token_of(client, issued), token_of(client, issued)
    ask(client, basic(":".join(pair(issued))), "/oauth/revoke", token=revoked)
    clock.advance(3600)

    for text in (revoked, expired, "unknown", issued.client_secret.reveal(), "\x00ü"):
        assert introspected(client, issued, text) == {"active": False}


# --- the traps of Authlib's shipped parts, each with the right answer ---


def test_every_kind_of_wrong_client_gets_one_and_the_same_401(
    client: FlaskClient,
    issued: Issued,
    add_key: AddKey,
    database: Database,
    keys: Keys,
    regenerate: Callable[[Issued], Issued],
) -> None:
    deleted, retired = add_key("meetings:read"), add_key("webhooks:manage")
    delete(database, keys, deleted)
    regenerate(retired)
    key, secret = pair(issued)
    unknown = credentials.generate_client_key(random.Random(1))
    theirs = credentials.generate_client_secret(unknown, random.Random(2)).reveal()
    other = credentials.generate_client_secret(key, random.Random(3)).reveal()
    wrong = [
        (unknown, theirs),
        (key, other),
        (key, theirs),
        pair(deleted),
        pair(retired),
        (key, secret[:-1] + "é"),
        (key, secret[:-1] + "%C3%A9"),
        (key.replace("k", "%6b", 1), secret),
        (key, secret + " "),
        (key, secret + "\x00"),
        (key, secret.upper()),
        (key.upper(), secret),
        (key, key),
        (key, "+"),
        ("\N{SNOWMAN}", secret),
    ]
    headers = [
        *(basic(f"{name}:{text}") for name, text in wrong),
        "",
        "Basic",
        "Basic \xff\xfe",
        basic(b"\xff\xfe:\x80"),
        basic(key),
        basic(f"{key}:"),
        basic(f":{secret}"),
        basic(f"{key}:{secret}")[:-2] + "é",
        f"Basic {key}:{secret}",
        f"Bearer {key}:{secret}",
        f"Bearer {token_of(client, issued)}",
        "Digest nonce=1",
        "Basic " + "A" * 100_000,
    ]
    forms = [
        {},
        *({"client_id": name, "client_secret": text} for name, text in wrong),
        {"client_id": key},  # a public client: there is none
        {"client_id": key, "client_secret": ""},
        {"client_secret": secret},
    ]
    issued_before = tokens_in(database)

    answers = [
        ask(client, header, path, **GRANT, token="x") for path in ENDPOINTS for header in headers
    ]
    answers += [ask(client, None, path, **GRANT, **form) for path in ENDPOINTS for form in forms]

    assert len(bodies(answers)) == 1
    answer = answers[0]
    assert answer.status_code == 401
    assert answer.json is not None
    assert answer.json["error"] == "invalid_client"
    assert answer.headers["WWW-Authenticate"] == CHALLENGE
    assert answer.headers["Cache-Control"] == "no-store"
    assert tokens_in(database) == issued_before


def test_every_wrong_pair_costs_the_same(
    client: FlaskClient,
    issued: Issued,
    add_key: AddKey,
    database: Database,
    keys: Keys,
    regenerate: Callable[[Issued], Issued],
) -> None:
    deleted, retired = add_key("meetings:read"), add_key("webhooks:manage")
    delete(database, keys, deleted)
    regenerate(retired)
    unknown = credentials.generate_client_key(random.Random(1))
    theirs = credentials.generate_client_secret(unknown, random.Random(2)).reveal()
    other = credentials.generate_client_secret(issued.key.client_key, random.Random(3)).reveal()

    work = []
    for wrong in (
        (unknown, theirs),
        (issued.key.client_key, other),
        pair(deleted),
        pair(retired),
    ):
        with statements(database) as asked:
            assert ask(client, basic(":".join(wrong)), **GRANT).status_code == 401
        work.append(asked)

    assert len(work[0]) == 1
    assert work == [work[0]] * len(work)


def test_no_scope_asked_is_the_keys_own_and_for_an_hour_at_most(
    client: FlaskClient, add_key: AddKey
) -> None:
    reader = add_key("meetings:read", "webhooks:manage")
    header = basic(":".join(pair(reader)))

    for form in ({}, {"scope": ""}):
        answer = ask(client, header, **GRANT, **form)
        assert answer.json is not None
        assert answer.json["scope"] == "meetings:read webhooks:manage"
        assert 0 < answer.json["expires_in"] <= 3600


def test_a_key_that_may_do_nothing_gets_a_token_that_may_do_nothing(
    client: FlaskClient, add_key: AddKey
) -> None:
    nothing = add_key()

    answer = ask(client, basic(":".join(pair(nothing))), **GRANT)

    assert answer.json is not None
    assert "scope" not in answer.json
    headers = {"Authorization": f"Bearer {answer.json['access_token']}"}
    assert client.get("/v1/me/", headers=headers).status_code == 200
    assert client.get("/v1/meetings/", headers=headers).status_code == 403


@pytest.mark.parametrize(
    "scope",
    [
        "webhooks:manage",
        "meetings:read webhooks:manage",
        "keys:manage",
        "meetings:read  meetings:read",
        " meetings:read",
        " ",
        "meetings:read\twebhooks:manage",
        "MEETINGS:READ",
        "meetings",
        "meetings:read,webhooks:manage",
        "\x00",
        "é",
        "\N{SNOWMAN}" * 100,
    ],
)
def test_scopes_beyond_the_keys_are_refused_not_narrowed(
    client: FlaskClient, add_key: AddKey, database: Database, scope: str
) -> None:
    answer = ask(client, basic(":".join(pair(add_key("meetings:read")))), **GRANT, scope=scope)

    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["error"] == "invalid_scope"
    assert answer.json["error_description"].isascii()
    assert tokens_in(database) == 0


def test_two_ways_of_authenticating_at_once_are_refused_even_if_both_are_right(
    client: FlaskClient, issued: Issued, add_key: AddKey, database: Database
) -> None:
    other = add_key("meetings:read")
    mine = basic(":".join(pair(issued)))
    token = token_of(client, issued)

    for path in ENDPOINTS:
        for header in (mine, f"Bearer {token}", "Bearer " + ":".join(pair(issued)), "x"):
            for form in (body_of(issued), body_of(other), {"client_secret": "x"}):
                answer = ask(client, header, path, **GRANT, token=token, **form)
                assert answer.status_code == 400
                assert answer.json is not None
                assert answer.json["error"] == "invalid_request"
    assert tokens_in(database) == 1
    assert me(client, token).status_code == 200


def test_a_missing_scope_is_a_403_that_names_it(client: FlaskClient, issued: Issued) -> None:
    token = token_of(client, issued, scope="meetings:read")
    headers = {"Authorization": f"Bearer {token}"}

    dates = {"from_date": "2026-01-01", "to_date": "2026-02-01"}
    assert client.get("/v1/meetings/", query_string=dates, headers=headers).status_code == 200
    answer = client.get("/v1/webhooks/", headers=headers)

    assert answer.status_code == 403
    assert answer.headers["WWW-Authenticate"] == (
        'Bearer realm="keyhook", error="insufficient_scope", scope="webhooks:manage"'
    )


def test_the_api_names_all_its_schemes_whatever_failed(client: FlaskClient) -> None:
    headers = [None, "Basic eDp5", "Bearer x", "Bearer kht" + "0" * 59]
    answers = [
        client.get("/v1/me/", environ_overrides={"HTTP_AUTHORIZATION": header} if header else {})
        for header in headers
    ]

    assert len(bodies(answers)) == 1
    challenge = answers[0].headers["WWW-Authenticate"]
    assert challenge == f'Bearer realm="keyhook", {CHALLENGE}'


@pytest.mark.parametrize(
    "hint", ["access_token", "refresh_token", "api_key", "", "ü\x00", "x" * 99]
)
def test_an_unknown_hint_is_ignored(client: FlaskClient, issued: Issued, hint: str) -> None:
    token, header = token_of(client, issued), basic(":".join(pair(issued)))

    assert introspected(client, issued, token, token_type_hint=hint)["active"] is True
    answer = ask(client, header, "/oauth/revoke", token=token, token_type_hint=hint)
    assert answer.status_code == 200
    assert introspected(client, issued, token, token_type_hint=hint) == {"active": False}


def test_nothing_is_read_from_the_query_string(
    client: FlaskClient, issued: Issued, database: Database
) -> None:
    key, secret = pair(issued)
    header = {"Authorization": basic(f"{key}:{secret}")}

    query = (
        f"?grant_type=client_credentials&scope=notes:read&client_id={key}&client_secret={secret}"
    )
    assert client.post("/oauth/token" + query).status_code == 401
    answer = client.post("/oauth/token" + query, headers=header)
    assert (answer.status_code, tokens_in(database)) == (400, 0)
    narrowed = client.post("/oauth/token?scope=webhooks:manage", data=GRANT, headers=header)
    assert narrowed.json is not None
    assert narrowed.json["scope"] == " ".join(sorted(scopes.DEFAULT))
    for path in ("/oauth/revoke", "/oauth/introspect"):
        answer = client.post(f"{path}?token={narrowed.json['access_token']}", headers=header)
        assert answer.status_code == 400
    assert me(client, narrowed.json["access_token"]).status_code == 200


def test_another_grant_and_a_body_that_is_no_form_are_refused_in_our_own_words(
    client: FlaskClient, issued: Issued
) -> None:
    headers = {"Authorization": basic(":".join(pair(issued)))}

    for grant in ("password", "authorization_code", "CLIENT_CREDENTIALS", 'é"\x00\\'):
        answer = client.post("/oauth/token", data={"grant_type": grant}, headers=headers)
        assert answer.status_code == 400
        assert answer.json == {
            "error": "unsupported_grant_type",
            "error_description": "The only grant_type is client_credentials.",
        }
    for answer in (
        client.post("/oauth/token", headers=headers),
        client.post("/oauth/token", json=GRANT, headers=headers),
        client.post(
            "/oauth/token", data=GRANT, content_type="multipart/form-data", headers=headers
        ),
        client.post("/oauth/token", data="grant_type=", content_type=oauth.FORM, headers=headers),
    ):
        assert answer.status_code == 400
        assert answer.json is not None
        assert answer.json["error"] == "invalid_request"


def test_a_parameter_sent_twice_is_refused(client: FlaskClient, issued: Issued) -> None:
    headers = {"Authorization": basic(":".join(pair(issued)))}
    doubled = "grant_type=client_credentials&scope=webhooks:manage&scope=meetings%3Aread"

    answer = client.post("/oauth/token", data=doubled, content_type=oauth.FORM, headers=headers)

    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["error"] == "invalid_request"


def test_behind_a_proxy_that_speaks_tls_plain_http_is_no_error(
    client: FlaskClient, issued: Issued
) -> None:
    """Authlib raises for http:// addresses that are not of this machine; the server would crash."""
    header = basic(":".join(pair(issued)))

    for host in ("keyhook.example.com", "10.0.0.1:8400", "", "a b", "[::1", "ü"):
        answer = client.post(
            "/oauth/token",
            data=GRANT,
            environ_overrides={"HTTP_HOST": host, "HTTP_AUTHORIZATION": header},
        )
        assert answer.status_code in {200, 400}, host
    assert ask(client, header, **GRANT).status_code == 200


def test_the_body_is_bounded(client: FlaskClient, issued: Issued) -> None:
    answer = ask(client, None, **body_of(issued), **GRANT, padding="x" * oauth.MAX_BODY_BYTES)

    assert answer.status_code == 413
    assert answer.json is not None
    assert answer.json["error"] == "invalid_request"
    assert answer.headers["Cache-Control"] == "no-store"


@on_one_database
@pytest.mark.parametrize("level", ["debug", "info"])
def test_no_token_is_logged_however_loud_the_log_is(
    client: FlaskClient, issued: Issued, level: str
) -> None:
    root, stream = logging.getLogger(), io.StringIO()
    before, was = list(root.handlers), root.level
    logs.configure(level, stream)
    try:
        token = token_of(client, issued)
        me(client, token)
        introspected(client, issued, token)
        ask(client, None, "/oauth/revoke", token=token, **body_of(issued))
        logging.getLogger("authlib.oauth2").debug("Issue token %r", {"access_token": token})
        logging.getLogger("elsewhere").warning("Issue token %r", {"access_token": token})
    finally:
        root.handlers[:] = before
        root.setLevel(was)

    written = stream.getvalue()
    assert "Issue token" in written
    for secret in (token, issued.client_secret.reveal()):
        for start in range(3, len(secret) - 8):
            assert secret[start : start + 8] not in written


def test_an_authlib_that_deprecates_what_we_use_fails_these_tests() -> None:
    with pytest.raises(AuthlibDeprecationWarning):
        deprecate("something")


# --- hostile bytes ---

TEXT = st.one_of(
    st.text(max_size=60),
    st.sampled_from(["client_credentials", "meetings:read", "%", "%zz", "khk", "kht" + "0" * 59]),
)
NAMES = ("grant_type", "scope", "client_id", "client_secret", "token", "token_type_hint")


@pytest.fixture
def quiet(app: Flask, issued: Issued) -> FlaskClient:
    """A caller for many hostile requests, who has a right pair as well."""
    client = app.test_client()
    client.environ_base["keyhook.right"] = basic(":".join(pair(issued)))
    return client


@on_one_database
@given(
    st.sampled_from(ENDPOINTS),
    st.one_of(
        st.none(),
        st.binary(max_size=80).map(lambda raw: raw.decode("latin-1")),
        st.binary(max_size=80).map(basic),
        TEXT.map(lambda text: basic(text.encode("utf-8", "surrogatepass"))),
    ),
    st.binary(max_size=200),
    st.sampled_from(
        [oauth.FORM, oauth.FORM + "; charset=utf-16", "multipart/form-data; boundary=x", "é"]
    ),
)
def test_no_bytes_make_it_crash(
    quiet: FlaskClient, path: str, header: str | None, raw: bytes, content_type: str
) -> None:
    for authorization in (header, quiet.environ_base["keyhook.right"]):
        environ = {} if authorization is None else {"HTTP_AUTHORIZATION": authorization}
        environ["CONTENT_TYPE"] = content_type
        answer = quiet.post(path, data=raw, environ_overrides=environ)
        assert answer.status_code in {200, 400, 401}
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.is_json


@on_one_database
@given(st.sampled_from(ENDPOINTS), st.dictionaries(st.sampled_from(NAMES), TEXT), st.booleans())
def test_no_parameters_make_it_crash(
    quiet: FlaskClient, path: str, form: dict[str, str], right: bool
) -> None:
    header = quiet.environ_base["keyhook.right"] if right else None

    answer = ask(quiet, header, path, **form)

    assert answer.status_code in ({200, 400} if right else {401})
    if answer.status_code != 200:
        assert answer.json is not None
        description = answer.json.get("error_description", "")
        assert all(" " <= character <= "~" and character not in '"\\' for character in description)
