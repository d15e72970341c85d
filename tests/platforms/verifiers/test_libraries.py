"""What we sign is accepted by the libraries that receivers have, and what these sign by us."""

import json
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
import standardwebhooks
import svix.webhooks
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.client import InvalidSignature, Webhook
from keystore.credentials import SecretValue
from tests.platforms.node import JavaScriptError, Node
from webhooks import signing
from webhooks.signing import Signer

SECRET = SecretValue("whsec_" + b64encode(b"northwind" * 3).decode())
OLD = SecretValue("whsec_" + b64encode(b"southwind" * 3).decode())
PRIVATE_KEY = signing.new_private_key(Random(4))

PYTHON = pytest.mark.parametrize("library", [standardwebhooks.Webhook, svix.webhooks.Webhook])
NPM = pytest.mark.parametrize("library", ["standardwebhooks", "svix"])


def now() -> int:
    """Read the machine's clock, as these libraries do: they refuse what is five minutes old."""
    return int(datetime.now(UTC).timestamp())


Library = type[standardwebhooks.Webhook] | type[svix.webhooks.Webhook]

bodies = st.dictionaries(st.text(), st.text() | st.integers() | st.none()).map(
    lambda content: json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")
)


@PYTHON
@given(seed=st.integers(), body=bodies)
def test_python_libraries_accept_what_we_sign(library: Library, seed: int, body: bytes) -> None:
    secret = signing.new_secret(Random(seed))
    library(secret.reveal()).verify(body, Signer(secret).headers("evt_1", now(), body))


@PYTHON
def test_python_libraries_accept_either_secret_in_an_overlap(library: Library) -> None:
    signed = Signer(SECRET, PRIVATE_KEY, OLD).headers("evt_1", now(), b"{}")
    library(SECRET.reveal()).verify(b"{}", signed)
    library(OLD.reveal()).verify(b"{}", signed)


@PYTHON
@given(seed=st.integers(), body=bodies)
def test_our_verifier_accepts_what_python_libraries_sign(
    library: Library, seed: int, body: bytes
) -> None:
    secret = signing.new_secret(Random(seed)).reveal()
    headers = {
        "Webhook-Id": "msg_1",
        "Webhook-Timestamp": str(now()),
        "Webhook-Signature": library(secret).sign(
            "msg_1", datetime.fromtimestamp(now(), UTC), body.decode()
        ),
    }
    Webhook(secret).verify(body, headers)
    with pytest.raises(InvalidSignature):
        Webhook(secret).verify(body + b" ", headers)


@NPM
def test_javascript_libraries_accept_what_we_sign(
    library: str, javascript: Node, modules: Path
) -> None:
    body = '{"note": "ein Überblick"}'
    for signer in (Signer(SECRET), Signer(OLD, PRIVATE_KEY, SECRET)):
        question = {
            "modules": str(modules),
            "library": library,
            "secret": SECRET.reveal(),
            "headers": signer.headers("evt_1", now(), body.encode()),
        }
        assert javascript.ask(**question, body=body) is True
        with pytest.raises(JavaScriptError, match="No matching signature"):
            javascript.ask(**question, body=body + " ")


@NPM
@given(seed=st.integers(), body=bodies)
@settings(max_examples=25)
def test_javascript_libraries_accept_what_we_sign_whatever_it_is(
    library: str, javascript: Node, modules: Path, seed: int, body: bytes
) -> None:
    secret = signing.new_secret(Random(seed))
    headers = Signer(secret).headers("evt_1", now(), body)
    question = {"modules": str(modules), "library": library, "secret": secret.reveal()}
    assert javascript.ask(**question, headers=headers, body=body.decode()) is True


@NPM
@given(seed=st.integers(), body=bodies)
@settings(max_examples=25)
def test_our_verifier_accepts_what_javascript_libraries_sign(
    library: str, javascript: Node, modules: Path, seed: int, body: bytes
) -> None:
    secret, at = signing.new_secret(Random(seed)).reveal(), now()
    question = {"modules": str(modules), "library": library, "secret": secret}
    signature = javascript.ask(**question, sign="msg_1", at=at, body=body.decode())
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(at),
        "webhook-signature": signature,
    }
    Webhook(secret).verify(body, headers)
    with pytest.raises(InvalidSignature):
        Webhook(secret).verify(body + b" ", headers)


def test_nodes_own_ed25519_accepts_what_we_sign_with_a_private_key(javascript: Node) -> None:
    headers = Signer(PRIVATE_KEY).headers("evt_1", now(), b'{"note": 1}')
    public_key = signing.public_key(PRIVATE_KEY)
    for body, verdict in (('{"note": 1}', True), ('{"note": 2}', False)):
        assert javascript.ask(publicKey=public_key, headers=headers, body=body) is verdict
