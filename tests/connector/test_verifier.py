import json
from base64 import b64encode
from contextlib import nullcontext, suppress
from datetime import timedelta
from random import Random
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connector.verifier import BadSecret, InvalidSignature, Webhook
from keystore.clock import ManualClock
from keystore.credentials import SecretValue
from webhooks import signing
from webhooks.signing import Signer

SECRET = signing.new_secret(Random(1))
OTHER = signing.new_secret(Random(2))
PRIVATE_KEY = signing.new_private_key(Random(3))
PUBLIC_KEY = signing.public_key(PRIVATE_KEY)
NOW = int(ManualClock().now().timestamp())
BODY = b'{"note": 1}'

#: What may be in a header, after whatever a server made of it.
texts = st.text(st.characters(), max_size=60)
NAMES = ["webhook-id", "webhook-timestamp", "webhook-signature", "x-avoma-signature"]
names = st.sampled_from([*NAMES, *map(str.title, NAMES)]) | st.text(max_size=8)
events = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda parts: st.lists(parts) | st.dictionaries(st.text(), parts),
    max_leaves=5,
)


class Pairs(NamedTuple):
    """Headers with doubled ones, as some servers have them."""

    pairs: list[tuple[str, Any]]

    def items(self) -> list[tuple[str, Any]]:
        return self.pairs


def verify(headers: Any, body: bytes = BODY, *secrets: str | SecretValue, **options: Any) -> object:
    options = {"clock": ManualClock()} | options
    return Webhook(*(secrets or (SECRET,)), **options).verify(body, headers)


def signed(*secrets: SecretValue, body: bytes = BODY, at: int = NOW) -> dict[str, str]:
    secrets = secrets or (SECRET,)
    return Signer(*secrets, contract=secrets[0]).headers("evt_1", at, body)


@given(event=events, seed=st.integers())
def test_what_was_signed_with_a_shared_secret_is_returned_as_it_was(
    event: object, seed: int
) -> None:
    secret, body = signing.new_secret(Random(seed)), json.dumps(event).encode()
    assert verify(signed(secret, body=body), body, secret) == event
    assert verify(signed(secret, body=body), body, secret.reveal()) == event
    assert verify(signed(secret, body=body), body, secret.reveal(), contract=True) == event


@given(event=events, seed=st.integers())
def test_what_was_signed_with_a_private_key_is_checked_with_the_public_one(
    event: object, seed: int
) -> None:
    private_key, body = signing.new_private_key(Random(seed)), json.dumps(event).encode()
    assert verify(signed(private_key, body=body), body, signing.public_key(private_key)) == event


def test_during_an_overlap_either_side_may_change_first() -> None:
    overlap = signed(OTHER, PRIVATE_KEY, SECRET)
    for secret in (SECRET, OTHER, PUBLIC_KEY):
        assert verify(overlap, BODY, secret) == {"note": 1}
    for sent in (signed(SECRET), signed(OTHER), signed(PRIVATE_KEY)):
        assert verify(sent, BODY, SECRET, OTHER, PUBLIC_KEY) == {"note": 1}
    assert verify(signed(OTHER), BODY, SECRET, OTHER, contract=True) == {"note": 1}


@pytest.mark.parametrize("secret", [SECRET.reveal(), PUBLIC_KEY])
@given(body=st.binary())
def test_another_body_is_refused(secret: str, body: bytes) -> None:
    if body != BODY:
        for contract in (False, True):
            with pytest.raises(InvalidSignature):
                verify(signed(SECRET, PRIVATE_KEY), body, secret, contract=contract)


def test_another_secret_is_refused() -> None:
    for secret in (OTHER.reveal(), signing.public_key(signing.new_private_key(Random(9)))):
        for contract in (False, True):
            with pytest.raises(InvalidSignature):
                verify(signed(SECRET, PRIVATE_KEY), BODY, secret, contract=contract)


@pytest.mark.parametrize("off", [-300, 300])
def test_clocks_may_be_five_minutes_apart_and_not_a_second_more(off: int) -> None:
    assert verify(signed(at=NOW + off)) == {"note": 1}
    with pytest.raises(InvalidSignature, match="seconds from now"):
        verify(signed(at=NOW + off + off // 300))
    with pytest.raises(InvalidSignature, match="seconds from now"):
        verify(signed(at=NOW + off), tolerance=timedelta(seconds=299))


def test_the_machines_clock_is_asked_when_no_other_is_given() -> None:
    with pytest.raises(InvalidSignature, match="seconds from now"):
        Webhook(SECRET).verify(BODY, signed(at=0))


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
@given(text=texts)
@example("")
@example("evt_1.1")
@example("v1")
@example("v1,")
@example("v1,a,b v1a,,")
@example("v1a," + "A" * 86 + "==")
@example("+1767225600")
@example("1767225600\n")
@example("\N{ARABIC-INDIC DIGIT ONE}767225600")
@example("\ud800")
@example("9" * 400)
def test_whatever_stands_in_a_header_is_the_one_error(name: str, text: str) -> None:
    for secret in (SECRET.reveal(), PUBLIC_KEY):
        genuine = signed(SECRET, PRIVATE_KEY)
        if text not in genuine[name].split(" "):
            with pytest.raises(InvalidSignature):
                verify(genuine | {name: text}, BODY, secret)
    with pytest.raises(InvalidSignature):
        verify({"x-avoma-signature": text}, contract=True)


@pytest.mark.parametrize(
    "name", ["webhook-id", "webhook-timestamp", "webhook-signature", "x-avoma-signature"]
)
def test_a_header_that_is_lacking_or_there_twice_is_the_same_error(name: str) -> None:
    contract = name == "x-avoma-signature"
    genuine = signed()
    for headers in (
        {other: value for other, value in genuine.items() if other != name},
        genuine | {name.title(): genuine[name]},
        genuine | {name: None},
        {},
    ):
        with pytest.raises(InvalidSignature, match="one header"):
            verify(headers, contract=contract)


@given(junk=st.text(st.characters(codec="ascii"), max_size=80).map(lambda one: one.strip()))
def test_entries_for_other_receivers_are_passed_over(junk: str) -> None:
    genuine = signed()["webhook-signature"]
    headers = signed() | {"webhook-signature": f"v2,QUJD {junk} {genuine} v1 ,,"}
    assert verify(headers) == {"note": 1}


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"a": 1}x', b"[" * 100_000])
def test_a_genuine_body_that_is_no_json_is_the_same_error(body: bytes) -> None:
    for contract in (False, True):
        with pytest.raises(InvalidSignature, match="not JSON"):
            verify(signed(body=body), body, contract=contract)


def test_a_signature_of_one_scheme_is_none_of_the_other() -> None:
    as_other = signed(PRIVATE_KEY)["webhook-signature"].replace("v1a,", "v1,")
    with pytest.raises(InvalidSignature):
        verify(signed() | {"webhook-signature": as_other}, BODY, PUBLIC_KEY)
    # Whoever knows a public key, as everybody may, must not sign with it as a shared secret.
    public_as_shared = SecretValue(PUBLIC_KEY.replace("whpk_", "whsec_"))
    with pytest.raises(InvalidSignature):
        verify(signed(public_as_shared), BODY, PUBLIC_KEY)


@given(body=st.binary(), headers=st.lists(st.tuples(names, texts | st.binary() | st.none())))
@example(b"", [(name, "x") for name in NAMES])
@example(BODY, [*signed().items(), ("x", b"\xff")])
@example(BODY, list((signed() | {"webhook-signature": "v1,x " * 5_000}).items()))
def test_whatever_comes_is_the_event_or_the_one_error(
    body: bytes, headers: list[tuple[str, Any]]
) -> None:
    for secrets, contract in (((SECRET,), False), ((PUBLIC_KEY,), False), ((SECRET,), True)):
        with suppress(InvalidSignature):
            assert verify(Pairs(headers), body, *secrets, contract=contract) == {"note": 1}
            assert body == BODY


def test_no_request_costs_more_work_than_a_hundred_signatures() -> None:
    genuine = signed()["webhook-signature"]
    for before, accepted in ((99, True), (100, False)):
        headers = signed() | {"webhook-signature": "v1,x " * before + genuine}
        with nullcontext() if accepted else pytest.raises(InvalidSignature):
            verify(headers)


def test_a_body_that_was_read_already_is_a_mistake_of_the_program() -> None:
    for body in (BODY.decode(), {"note": 1}, None):
        with pytest.raises(TypeError, match="bytes as they came"):
            Webhook(SECRET).verify(body, signed())  # type: ignore[arg-type]


def test_the_contract_takes_any_text_for_a_secret() -> None:
    # As another server of this contract would make one.
    secret = "0123456789abcdef" * 4
    signature = signing.contract_signature(secret.encode(), BODY)
    for spelled in (signature, signature.upper()):
        headers = {"X-Avoma-Signature": spelled}
        assert verify(headers, BODY, secret, contract=True) == {"note": 1}


@pytest.mark.parametrize(
    "text",
    ["", "secret", "whsec_", "whsec_YWJj", PRIVATE_KEY.reveal(), "whpk_YWJj", "whpk_ä"],
)
def test_what_is_no_secret_of_a_receiver_is_refused_at_once(text: str) -> None:
    with pytest.raises(BadSecret):
        Webhook(text)
    with pytest.raises(BadSecret):
        Webhook(SECRET, text)


def test_a_verifier_must_know_a_secret() -> None:
    for contract in (False, True):
        with pytest.raises(BadSecret):
            Webhook(contract=contract)
    with pytest.raises(BadSecret):
        Webhook("", contract=True)


def test_no_secret_shows_in_what_a_verifier_prints() -> None:
    key = b64encode(b"n" * 24).decode()
    assert key not in repr(vars(Webhook(f"whsec_{key}")))
