"""Signatures on what we push: Standard Webhooks 1.0.0, and the contract's own header.

Both schemes of Standard Webhooks sign `id.timestamp.body`. In `v1` sender and receiver share a
secret, `whsec_` and the base64 of its bytes, which key HMAC-SHA256. In `v1a` the sender signs with
an ed25519 key (RFC 8032), `whsk_`, and the receiver holds the public half alone, `whpk_`, with
which nobody can sign. `X-Avoma-Signature` (meetings API, section 3.7) keys HMAC-SHA256 with the
whole text of a secret that an organization has for all its subscriptions, and signs the body alone.
"""

import hmac
from base64 import b64encode
from binascii import Error as NotBase64
from binascii import a2b_base64
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from keystore.credentials import SecretValue

PREFIX = "whsec_"
PRIVATE_PREFIX = "whsk_"
PUBLIC_PREFIX = "whpk_"
SECRET_BYTES = 32
CONTRACT_BYTES = 32  # twice as many hexadecimal characters, as the contract has it
LEAST_SECRET_BYTES, MOST_SECRET_BYTES = 24, 64  # as Standard Webhooks has it
KEY_BYTES = 32  # of either half of an ed25519 pair

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"
AVOMA_HEADER = "x-avoma-signature"


class Scheme(StrEnum):
    """How a subscription is signed: the marks of Standard Webhooks."""

    V1 = "v1"  # HMAC-SHA256, one secret for both sides
    V1A = "v1a"  # ed25519, the receiver holds a public key


_V1 = f"{Scheme.V1},"


class Random(Protocol):
    """A source of randomness; `random.SystemRandom` for anything real."""

    def randbytes(self, n: int, /) -> bytes:
        """Return n random bytes."""
        ...


class BadSecret(ValueError):
    """A text that is not a signing secret. The message never shows it."""


def new_secret(random: Random) -> SecretValue:
    """Return a new shared secret (v1), in the form in which the partner gets it."""
    return SecretValue(PREFIX + b64encode(random.randbytes(SECRET_BYTES)).decode("ascii"))


def new_private_key(random: Random) -> SecretValue:
    """Return a new private key (v1a); it never leaves us."""
    return SecretValue(PRIVATE_PREFIX + b64encode(random.randbytes(KEY_BYTES)).decode("ascii"))


def new_contract_secret(random: Random) -> SecretValue:
    """Return a new secret for the contract's header: 64 hexadecimal characters."""
    return SecretValue(random.randbytes(CONTRACT_BYTES).hex())


def public_key(private_key: SecretValue) -> str:
    """Return what a receiver needs to check signatures by this private key: `whpk_` and base64.

    Raises BadSecret.
    """
    public = _private(private_key.reveal()).public_key().public_bytes_raw()
    return PUBLIC_PREFIX + b64encode(public).decode("ascii")


class Signer:
    """Signs with one secret, or with several while one takes another's place; the newest first."""

    def __init__(self, *secrets: SecretValue, contract: SecretValue | None = None) -> None:
        """Take secrets of either scheme. Raises BadSecret.

        contract: any text, which keys the contract's header; without one there is no such header.
        """
        self._marks = [_mark(secret.reveal()) for secret in secrets]
        self._contract = None if contract is None else contract.reveal().encode()

    def headers(self, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
        """Return the headers that prove where a message comes from.

        The timestamp is in whole seconds since 1970 and belongs to the attempt; the id belongs to
        the event and stays the same when it is sent again.
        """
        signed = content(message_id, timestamp, body)
        proof = {
            ID_HEADER: message_id,
            TIMESTAMP_HEADER: str(timestamp),
            SIGNATURE_HEADER: " ".join([mark(signed) for mark in self._marks]),
        }
        if self._contract is not None:
            proof[AVOMA_HEADER] = contract_signature(self._contract, body)
        return proof


def content(message_id: str, timestamp: int, body: bytes) -> bytes:
    """Return what is signed. A full stop in the id would let its end pass for the timestamp."""
    if "." in message_id:
        raise ValueError("a message's id has no full stop in it")
    return b"%b.%d.%b" % (message_id.encode("ascii"), timestamp, body)


def contract_signature(secret_text: bytes, body: bytes) -> str:
    """Return `X-Avoma-Signature`: the hexadecimal HMAC-SHA256 of the body."""
    return hmac.digest(secret_text, body, "sha256").hex()


def shared_mark(key: bytes, signed: bytes) -> str:
    """Return one entry of `webhook-signature` by a shared secret's bytes: `v1,` and base64."""
    return _V1 + b64encode(hmac.digest(key, signed, "sha256")).decode("ascii")


def shared_key(text: str) -> bytes:
    """Return the bytes that a shared secret stands for. Raises BadSecret."""
    key = _decoded(text, PREFIX)
    if not LEAST_SECRET_BYTES <= len(key) <= MOST_SECRET_BYTES:
        raise BadSecret("a signing secret stands for 24 to 64 bytes")
    return key


def public_key_bytes(text: str) -> bytes:
    """Return the 32 bytes of a public key. Raises BadSecret."""
    return _key_bytes(text, PUBLIC_PREFIX)


def _mark(text: str) -> Callable[[bytes], str]:
    if text.startswith(PRIVATE_PREFIX):
        private_key = _private(text)
        return lambda signed: f"{Scheme.V1A},{b64encode(private_key.sign(signed)).decode('ascii')}"
    key = shared_key(text)
    return partial(shared_mark, key)


def _private(text: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(_key_bytes(text, PRIVATE_PREFIX))


def _key_bytes(text: str, prefix: str) -> bytes:
    key = _decoded(text, prefix)
    if len(key) != KEY_BYTES:
        raise BadSecret(f"a key behind {prefix} has {KEY_BYTES} bytes")
    return key


def _decoded(text: str, prefix: str) -> bytes:
    if not text.startswith(prefix):
        raise BadSecret(f"a text that begins with {prefix} is wanted")
    try:
        return a2b_base64(text[len(prefix) :], strict_mode=True)
    except (NotBase64, ValueError):
        raise BadSecret(f"there is base64 after {prefix}") from None
