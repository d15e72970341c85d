"""Time-based one-time codes (RFC 6238): six digits that an app on a phone works out, too.

These are thirty lines of HMAC, with the RFC's own vectors as their test: no reason for a
dependency. The parameters are those that every such app takes: SHA-1, 6 digits, 30 seconds.
"""

import base64
import hmac
import struct
from datetime import datetime
from urllib.parse import quote, urlencode

from keystore.credentials import SecretValue

DIGITS = 6
PERIOD = 30  # seconds
#: How many periods a phone's clock may be off, to either side (RFC 6238, 5.2).
DRIFT = 1
SECRET_BYTES = 20  # as long as the hash (RFC 4226, 4)


def step(at: datetime) -> int:
    """Return the number of the period that a moment is in."""
    return int(at.timestamp()) // PERIOD


def code(secret: bytes, number: int) -> str:
    """Return the code of one period (RFC 4226, 5.3)."""
    digest = hmac.digest(secret, struct.pack(">Q", number), "sha1")
    offset = digest[-1] & 0x0F
    value = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{value % 10**DIGITS:0{DIGITS}}"


def matching_step(secret: bytes, text: str, now: datetime) -> int | None:
    """Return the period whose code this is, or None. Every period is tried, whichever fits."""
    present, typed = step(now), text.encode("utf-8", "surrogatepass")
    candidates = range(max(0, present - DRIFT), present + DRIFT + 1)
    fitting = [n for n in candidates if hmac.compare_digest(code(secret, n).encode(), typed)]
    return max(fitting, default=None)


def as_text(secret: bytes) -> SecretValue:
    """Return a secret as people type it into their app."""
    return SecretValue(base64.b32encode(secret).decode())


def as_bytes(secret: SecretValue) -> bytes:
    """Return what `as_text` was given."""
    return base64.b32decode(secret.reveal())


def address(secret: SecretValue, *, issuer: str, account: str) -> SecretValue:
    """Return the `otpauth:` address that a QR code holds (Key Uri Format of the Authenticator)."""
    label = f"{quote(issuer, safe='')}:{quote(account, safe='@')}"
    query = urlencode({"secret": secret.reveal(), "issuer": issuer}, quote_via=quote)
    return SecretValue(f"otpauth://totp/{label}?{query}")
