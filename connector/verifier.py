"""Is this webhook genuine? A receiver finds out in three lines.

    from connector.client import Webhook

    webhook = Webhook(signing_secret)
    event = webhook.verify(request.get_data(), request.headers)

The signature is over the bytes of the body as they came: JSON that was read and written again is
another text, and is refused.
"""

import hmac
import json
import re
from binascii import Error as NotBase64
from binascii import a2b_base64
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, Protocol

from cryptography.exceptions import InvalidSignature as NotByThisKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from keystore.clock import Clock, SystemClock
from keystore.credentials import SecretValue
from webhooks import signing
from webhooks.signing import (
    AVOMA_HEADER,
    ID_HEADER,
    PUBLIC_PREFIX,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    BadSecret,
    Scheme,
)

__all__ = ["BadSecret", "Headers", "InvalidSignature", "Webhook"]

TOLERANCE = timedelta(minutes=5)
MOST_ENTRIES = 100  # of `webhook-signature` that are looked at

# Visible ASCII but the full stop, which parts the id from the timestamp in what is signed.
_ID = re.compile(r"[!-\-/-~]{1,256}\Z")
_TIMESTAMP = re.compile(r"[0-9]{1,12}\Z")


class InvalidSignature(Exception):
    """This is not, or not provably, from whom it should be; answer 400 and look no further.

    The one error for whatever may be wrong with a request. Its text says what, for the developer.
    """


class Headers(Protocol):
    """The headers of a request, as any framework has them."""

    def items(self) -> Iterable[tuple[str, Any]]:
        """Return names, in any case, and values."""
        ...


class Webhook:
    """Knows the signing secret of one subscription, and what was signed with it."""

    def __init__(
        self,
        *secrets: str | SecretValue,
        contract: bool = False,
        tolerance: timedelta = TOLERANCE,
        clock: Clock | None = None,
    ) -> None:
        """Take the signing secret: `whsec_…`, or the public key `whpk_…` of a v1a subscription.

        Give both secrets while one takes the other's place. tolerance: how far the sender's clock
        may be off, and for how long a request that somebody overheard could be sent again.
        contract: judge by `X-Avoma-Signature` instead, where a secret may be any text; nothing in
        it says when it was made. Raises BadSecret.
        """
        texts = [one.reveal() if isinstance(one, SecretValue) else one for one in secrets]
        if not all(texts) or not texts:
            raise BadSecret("give the signing secret of the subscription")
        self._contract = contract
        self._tolerance = tolerance
        self._clock = clock or SystemClock()
        self._keys = [] if contract else [_key(text) for text in texts]
        self._secrets = [SecretValue(text) for text in texts]

    def verify(self, body: bytes, headers: Headers) -> Any:
        """Return the event in a genuine request: its JSON, read.

        body: the bytes as they came. Raises InvalidSignature for whatever is wrong with the
        request, and TypeError when the body handed over is not bytes: a mistake in the program.
        """
        if not isinstance(body, bytes):
            raise TypeError("give the body's bytes as they came, before anything reads them")
        if self._contract:
            self._check_contract(body, headers)
        else:
            self._check(body, headers)
        try:
            return json.loads(body.decode("utf-8"))
        except (ValueError, RecursionError):
            raise InvalidSignature("The body is not JSON.") from None

    def _check(self, body: bytes, headers: Headers) -> None:
        message_id, timestamp = _one(headers, ID_HEADER), _one(headers, TIMESTAMP_HEADER)
        if not _ID.match(message_id) or not _TIMESTAMP.match(timestamp):
            raise InvalidSignature("The request's webhook-id or webhook-timestamp is malformed.")
        off = int(timestamp) - self._clock.now().timestamp()
        if abs(off) > self._tolerance.total_seconds():
            raise InvalidSignature(f"The request was signed {off:+.0f} seconds from now.")
        signed = b".".join((message_id.encode(), timestamp.encode(), body))
        # Entries of other schemes, and by other secrets, are there for other receivers; but each
        # costs work, so nobody may ask for any number.
        entries = _one(headers, SIGNATURE_HEADER).split(" ")[:MOST_ENTRIES]
        if not any(key.made_one_of(entries, signed) for key in self._keys):
            raise InvalidSignature("No signature is by this secret over these bytes.")

    def _check_contract(self, body: bytes, headers: Headers) -> None:
        given = _bytes(_one(headers, AVOMA_HEADER).lower())
        texts = [secret.map(str.encode) for secret in self._secrets]
        expected = [signing.contract_signature(text, body).encode() for text in texts]
        if not any(hmac.compare_digest(one, given) for one in expected):
            raise InvalidSignature("The signature is not by this secret over these bytes.")


class _Key(Protocol):
    def made_one_of(self, entries: Sequence[str], signed: bytes) -> bool: ...


class _SharedKey:
    def __init__(self, text: str) -> None:
        self._key = signing.shared_key(text)

    def made_one_of(self, entries: Sequence[str], signed: bytes) -> bool:
        mark = signing.shared_mark(self._key, signed).encode()
        return any(hmac.compare_digest(mark, _bytes(entry)) for entry in entries)


class _PublicKey:
    def __init__(self, text: str) -> None:
        self._key = Ed25519PublicKey.from_public_bytes(signing.public_key_bytes(text))

    def made_one_of(self, entries: Sequence[str], signed: bytes) -> bool:
        return any(self._made(entry, signed) for entry in entries)

    def _made(self, entry: str, signed: bytes) -> bool:
        scheme, _, signature = entry.partition(",")
        if scheme != Scheme.V1A:
            return False
        try:
            self._key.verify(a2b_base64(signature, strict_mode=True), signed)
        except (NotBase64, ValueError, NotByThisKey):
            return False
        return True


def _key(text: str) -> _Key:
    return _PublicKey(text) if text.startswith(PUBLIC_PREFIX) else _SharedKey(text)


def _one(headers: Headers, wanted: str) -> str:
    """Return the one value of a header; whoever sends two means to confuse."""
    found = [value for name, value in headers.items() if name.lower() == wanted]
    if len(found) != 1 or not isinstance(found[0], str) or not found[0]:
        raise InvalidSignature(f"The request must have one header {wanted}.")
    return found[0]


def _bytes(text: str) -> bytes:
    """Encode what came from outside, whatever it is, for a comparison in constant time."""
    return text.encode("utf-8", "surrogatepass")
