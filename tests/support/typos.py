"""Secrets as people mistype them."""

from keystore.credentials import ALPHABET


def mistyped(secret: str) -> str:
    """Return a secret with another last character, whatever that is."""
    return secret[:-1] + ALPHABET[ALPHABET.index(secret[-1]) - 1]
