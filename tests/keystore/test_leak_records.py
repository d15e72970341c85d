"""Signatures and bodies of a scanner's reports: what is let through, and what never raises."""

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from keystore import leak_records
from keystore.errors import BadReport
from tests.support.scanner import Scanner

SCANNER = Scanner()  # for its keys; it does not listen here
BODY = SCANNER.body({"token": "khs"})
SIGNATURE = SCANNER.sign(BODY)["Github-Public-Key-Signature"]
KEYS = leak_records.public_keys(SCANNER.list_of_keys())


def test_a_signature_is_for_one_key_and_for_these_very_bytes() -> None:
    written_anew = json.dumps(json.loads(BODY)).encode()

    assert leak_records.is_signed(BODY, SIGNATURE, KEYS["first"])
    assert not leak_records.is_signed(BODY, SIGNATURE, KEYS["second"])
    assert json.loads(written_anew) == json.loads(BODY)
    assert not leak_records.is_signed(written_anew, SIGNATURE, KEYS["first"])
    assert not leak_records.is_signed(BODY + b" ", SIGNATURE, KEYS["first"])


@given(st.text() | st.binary().map(lambda raw: base64.b64encode(raw).decode()))
def test_no_other_text_is_a_signature(text: str) -> None:
    assert not leak_records.is_signed(BODY, text, KEYS["first"])


@given(st.integers(0, 800), st.integers(0, 7))
def test_no_changed_bit_of_a_body_goes_unnoticed(place: int, bit: int) -> None:
    changed = bytearray(BODY)
    changed[place % len(BODY)] ^= 1 << bit

    assert not leak_records.is_signed(bytes(changed), SIGNATURE, KEYS["first"])


def test_a_signature_in_other_clothes_is_refused() -> None:
    der = base64.b64decode(SIGNATURE)
    for text in (
        SIGNATURE.rstrip("=") + " ",
        f" {SIGNATURE}",
        f"{SIGNATURE}\n",
        der.hex(),
        base64.b64encode(der + b"\x00").decode(),
        base64.b64encode(der * 40).decode(),
    ):
        assert not leak_records.is_signed(BODY, text, KEYS["first"]), text


def test_all_listed_keys_on_the_curve_count_also_those_no_longer_current() -> None:
    scanner = Scanner()
    scanner.add_key("retired", is_current=False)
    scanner.add_key("wrong-curve", curve=SECP384R1())

    assert set(leak_records.public_keys(scanner.list_of_keys())) == {"first", "second", "retired"}


def test_what_is_no_usable_key_is_left_out() -> None:
    edwards = (
        Ed25519PrivateKey.generate()
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )
    good = SCANNER.keys["first"].pem
    listed = [
        {"key_identifier": "edwards", "key": edwards},
        {"key_identifier": "no pem", "key": "MIIB"},
        {"key_identifier": "no text", "key": 7},
        {"key_identifier": None, "key": good},
        {"key": good},
        "a text",
        {"key_identifier": "good", "key": good},
    ]

    assert set(leak_records.public_keys(json.dumps({"public_keys": listed}))) == {"good"}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"public_keys": {}}', "<html>"])
def test_what_is_no_list_of_keys_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"Expecting value|no list"):
        leak_records.public_keys(text)


def test_a_record_is_a_text_with_the_place_where_it_was() -> None:
    [full, bare] = leak_records.records(
        b'[{"token": "a", "type": "t", "url": "u", "source": "s"}, {"token": "b"}]'
    )

    assert (full.token.reveal(), full.type, full.url, full.source) == ("a", "t", "u", "s")
    assert (bare.token.reveal(), bare.type, bare.url, bare.source) == ("b", "", "", "")
    assert repr(full) == "Record(token=[secret])"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"{}",
        b'"khs"',
        b"[1]",
        b"[{}]",
        b'[{"token": 1}]',
        b'[{"token": "a", "url": null}]',
        b'[{"token": "a"}, {"token": null}]',
        b"[" * 100_000,
        b"[" + b"1" * 10_000 + b"]",
    ],
)
def test_anything_else_is_refused_as_a_whole(body: bytes) -> None:
    with pytest.raises(BadReport):
        leak_records.records(body)


def test_there_is_an_end_to_what_one_report_may_hold() -> None:
    most = leak_records.MOST_RECORDS

    assert len(leak_records.records(json.dumps([{"token": "a"}] * most).encode())) == most
    with pytest.raises(BadReport, match=str(most)):
        leak_records.records(json.dumps([{"token": "a"}] * (most + 1)).encode())
