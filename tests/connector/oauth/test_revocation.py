"""A token is revoked (RFC 7009) by the key that it belongs to, and by no other."""

from flask.testing import FlaskClient

from keystore.keys import Issued
from tests.connector.oauth.asking import AddKey, ask, basic, body_of, me, pair, token_of


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
