"""What a secret scanner sends: a signed list of texts that look like ours, and where they were.

The protocol is that of GitHub's partner program (docs.github.com, "Secret scanning partner
program"): ECDSA on the curve P-256 with SHA-256, in DER and base64, over the raw body. Where the
scanner's public keys come from is another room's business (keystore.leak_feed).
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from keystore.credentials import SecretValue
from keystore.errors import BadReport

#: More than a scanner sends in one go; each record costs a look-up, and may cost a transaction.
MOST_RECORDS = 1_000
LONGEST_SIGNATURE = 200  # a DER signature on P-256 has at most 72 bytes, 96 in base64


@dataclass(frozen=True, slots=True)
class Record:
    """One place where a text was found that looks like a secret of ours."""

    token: SecretValue
    type: str = field(repr=False)  # the scanner's name for the pattern that matched
    url: str = field(repr=False)  # may be empty, and may itself hold what was found
    source: str = field(repr=False)  # "commit", "Gist_content", ...


def public_keys(text: str) -> dict[str, EllipticCurvePublicKey]:
    """Read a scanner's list of public keys; return them by their identifiers.

    A key that is listed without being current counts as well: it signed the reports that were under
    way when it was replaced, and whoever publishes the list takes a key off it that must not be
    trusted. A key of another kind or curve is left out. Raises ValueError for what is no such list.
    """
    found = json.loads(text)
    listed = found.get("public_keys") if isinstance(found, dict) else None
    if not isinstance(listed, list):
        raise ValueError("there is no list of public keys")  # noqa: TRY004 - one kind of error
    keys = {}
    for one in listed:
        identifier = one.get("key_identifier") if isinstance(one, dict) else None
        key = _public_key(one.get("key")) if isinstance(one, dict) else None
        if isinstance(identifier, str) and key is not None:
            keys[identifier] = key
    return keys


def is_signed(body: bytes, signature: str, key: EllipticCurvePublicKey) -> bool:
    """Tell whether this is the key's signature over these very bytes."""
    if len(signature) > LONGEST_SIGNATURE:
        return False
    try:
        der = base64.b64decode(signature.encode("ascii"), validate=True)
        key.verify(der, body, ECDSA(SHA256()))
    except (UnicodeEncodeError, binascii.Error, InvalidSignature):
        return False
    return True


def records(body: bytes) -> list[Record]:
    """Read the body of a report. Raises BadReport for anything but a list of records."""
    try:
        listed = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise BadReport("The body must be JSON in UTF-8.") from None
    if not isinstance(listed, list):
        raise BadReport("The body must be a JSON array.")
    if len(listed) > MOST_RECORDS:
        raise BadReport(f"Send at most {MOST_RECORDS} records at a time.")
    return [_record(one) for one in listed]


def _public_key(pem: Any) -> EllipticCurvePublicKey | None:
    try:
        key = load_pem_public_key(pem.encode("ascii"))
    except (AttributeError, ValueError, UnsupportedAlgorithm):
        return None
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return key
    return None


def _record(one: Any) -> Record:
    token = one.get("token") if isinstance(one, Mapping) else None
    if not isinstance(token, str):
        raise BadReport("Each record must be an object with a text as its token.")
    type_, url, source = (one.get(name, "") for name in ("type", "url", "source"))
    if not all(isinstance(text, str) for text in (type_, url, source)):
        raise BadReport("A record's type, url and source must be texts.")
    return Record(SecretValue(token), type_, url, source)
