"""An access token was found in the open."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from keystore.clock import ManualClock
from keystore.db import Database
from keystore.keys import Issued
from keystore.leak_models import Leaked
from keystore.models import User
from keystore.rotation import LeakPolicy
from keystore.tokens import Tokens
from keystore.vault import Vault
from keystore.verification import Verification
from tests.keystore.leaks.telling import (
    CURRENT,
    DEAD,
    NOTIFY,
    Report,
    letters,
    reports,
    secret_of,
    works,
)


@pytest.mark.parametrize("policy", LeakPolicy, ids=str)
def test_a_leaked_token_ends_alone(
    database: Database,
    issued: Issued,
    report: Report,
    choose: Callable[..., None],
    verification: Verification,
    vault: Vault,
    clock: ManualClock,
    policy: LeakPolicy,
) -> None:
    choose(policy)
    key = verification.by_secret(issued.key.client_key, secret_of(issued))
    assert key is not None
    with database.session() as session:
        tokens = Tokens(vault, clock)
        token, other = (tokens.issue(session, key, key.scopes).text.reveal() for _ in range(2))

    assert report(token)

    assert (verification.by_token(token) is None) == (policy is not NOTIFY)
    assert verification.by_token(other) is not None
    assert works(verification, issued)
    [found] = reports(database)
    assert (found.what, found.generation, found.state) == (Leaked.TOKEN, 1, CURRENT)
    changed = "0" if token[30] != "0" else "1"
    assert not report(token[:30] + changed + token[31:], url="https://elsewhere.example/")
    clock.advance(timedelta(hours=1))
    assert report(token, url="https://later.example/")
    assert reports(database)[-1].state is DEAD


def test_the_secrets_first_leak_is_told_though_a_token_of_its_leaked_today(
    database: Database,
    issued: Issued,
    admin: User,
    report: Report,
    verification: Verification,
    vault: Vault,
    clock: ManualClock,
) -> None:
    key = verification.by_secret(issued.key.client_key, secret_of(issued))
    assert key is not None
    with database.session() as session:
        token = Tokens(vault, clock).issue(session, key, key.scopes).text.reveal()

    report(token)
    report(secret_of(issued))

    assert len(letters(database)) == 2
