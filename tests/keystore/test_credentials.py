"""How credentials look, and that a typo is seen without asking anyone."""

import copy
import json
import logging
import math
import pickle
import random
import re
from base64 import b64encode
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keystore import credentials
from keystore.credentials import ALPHABET, SecretValue

BOTH_HALVES = re.compile(r"^[a-z0-9]{10,}$")
seeds = st.integers(0, 2**64)


def a_pair(seed: int) -> tuple[str, str]:
    source = random.Random(seed)
    client_key = credentials.generate_client_key(source)
    return client_key, credentials.generate_client_secret(client_key, source).reveal()


@given(seeds)
def test_s4_what_we_issue_is_well_formed_and_fits_the_contract(seed: int) -> None:
    client_key, client_secret = a_pair(seed)

    assert credentials.well_formed(client_key, client_secret)
    assert BOTH_HALVES.match(client_key)
    assert BOTH_HALVES.match(client_secret)
    assert client_key.startswith("khk")
    assert len(client_key) == 3 + 20
    assert client_secret.startswith("khs" + client_key[3:])
    assert len(client_secret) >= 3 + 48


def test_s3_the_random_part_has_at_least_160_bits() -> None:
    assert credentials.RANDOM_LENGTH * math.log2(len(ALPHABET)) >= 160


@given(seeds, st.data())
def test_every_typo_of_one_character_is_seen(seed: int, data: st.DataObject) -> None:
    client_key, client_secret = a_pair(seed)
    place = data.draw(st.integers(0, len(client_secret) - 1))
    wrong = data.draw(st.sampled_from(ALPHABET).filter(lambda c: c != client_secret[place]))

    typo = client_secret[:place] + wrong + client_secret[place + 1 :]

    assert not credentials.well_formed(client_key, typo)


@given(seeds, st.data())
def test_two_neighbours_swapped_are_seen(seed: int, data: st.DataObject) -> None:
    client_key, client_secret = a_pair(seed)
    place = data.draw(st.integers(0, len(client_secret) - 2))

    swapped = list(client_secret)
    swapped[place], swapped[place + 1] = swapped[place + 1], swapped[place]

    assert ("".join(swapped) == client_secret) == credentials.well_formed(
        client_key, "".join(swapped)
    )


@given(seeds, st.text(max_size=5))
def test_nothing_more_and_nothing_less_is_a_pair(seed: int, extra: str) -> None:
    client_key, client_secret = a_pair(seed)

    for key, secret in (
        (client_key, client_secret + extra),
        (client_key, extra + client_secret),
        (client_key + extra, client_secret),
        (client_key, client_secret[: -len(extra) or None]),
    ):
        assert credentials.well_formed(key, secret) == (
            (key, secret) == (client_key, client_secret)
        )


@given(seeds, seeds)
def test_a_secret_belongs_to_its_own_key_alone(one: int, other: int) -> None:
    (client_key, _), (other_key, other_secret) = a_pair(one), a_pair(other)

    assert credentials.well_formed(client_key, other_secret) == (client_key == other_key)


@given(st.text(), st.text())
def test_no_text_at_all_makes_it_raise(client_key: str, client_secret: str) -> None:
    assert not credentials.well_formed(client_key, client_secret)


@pytest.mark.parametrize("letter", ["٣", "ａ", "ſ", "K", "A"])
def test_look_alikes_are_not_our_letters(letter: str) -> None:
    client_key, client_secret = a_pair(1)

    assert not credentials.well_formed("khk" + letter + client_key[4:], client_secret)


def test_a_secret_shows_itself_only_when_asked(caplog: pytest.LogCaptureFixture) -> None:
    secret = SecretValue("open sesame")

    logging.getLogger("test").warning("%s %r %s", secret, secret, {"secret": secret})

    assert secret.reveal() == "open sesame"
    assert secret.map(len) == 11
    for shown in (str(secret), repr(secret), f"{secret}", f"{secret:>20}", caplog.text):
        assert "sesame" not in shown
        assert "[secret]" in shown


def test_a_secret_does_not_travel_by_accident() -> None:
    secret = SecretValue("open sesame")

    for attempt in (
        lambda: pickle.dumps(secret),
        lambda: copy.deepcopy(secret),
        lambda: json.dumps({"secret": secret}),
        lambda: secret == SecretValue("open sesame"),
        lambda: {secret},
    ):
        with pytest.raises(TypeError):
            attempt()


@given(seeds, st.data())
def test_an_access_token_shows_every_typo_too(seed: int, data: st.DataObject) -> None:
    token = credentials.generate_access_token(random.Random(seed)).reveal()
    place = data.draw(st.integers(0, len(token) - 1))
    wrong = data.draw(st.sampled_from(ALPHABET).filter(lambda c: c != token[place]))

    assert BOTH_HALVES.match(token)
    assert token.startswith("kht")
    assert credentials.public_part(token) == token[3:23]
    assert credentials.public_part(token[:place] + wrong + token[place + 1 :]) is None


@given(st.text())
def test_no_other_text_is_an_access_token(text: str) -> None:
    token = credentials.generate_access_token(random.Random(1)).reveal()

    for other in (text, "kht" + text, token.upper(), token + "\n", f"{text}x{token}"):
        assert credentials.public_part(other) is None


def test_secrets_and_tokens_are_found_in_whatever_is_around_them() -> None:
    client_key = credentials.generate_client_key(random.Random(1))
    secret = credentials.generate_client_secret(client_key, random.Random(2)).reveal()
    token = credentials.generate_access_token(random.Random(3)).reveal()
    text = f"Bearer {client_key}:{secret}\nTOKEN='{token}' and {secret}, {token}."

    assert credentials.found_in(text) == [secret, token]
    assert credentials.found_in(secret) == [secret]
    for nothing in ("", client_key, secret[:-1], secret[1:], secret.upper()):
        assert credentials.found_in(nothing) == []
    typo = secret[:40] + ("0" if secret[40] != "0" else "1") + secret[41:]
    assert credentials.found_in(typo) == []


@given(seeds, st.text(ALPHABET, max_size=70), st.text(ALPHABET, max_size=70))
def test_a_whole_secret_is_found_though_letters_and_digits_stand_around_it(
    seed: int, before: str, after: str
) -> None:
    _, secret = a_pair(seed)

    for text in (
        f"{before}{secret}{after}",
        f"khs{before}{secret}",  # what begins like one, too
        rf"a\n{secret}\t",
        f"%3a{secret}%0A",
        f"{secret}{secret}",
    ):
        assert credentials.found_in(text) == [secret]


def test_a_text_made_to_take_long_takes_no_longer() -> None:
    assert credentials.found_in("khs" * 500_000) == []
    assert credentials.found_in("k" * 1_500_000) == []


@given(seeds, st.text(max_size=5), st.text(max_size=5))
def test_every_secret_is_blotted_out_wherever_it_stands_and_no_client_key(
    seed: int, before: str, after: str
) -> None:
    source = random.Random(seed)
    client_key, client_secret = a_pair(seed)
    base64 = b64encode(source.randbytes(32)).decode()
    for secret in (
        client_secret,
        client_secret.upper(),
        credentials.generate_access_token(source).reveal(),
        credentials.generate_link_token(source).reveal(),
        f"whsec_{base64}",
        f"whsk_{base64}",
        f"whsk_{quote(base64, safe='')}",  # as it is in an address
    ):
        written = credentials.blotted(f"{before}{secret}{after}")
        assert "[secret]" in written
        assert secret[-8:] not in written

    assert credentials.blotted(client_key) == client_key
    assert credentials.blotted(f"{client_key}:{client_secret}") == f"{client_key}:[secret]"


def test_a_client_key_is_not_blotted_out_though_it_holds_the_beginning_of_a_secret() -> None:
    for client_key in ("khk" + "khs" + "0" * 17, "khk" + "0" * 17 + "khs"):
        assert credentials.blotted(f"{client_key}, khs") == f"{client_key}, khs"
