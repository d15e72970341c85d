"""Somebody who runs an installation replaces its secret key."""

import re

from keystore.accounts import Accounts
from keystore.audit import SYSTEM
from keystore.clock import SystemClock
from keystore.credentials import SecretValue
from keystore.db import Database
from keystore.vault import Vault
from tests.connector.cli.conftest import Shell
from webhooks.signing_secrets import SigningSecrets

OLD, NEW = "o" * 64, "n" * 64


def seal(database: Database, key: str) -> None:
    service = SigningSecrets(Vault([SecretValue(key)]), SystemClock())
    with database.session() as session:
        [northwind] = Accounts(SystemClock()).organizations(session)
    with database.session() as session:
        service.renew_for_organization(session, organization_id=northwind.id, actor=SYSTEM)


def test_everything_is_sealed_with_the_new_key_and_what_cannot_be_is_told(
    northwind: Shell, database: Database
) -> None:
    old = {"KEYHOOK_SECRET_KEYS": OLD}
    both = {"KEYHOOK_SECRET_KEYS": f"{NEW},{OLD}"}
    nothing = northwind("secrets", "rotate", **both)
    assert (nothing.code, nothing.err) == (0, "")
    assert "Everything is sealed with the first key already." in nothing.out
    assert "nothing needs it; it may be removed" in nothing.out

    assert northwind("keys", "create", "CI", **old).code == 0
    seal(database, OLD)
    checked = northwind("secrets", "rotate", "--check", **both)
    assert re.search(r"Key 1 \([0-9a-f]{8}\): nothing yet\.", checked.out)
    assert re.search(
        r"Key 2 \([0-9a-f]{8}\): 1 signing secrets of organizations, 1 cl", checked.out
    )
    rotated = northwind("secrets", "rotate", **both)
    assert (rotated.code, rotated.err) == (0, "")
    assert "Sealed again: 1 signing secrets of organizations." in rotated.out
    assert re.search(r"Key 1 \([0-9a-f]{8}\): 1 signing secrets of organizations\.", rotated.out)
    assert re.search(r"Key 2 \([0-9a-f]{8}\): 1 client secrets\.", rotated.out)
    gone = northwind("secrets", "rotate", KEYHOOK_SECRET_KEYS=NEW)
    assert gone.code == 2
    assert "KEYHOOK_SECRET_KEYS" in gone.err
    assert OLD not in checked.out + gone.err
