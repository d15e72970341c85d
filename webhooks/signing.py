"""Signatures on what we push: Standard Webhooks 1.0.0 (v1), and the contract's own header.

A signing secret reads `whsec_` and the base64 of its bytes. Standard Webhooks keys HMAC-SHA256 with
those bytes and signs `id.timestamp.body`; `X-Avoma-Signature` (meetings API, section 3.7) keys it
with the secret's whole text and signs the body alone.
"""

import hmac
from base64 import b64encode
from binascii import Error as NotBase64
from binascii import a2b_base64
from typing import Protocol

from keystore.credentials import SecretValue

PREFIX = "whsec_"
SECRET_BYTES = 32  # Standard Webhooks asks for 24 to 64

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"
AVOMA_HEADER = "x-avoma-signature"


class Random(Protocol):
    """A source of randomness; `random.SystemRandom` for anything real."""

    def randbytes(self, n: int, /) -> bytes:
        """Return n random bytes."""
        ...


class BadSecret(ValueError):
    """A text that is not a signing secret. The message never shows it."""


def new_secret(random: Random) -> SecretValue:
    """Return a new signing secret, in the form in which the partner gets it."""
    return SecretValue(PREFIX + b64encode(random.randbytes(SECRET_BYTES)).decode("ascii"))


def headers(secret: SecretValue, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the four headers that prove where a message comes from.

    The timestamp is in whole seconds since 1970 and belongs to the attempt; the id belongs to the
    event and stays the same when it is sent again. Raises BadSecret.
    """
    text = secret.reveal()
    signed = b"%b.%d.%b" % (message_id.encode("ascii"), timestamp, body)
    standard = hmac.digest(_key_bytes(text), signed, "sha256")
    return {
        ID_HEADER: message_id,
        TIMESTAMP_HEADER: str(timestamp),
        SIGNATURE_HEADER: "v1," + b64encode(standard).decode("ascii"),
        AVOMA_HEADER: hmac.digest(text.encode(), body, "sha256").hex(),
    }


def _key_bytes(text: str) -> bytes:
    if not text.startswith(PREFIX):
        raise BadSecret("a signing secret begins with whsec_")
    try:
        return a2b_base64(text[len(PREFIX) :], strict_mode=True)
    except (NotBase64, ValueError):
        raise BadSecret("a signing secret is base64 after its prefix") from None
