"""Client Keys and Client Secrets: how they look, how they are made, how a typo is seen.

A Client Key is `khk` and 20 random characters. Its Client Secret is `khs`, those same 20
characters, 32 random ones (165 bits) and a 7-character checksum:

    khk 4f9q0c1mzx7w2a8d5k3e
    khs 4f9q0c1mzx7w2a8d5k3e q8...32...1x 0h3k9zq

The prefix lets a scanner recognise a leak, the embedded public part says whose it is even when
only the secret was leaked (secret scanners need both halves of a pair in one file otherwise), and
the checksum refuses typos without a database. The checksum is no protection: anyone can compute it.

An access token is built like a Client Secret, behind `kht`; its 20 public characters are its own.
The link in a mail ends in `khl` and 40 random characters.
"""

import hashlib
import re
import zlib
from collections.abc import Callable
from typing import Never, NoReturn, Protocol, TypeVar

ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
KEY_PREFIX = "khk"
SECRET_PREFIX = "khs"  # noqa: S105 - a prefix, not a secret
TOKEN_PREFIX = "kht"  # noqa: S105 - as above
LINK_PREFIX = "khl"
PUBLIC_LENGTH = 20
RANDOM_LENGTH = 32  # 32 * log2(36) = 165 bits; NIST SP 800-63B asks for 112 to allow a fast hash
LINK_LENGTH = 40  # 206 bits
CHECKSUM_LENGTH = 7  # 36^7 > 2^32

# \Z, not $: a trailing newline is not part of a credential.
CLIENT_KEY = re.compile(rf"{KEY_PREFIX}[0-9a-z]{{{PUBLIC_LENGTH}}}\Z")
CLIENT_SECRET = re.compile(
    rf"{SECRET_PREFIX}[0-9a-z]{{{PUBLIC_LENGTH + RANDOM_LENGTH + CHECKSUM_LENGTH}}}\Z"
)
ACCESS_TOKEN = re.compile(
    rf"{TOKEN_PREFIX}[0-9a-z]{{{PUBLIC_LENGTH + RANDOM_LENGTH + CHECKSUM_LENGTH}}}\Z"
)

# Any prefix of ours but the Client Key's, whatever stands before it: in an address that is `%3A` or
# `_`. What is cut so short that it might stand in a Client Key holds nothing that opens a door.
_NOT_TO_BE_SEEN = re.compile(
    rf"kh(?!k)[a-z][0-9a-z]{{{PUBLIC_LENGTH},}}"
    r"|wh(?:sec|sk)_[0-9a-z+/=%]{8,}",  # a signing secret, base64; with % as it is in an address
    re.IGNORECASE,
)
# Whatever is around it: the letter before it may be of `\n` or `%3a`. The rest is only looked ahead
# at, so what looks like a beginning hides none that begins within it.
_IN_A_TEXT = re.compile(
    rf"({SECRET_PREFIX}|{TOKEN_PREFIX})"
    rf"(?=([0-9a-z]{{{PUBLIC_LENGTH + RANDOM_LENGTH + CHECKSUM_LENGTH}}}))"
)

T = TypeVar("T")


class Random(Protocol):
    """A source of randomness; `random.SystemRandom` for anything real."""

    def choices(self, population: str, *, k: int) -> list[str]:
        """Return k characters, each drawn from the whole population."""
        ...


class SecretValue:
    """A text that opens a door. It shows itself only when asked by name.

    repr, str, format and logging show a placeholder; pickling and copying into JSON fail.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the plain text. Every call of this is a place to look at in a review."""
        return self._text

    def map(self, function: Callable[[str], T]) -> T:
        """Apply a function to the plain text."""
        return function(self._text)

    def __repr__(self) -> str:
        return "[secret]"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format("[secret]", spec)

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("compare secrets by their digests, in constant time")

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> Never:
        raise TypeError("a secret is not pickled")


def checksum(text: str) -> str:
    """Return the CRC-32 of an ASCII text as 7 characters of base 36.

    CRC-32 sees every change of one character and every swap of two neighbours.
    """
    number = zlib.crc32(text.encode("ascii"))
    digits = ""
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits


def _sums_up(text: str) -> bool:
    """Tell whether a text of our alphabet ends with the checksum of what stands before it."""
    number = zlib.crc32(text[:-CHECKSUM_LENGTH].encode("ascii"))
    return int(text[-CHECKSUM_LENGTH:], len(ALPHABET)) == number


def generate_client_key(random: Random) -> str:
    """Return a new Client Key."""
    return KEY_PREFIX + "".join(random.choices(ALPHABET, k=PUBLIC_LENGTH))


def generate_client_secret(client_key: str, random: Random) -> SecretValue:
    """Return a new Client Secret that belongs to this Client Key."""
    public = client_key.removeprefix(KEY_PREFIX)
    body = SECRET_PREFIX + public + "".join(random.choices(ALPHABET, k=RANDOM_LENGTH))
    return SecretValue(body + checksum(body))


def well_formed(client_key: str, client_secret: str) -> bool:
    """Tell whether these two could be a pair that we issued, without looking anything up."""
    return (
        CLIENT_KEY.match(client_key) is not None
        and CLIENT_SECRET.match(client_secret) is not None
        and client_secret.startswith(client_key.removeprefix(KEY_PREFIX), len(SECRET_PREFIX))
        and _sums_up(client_secret)
    )


def generate_access_token(random: Random) -> SecretValue:
    """Return a new access token."""
    body = TOKEN_PREFIX + "".join(random.choices(ALPHABET, k=PUBLIC_LENGTH + RANDOM_LENGTH))
    return SecretValue(body + checksum(body))


def generate_link_token(random: Random) -> SecretValue:
    """Return what makes a link in a mail work, once."""
    return SecretValue(LINK_PREFIX + "".join(random.choices(ALPHABET, k=LINK_LENGTH)))


def link_digest(token: str) -> str:
    """Return what is kept of a link: its SHA-256, as there is nothing in it to be guessed."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def public_part(access_token: str) -> str | None:
    """Return the 20 characters by which a token is found, or None if we cannot have issued it."""
    if ACCESS_TOKEN.match(access_token) is None:
        return None
    if not _sums_up(access_token):
        return None
    return access_token[len(TOKEN_PREFIX) : len(TOKEN_PREFIX) + PUBLIC_LENGTH]


def blotted(text: str) -> str:
    """Return a text without our secrets, whole or cut short: the one rule for all that is kept."""
    return _NOT_TO_BE_SEEN.sub("[secret]", text)


def found_in(text: str) -> list[str]:
    """Return what in a text may be Client Secrets or access tokens of ours, each once, in order.

    So it is all the same whether somebody hands over a secret alone, a pair, or the line it was in.
    The time is linear in the text's length, whatever the text.
    """
    candidates = ("".join(found.groups()) for found in _IN_A_TEXT.finditer(text))
    return list(dict.fromkeys(filter(_sums_up, candidates)))
