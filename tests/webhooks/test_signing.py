import hmac
import re
from base64 import b64decode, b64encode
from datetime import UTC, datetime
from random import Random, SystemRandom

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from keystore.credentials import SecretValue
from webhooks import signing
from webhooks.signing import Signer

SECRET = SecretValue("whsec_" + b64encode(b"northwind" * 3).decode())

TEXT = SecretValue("of all")

ids = st.from_regex(r"evt_[0-9a-f]{32}", fullmatch=True)
texts = st.text().map(str.encode)


def test_a_new_secret_is_32_random_bytes_behind_a_prefix_that_scanners_know() -> None:
    secret = signing.new_secret(SystemRandom()).reveal()
    assert secret.startswith("whsec_")
    assert len(b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
    assert secret != signing.new_secret(SystemRandom()).reveal()


def test_signs_as_an_example_worked_out_by_hand() -> None:
    signed = Signer(SECRET, contract=TEXT).headers("evt_1", 1767225600, b'{"note": 1}')
    key = b"northwind" * 3
    expected = hmac.new(key, b'evt_1.1767225600.{"note": 1}', "sha256").digest()
    assert signed == {
        "webhook-id": "evt_1",
        "webhook-timestamp": "1767225600",
        "webhook-signature": "v1," + b64encode(expected).decode(),
        "x-avoma-signature": hmac.new(b"of all", b'{"note": 1}', "sha256").hexdigest(),
    }


def test_a_private_key_has_the_public_key_that_rfc_8032_says() -> None:
    # Section 7.1, test 1.
    seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
    public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    private_key = SecretValue("whsk_" + b64encode(bytes.fromhex(seed)).decode())
    assert signing.public_key(private_key) == ("whpk_" + b64encode(bytes.fromhex(public)).decode())


@given(seed=st.integers(), message_id=ids, body=texts)
def test_signs_with_a_private_key_what_the_public_key_alone_can_check(
    seed: int, message_id: str, body: bytes
) -> None:
    private_key = signing.new_private_key(Random(seed))
    signed = Signer(private_key).headers(message_id, 7, body)
    scheme, signature = signed["webhook-signature"].split(",")
    assert scheme == "v1a"
    public = signing.public_key(private_key).removeprefix("whpk_")
    Ed25519PublicKey.from_public_bytes(b64decode(public)).verify(
        b64decode(signature), message_id.encode() + b".7." + body
    )


def test_in_an_overlap_all_secrets_sign_the_newest_first() -> None:
    private_key, other = signing.new_private_key(Random(1)), signing.new_secret(Random(2))
    parts = [Signer(one).headers("evt_1", 1, b"{}") for one in (SECRET, private_key, other)]
    together = Signer(SECRET, private_key, other).headers("evt_1", 1, b"{}")
    assert together["webhook-signature"].split(" ") == [one["webhook-signature"] for one in parts]


def test_the_contracts_header_is_by_the_secret_of_all_and_absent_without_one() -> None:
    private_key = signing.new_private_key(Random(1))
    found = {
        Signer(*secrets, contract=TEXT).headers("evt_1", 1, b"{}")["x-avoma-signature"]
        for secrets in ((SECRET,), (private_key,), (private_key, SECRET))
    }
    assert found == {hmac.new(b"of all", b"{}", "sha256").hexdigest()}
    assert "x-avoma-signature" not in Signer(SECRET, private_key).headers("evt_1", 1, b"{}")


def test_a_new_secret_of_all_is_64_hexadecimal_characters() -> None:
    assert re.fullmatch("[0-9a-f]{64}", signing.new_contract_secret(SystemRandom()).reveal())


@given(seed=st.integers(), message_id=ids, body=texts)
def test_the_standard_webhooks_library_accepts_what_we_sign(
    seed: int, message_id: str, body: bytes
) -> None:
    secret = signing.new_secret(Random(seed))
    signed = Signer(secret).headers(message_id, _now(), body)
    Webhook(secret.reveal()).verify(body, signed, json_parse=False)


@given(seed=st.integers(), body=texts, where=st.integers(0, 10**6), other=st.characters())
def test_the_library_refuses_what_was_changed_on_the_way(
    seed: int, body: bytes, where: int, other: str
) -> None:
    text = body.decode()
    cut = where % (len(text) + 1)
    changed = (text[:cut] + other + text[cut:]).encode()
    secret = signing.new_secret(Random(seed))
    signed = Signer(secret, contract=TEXT).headers("evt_1", _now(), body)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret.reveal()).verify(changed, signed, json_parse=False)
    avoma = Signer(secret, contract=TEXT).headers("evt_1", 0, changed)["x-avoma-signature"]
    assert avoma != signed["x-avoma-signature"]


def test_the_library_refuses_another_id_time_and_secret() -> None:
    signed = Signer(SECRET).headers("evt_1", _now(), b"{}")
    other = signing.new_secret(SystemRandom())
    for changed in (
        signed | {"webhook-id": "evt_2"},
        signed | {"webhook-timestamp": str(_now() + 1)},
        Signer(other).headers("evt_1", _now(), b"{}"),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET.reveal()).verify(b"{}", changed)


def test_the_contract_signature_covers_the_body_alone() -> None:
    first = Signer(SECRET, contract=TEXT).headers("evt_1", 1, b"{}")
    again = Signer(SECRET, contract=TEXT).headers("evt_1", 2, b"{}")
    assert first["x-avoma-signature"] == again["x-avoma-signature"]
    assert first["webhook-signature"] != again["webhook-signature"]


def test_no_id_may_pass_for_another_one_and_a_timestamp() -> None:
    with pytest.raises(ValueError, match="full stop"):
        Signer(SECRET).headers("evt_1.1767225600", 1, b"{}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        "whsec_!!!!",
        "bm9ydGh3aW5k",
        "whsec_YQ",
        "WHSEC_" + b64encode(bytes(32)).decode(),
        "whsec_" + b64encode(bytes(23)).decode(),
        "whsec_" + b64encode(bytes(65)).decode(),
        "whsk_" + b64encode(bytes(31)).decode(),
        "whsk_" + b64encode(bytes(64)).decode(),
        "whpk_" + b64encode(bytes(32)).decode(),
    ],
)
def test_a_text_that_is_no_secret_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(signing.BadSecret) as caught:
        Signer(SecretValue(text))
    value = text.partition("_")[2] or text
    assert value == "" or value not in str(caught.value)


def _now() -> int:
    return int(datetime.now(UTC).timestamp())  # the library compares with the machine's clock
