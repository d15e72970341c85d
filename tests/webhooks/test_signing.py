import hmac
from base64 import b64decode, b64encode
from datetime import UTC, datetime
from random import Random, SystemRandom

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from keystore.credentials import SecretValue
from webhooks import signing

SECRET = SecretValue("whsec_" + b64encode(b"northwind" * 3).decode())

ids = st.from_regex(r"evt_[0-9a-f]{32}", fullmatch=True)
texts = st.text().map(str.encode)


def test_a_new_secret_is_32_random_bytes_behind_a_prefix_that_scanners_know() -> None:
    secret = signing.new_secret(SystemRandom()).reveal()
    assert secret.startswith("whsec_")
    assert len(b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
    assert secret != signing.new_secret(SystemRandom()).reveal()


def test_signs_as_an_example_worked_out_by_hand() -> None:
    signed = signing.headers(SECRET, "evt_1", 1767225600, b'{"note": 1}')
    key = b"northwind" * 3
    expected = hmac.new(key, b'evt_1.1767225600.{"note": 1}', "sha256").digest()
    assert signed == {
        "webhook-id": "evt_1",
        "webhook-timestamp": "1767225600",
        "webhook-signature": "v1," + b64encode(expected).decode(),
        "x-avoma-signature": hmac.new(
            SECRET.reveal().encode(), b'{"note": 1}', "sha256"
        ).hexdigest(),
    }


@given(seed=st.integers(), message_id=ids, body=texts)
def test_the_standard_webhooks_library_accepts_what_we_sign(
    seed: int, message_id: str, body: bytes
) -> None:
    secret = signing.new_secret(Random(seed))
    signed = signing.headers(secret, message_id, _now(), body)
    Webhook(secret.reveal()).verify(body, signed, json_parse=False)


@given(seed=st.integers(), body=texts, where=st.integers(0, 10**6), other=st.characters())
def test_the_library_refuses_what_was_changed_on_the_way(
    seed: int, body: bytes, where: int, other: str
) -> None:
    text = body.decode()
    cut = where % (len(text) + 1)
    changed = (text[:cut] + other + text[cut:]).encode()
    secret = signing.new_secret(Random(seed))
    signed = signing.headers(secret, "evt_1", _now(), body)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret.reveal()).verify(changed, signed, json_parse=False)
    avoma = signing.headers(secret, "evt_1", 0, changed)["x-avoma-signature"]
    assert avoma != signed["x-avoma-signature"]


def test_the_library_refuses_another_id_time_and_secret() -> None:
    signed = signing.headers(SECRET, "evt_1", _now(), b"{}")
    other = signing.new_secret(SystemRandom())
    for changed in (
        signed | {"webhook-id": "evt_2"},
        signed | {"webhook-timestamp": str(_now() + 1)},
        signing.headers(other, "evt_1", _now(), b"{}"),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET.reveal()).verify(b"{}", changed)


def test_the_contract_signature_covers_the_body_alone() -> None:
    first = signing.headers(SECRET, "evt_1", 1, b"{}")
    again = signing.headers(SECRET, "evt_1", 2, b"{}")
    assert first["x-avoma-signature"] == again["x-avoma-signature"]
    assert first["webhook-signature"] != again["webhook-signature"]


@pytest.mark.parametrize("text", ["", "whsec_!!!!", "bm9ydGh3aW5k", "whsec_YQ", "WHSEC_YWJj"])
def test_a_text_that_is_no_secret_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(signing.BadSecret) as caught:
        signing.headers(SecretValue(text), "evt_1", 1, b"{}")
    assert text.removeprefix("whsec_") == "" or text.removeprefix("whsec_") not in str(caught.value)


def _now() -> int:
    return int(datetime.now(UTC).timestamp())  # the library compares with the machine's clock
