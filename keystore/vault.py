"""What the installation's secret keys are good for: digests, sealed values, signed sessions.

The keys come from `KEYHOOK_SECRET_KEYS`. The first one makes new digests and seals; all of them
can check and open, so that a key is replaced by putting its successor before it. Each purpose gets
a subkey of its own (HKDF, RFC 5869), so that no value made for one purpose is good for another.
"""

import hmac
import os
from collections.abc import Sequence
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from keystore.credentials import SecretValue
from keystore.errors import VaultError

DIGEST_VERSION = "v1"
NONCE_BYTES = 12
KEY_ID_BYTES = 4


@lru_cache(maxsize=256)
def _subkey(secret_key: bytes, purpose: bytes) -> bytes:
    """Derive the 32-byte key for one purpose; cached, as verifying must be fast."""
    return HKDF(SHA256(), length=32, salt=None, info=b"keyhook " + purpose).derive(secret_key)


class Vault:
    """Digests and seals under the installation's secret keys; the first one is the newest."""

    def __init__(self, secret_keys: Sequence[SecretValue]) -> None:
        keys = [key.reveal().encode() for key in secret_keys]
        self._keys = {_subkey(key, b"id")[:KEY_ID_BYTES].hex(): key for key in keys}
        self._current = next(iter(self._keys))
        # Each has taken in its key already, which is the greater part of a short text's digest.
        self._digests = {
            one: hmac.new(_subkey(key, b"digest v1"), digestmod="sha256")
            for one, key in self._keys.items()
        }
        # The same work for a Client Key that does not exist: a digest that nothing matches.
        self.dummy_digest = f"{DIGEST_VERSION}${self._current}${'0' * 64}"

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The keys by what seals and digests call them, the newest first; tells nothing of them."""
        return tuple(self._keys)

    def digest(self, text: str) -> str:
        """Return `v1$<key id>$<hex>`: HMAC-SHA-256 (RFC 2104) of the text under the newest key."""
        return self._digest(text, self._current)

    def digests(self, text: str) -> list[str]:
        """Return all the digests that a text may be stored under, one for each key that we have."""
        return [self._digest(text, key_id) for key_id in self._keys]

    @staticmethod
    def among(digest: str, digests: list[str]) -> bool:
        """Tell whether a stored digest is one of these, in a time that tells nothing of it."""
        stored, found = digest.encode(), False
        for one in digests:
            found |= hmac.compare_digest(one.encode(), stored)
        return found

    def prefixes(self) -> list[str]:
        """Return how the digests begin that we can check."""
        return [f"{DIGEST_VERSION}${key_id}$" for key_id in self._keys]

    def matches(self, text: str, digest: str) -> bool:
        """Compare in constant time, on bytes, with the key that made the digest.

        A digest of a version or key that we do not have never matches.
        """
        version, _, rest = digest.partition("$")
        key_id, _, _ = rest.partition("$")
        if version != DIGEST_VERSION or key_id not in self._keys:
            return False
        return hmac.compare_digest(self._digest(text, key_id).encode(), digest.encode())

    def _digest(self, text: str, key_id: str) -> str:
        digest = self._digests[key_id].copy()
        digest.update(text.encode("utf-8", "surrogatepass"))
        return f"{DIGEST_VERSION}${key_id}${digest.hexdigest()}"

    def seal(self, plain: SecretValue, context: str) -> bytes:
        """Encrypt (AES-256-GCM) a text that must be read back, bound to its context.

        Shape: 4 bytes key id, 12 bytes nonce, ciphertext and tag. The context (say,
        `subscription:<id>`) is authenticated: a sealed value moved to another row does not open.
        """
        nonce = os.urandom(NONCE_BYTES)
        cipher = AESGCM(_subkey(self._keys[self._current], b"seal v1"))
        sealed = cipher.encrypt(nonce, plain.reveal().encode(), context.encode())
        return bytes.fromhex(self._current) + nonce + sealed

    def open(self, sealed: bytes, context: str) -> SecretValue:
        """Decrypt what `seal` made.

        Raises VaultError when the key is not configured, the context differs, or a bit was changed.
        """
        key = self._keys.get(sealed[:KEY_ID_BYTES].hex())
        if key is None:
            raise VaultError
        nonce = sealed[KEY_ID_BYTES : KEY_ID_BYTES + NONCE_BYTES]
        cipher = AESGCM(_subkey(key, b"seal v1"))
        try:
            plain = cipher.decrypt(nonce, sealed[KEY_ID_BYTES + NONCE_BYTES :], context.encode())
        except (InvalidTag, ValueError) as error:
            raise VaultError("A sealed value does not open; it was changed or moved.") from error
        return SecretValue(plain.decode())

    def session_keys(self) -> list[bytes]:
        """Return the keys that sign browser sessions and forms, newest first."""
        return [_subkey(key, b"session v1") for key in self._keys.values()]

    def derive(self, purpose: str) -> bytes:
        """Return 32 bytes that only this installation can work out, for one named purpose."""
        return _subkey(self._keys[self._current], b"derive " + purpose.encode())
