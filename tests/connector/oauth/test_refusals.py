"""The traps of Authlib's shipped parts, each with the right answer."""

import io
import logging
import random
from collections.abc import Callable

import pytest
from authlib.deprecate import AuthlibDeprecationWarning, deprecate
from flask.testing import FlaskClient

from connector import logs, oauth
from keystore import credentials, scopes
from keystore.db import Database
from keystore.keys import Issued, Keys
from tests.connector.oauth.asking import (
    CHALLENGE,
    ENDPOINTS,
    GRANT,
    AddKey,
    ask,
    basic,
    bodies,
    body_of,
    delete,
    introspected,
    me,
    on_one_database,
    pair,
    token_of,
    tokens_in,
)
from tests.support.statements import statements


@pytest.fixture
def well_formed(
    issued: Issued,
    add_key: AddKey,
    database: Database,
    keys: Keys,
    regenerate: Callable[[Issued], Issued],
) -> list[tuple[str, str]]:
    """Pairs that could be right: of no key, with a secret that is not the key's, dead ones."""
    deleted, retired = add_key("meetings:read"), add_key("webhooks:manage")
    delete(database, keys, deleted)
    regenerate(retired)
    key, _ = pair(issued)
    unknown = credentials.generate_client_key(random.Random(1))
    theirs = credentials.generate_client_secret(unknown, random.Random(2)).reveal()
    other = credentials.generate_client_secret(key, random.Random(3)).reveal()
    return [(unknown, theirs), (key, other), pair(deleted), pair(retired)]


def test_every_kind_of_wrong_client_gets_one_and_the_same_401(
    client: FlaskClient,
    issued: Issued,
    database: Database,
    well_formed: list[tuple[str, str]],
) -> None:
    key, secret = pair(issued)
    [_, theirs] = well_formed[0]
    wrong = [
        *well_formed,
        (key, theirs),
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
    client: FlaskClient, database: Database, well_formed: list[tuple[str, str]]
) -> None:
    work = []
    for wrong in well_formed:
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
