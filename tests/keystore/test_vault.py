"""Digests that only this installation can make, and seals that open only where they belong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keystore.credentials import SecretValue
from keystore.errors import VaultError
from keystore.vault import Vault

OLD, NEW = SecretValue("o" * 32), SecretValue("n" * 32)
VAULT = Vault([OLD])


@given(st.text(), st.text())
def test_a_digest_matches_its_own_text_only(text: str, other: str) -> None:
    digest = VAULT.digest(text)

    assert VAULT.matches(text, digest)
    assert VAULT.matches(other, digest) == (text == other)
    assert not VAULT.matches(text, VAULT.dummy_digest)


def test_a_digest_says_its_version_and_key_and_no_other_installation_makes_the_same() -> None:
    version, key_id, tag = VAULT.digest("text").split("$")

    assert (version, len(key_id), len(tag)) == ("v1", 8, 64)
    assert Vault([NEW]).digest("text").split("$")[2] != tag


@pytest.mark.parametrize("digest", ["", "$", "v2$x$y", "v1$ffffffff$00", "plain", "v1$" + "ä" * 3])
def test_a_digest_that_we_cannot_read_matches_nothing(digest: str) -> None:
    assert not VAULT.matches("text", digest)


def test_an_older_key_still_checks_and_opens_but_the_newest_one_makes() -> None:
    both = Vault([NEW, OLD])

    assert both.matches("text", VAULT.digest("text"))
    assert both.open(VAULT.seal(SecretValue("plain"), "row 1"), "row 1").reveal() == "plain"
    assert both.digest("text") == Vault([NEW]).digest("text")
    assert both.session_keys() == [*Vault([NEW]).session_keys(), *VAULT.session_keys()]


@given(st.text(st.characters(codec="utf-8")))
def test_what_is_sealed_is_hidden_and_comes_back(text: str) -> None:
    sealed = VAULT.seal(SecretValue(text), "row 1")

    assert VAULT.open(sealed, "row 1").reveal() == text
    assert len(text) < 4 or text.encode() not in sealed
    assert sealed != VAULT.seal(SecretValue(text), "row 1"), "never the same nonce"


@given(st.integers(0, 40), st.integers(1, 255))
def test_a_changed_bit_or_another_place_opens_nothing(place: int, change: int) -> None:
    sealed = bytearray(VAULT.seal(SecretValue("plain text"), "row 1"))
    with pytest.raises(VaultError):
        VAULT.open(bytes(sealed), "row 2")

    sealed[place] ^= change

    with pytest.raises(VaultError):
        VAULT.open(bytes(sealed), "row 1")


@pytest.mark.parametrize("sealed", [b"", b"1234", b"\x00" * 16])
def test_what_was_never_sealed_is_one_clear_error(sealed: bytes) -> None:
    with pytest.raises(VaultError, match="KEYHOOK_SECRET_KEYS"):
        VAULT.open(sealed, "row 1")


def test_each_purpose_has_a_key_of_its_own() -> None:
    assert VAULT.derive("one") == VAULT.derive("one")
    assert len({VAULT.derive("one"), VAULT.derive("two"), *VAULT.session_keys()}) == 3


def test_all_digests_of_a_text_are_those_of_each_key() -> None:
    old, new = Vault([SecretValue("o" * 64)]), Vault([SecretValue("n" * 64)])
    both = Vault([SecretValue("n" * 64), SecretValue("o" * 64)])

    assert both.digests("text") == [new.digest("text"), old.digest("text")]


@given(st.text(), st.text())
def test_a_digest_of_any_of_the_keys_is_among_those_of_its_text(text: str, other: str) -> None:
    newer = Vault([NEW, OLD])
    for maker in (VAULT, newer):
        assert newer.among(maker.digest(text), newer.digests(text))
        assert newer.among(maker.digest(text), newer.digests(other)) == (text == other)
    assert not VAULT.among(newer.digest(text), VAULT.digests(text)), "made with a key we lack"
    assert not newer.among(newer.dummy_digest, newer.digests(text))
