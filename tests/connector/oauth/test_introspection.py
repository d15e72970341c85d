"""What a token may do is told (RFC 7662), within its organization; of a dead one nothing."""

from datetime import timedelta

from flask.testing import FlaskClient

from keystore.accounts import Accounts
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.db import Database
from keystore.keys import Issued, Keys
from tests.connector.oauth.asking import (
    GRANT,
    AddKey,
    ask,
    basic,
    introspected,
    me,
    pair,
    token_of,
)


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


def test_a_token_that_ends_with_its_key_is_told_to_end_then(
    client: FlaskClient, issued: Issued, database: Database, keys: Keys, clock: ManualClock
) -> None:
    """Else its client would keep a dead token and see 401, instead of asking for another."""
    earlier, now = token_of(client, issued), clock.now()
    assert introspected(client, issued, earlier)["exp"] == int(now.timestamp()) + 3600
    with database.session() as session:
        keys.set_expiry(
            session,
            issued.key.id,
            organization_id=issued.key.organization_id,
            expires_at=now + timedelta(minutes=5),
            actor=SYSTEM,
        )

    got = ask(client, basic(":".join(pair(issued))), **GRANT)

    assert got.json is not None
    assert got.json["expires_in"] == 300
    for token in (earlier, got.json["access_token"]):
        assert me(client, token).status_code == 200
        assert introspected(client, issued, token)["exp"] == int(now.timestamp()) + 300
    clock.advance(300)
    assert me(client, got.json["access_token"]).status_code == 401


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
