"""Whose secret is this? Only the whole of it is an answer; what it is worth changes with time."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from keystore import credentials, possession
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.credentials import ALPHABET, SecretValue
from keystore.db import Database
from keystore.keys import Issued, Keys
from keystore.leak_models import Leaked
from keystore.models import Key, Secret
from keystore.rotation import SecretState
from keystore.tokens import Tokens
from keystore.vault import Vault
from keystore.verification import Verification


def worth(database: Database, match: possession.Match, clock: ManualClock) -> SecretState:
    with database.session() as session, session.begin():
        key, secret = session.get_one(Key, match.key_id), session.get_one(Secret, match.secret_id)
        return possession.worth(session, match, key, secret, clock.now())


def find(database: Database, vault: Vault, text: str) -> possession.Match | None:
    with database.session() as session:
        return possession.find(session, vault, text)


def test_the_whole_secret_says_whose_it_is_also_under_an_older_key_of_ours(
    database: Database, vault: Vault, issued: Issued
) -> None:
    text = issued.client_secret.reveal()
    for known in (vault, Vault([SecretValue("n" * 64), SecretValue("k" * 64)])):
        match = find(database, known, text)
        assert match is not None
        assert (match.key_id, match.organization_id) == (issued.key.id, issued.key.organization_id)
        assert match.what is Leaked.SECRET

    assert find(database, Vault([SecretValue("n" * 64)]), text) is None


@given(place=st.integers(3, 54), other=st.sampled_from(ALPHABET))
def test_no_other_text_with_a_right_checksum_is_anybodys(
    database: Database, vault: Vault, issued: Issued, place: int, other: str
) -> None:
    text = issued.client_secret.reveal()
    body = text[:place] + other + text[place + 1 : -credentials.CHECKSUM_LENGTH]
    forged = body + credentials.checksum(body)

    assert credentials.found_in(forged) == [forged]
    assert (find(database, vault, forged) is not None) == (forged == text)


def test_a_secret_is_worth_what_it_opens(
    database: Database, vault: Vault, keys: Keys, issued: Issued, clock: ManualClock
) -> None:
    match = find(database, vault, issued.client_secret.reveal())
    assert match is not None
    assert worth(database, match, clock) is SecretState.CURRENT
    with database.session() as session:
        keys.regenerate(
            session,
            issued.key.id,
            organization_id=issued.key.organization_id,
            generation=1,
            actor=SYSTEM,
            overlap=timedelta(hours=1),
        )

    assert worth(database, match, clock) is SecretState.RETIRING
    clock.advance(timedelta(hours=1))
    assert worth(database, match, clock) is SecretState.DEAD


def test_a_token_is_worth_nothing_once_it_is_over(
    database: Database,
    vault: Vault,
    verification: Verification,
    issued: Issued,
    clock: ManualClock,
) -> None:
    key = verification.by_secret(issued.key.client_key, issued.client_secret.reveal())
    assert key is not None
    with database.session() as session:
        token = Tokens(vault, clock).issue(session, key, key.scopes).text.reveal()
    match = find(database, vault, token)
    assert match is not None
    assert match.what is Leaked.TOKEN
    assert worth(database, match, clock) is SecretState.CURRENT

    clock.advance(timedelta(hours=1))
    assert worth(database, match, clock) is SecretState.DEAD
