"""A signed-in admin pastes a text, to learn what of it is theirs."""

from collections.abc import Callable
from datetime import timedelta
from random import Random

from keystore import credentials
from keystore.accounts import Accounts
from keystore.audit import SYSTEM, Actor
from keystore.credentials import SecretValue
from keystore.db import Database
from keystore.keys import Issued
from keystore.leaks import FINDER, Leaks
from keystore.models import Organization
from keystore.verification import Verification
from tests.keystore.leaks.telling import (
    CURRENT,
    DEAD,
    KILL,
    Regenerate,
    reports,
    rows,
    secret_of,
    told,
    works,
)


def test_an_admin_who_checks_a_text_learns_what_of_it_is_theirs_and_changes_nothing(
    database: Database,
    leaks: Leaks,
    issued: Issued,
    organization: Organization,
    choose: Callable[..., None],
    regenerate: Regenerate,
) -> None:
    choose(KILL)
    new = regenerate(issued.key)
    regenerate(new.key, overlap=timedelta(0))
    pasted = SecretValue(f"old {secret_of(issued)}\nnew {secret_of(new)}\nkhs nothing")
    before = rows(database)

    with database.session() as session:
        found = leaks.check(session, pasted, organization_id=organization.id, actor=SYSTEM)

    assert [(one.key.name, one.generation, one.state) for one in found] == [
        ("Zapier", 1, DEAD),
        ("Zapier", 2, DEAD),
    ]
    assert rows(database) == before
    assert reports(database) == []
    assert len(told(database, organization.id, "key.leak_checked")) == 2


def test_another_organizations_secret_looks_like_any_text_and_its_policy_is_followed(
    database: Database,
    leaks: Leaks,
    accounts: Accounts,
    issued: Issued,
    organization: Organization,
    choose: Callable[..., None],
    verification: Verification,
) -> None:
    choose(KILL)
    with database.session() as session:
        other = accounts.create_organization(session, name="Southwind", actor=SYSTEM)
        finder = Actor("user", "sue@southwind.example", address="192.0.2.1")
        found = leaks.check(session, issued.client_secret, organization_id=other.id, actor=finder)
        nothing = leaks.check(
            session, SecretValue("some text"), organization_id=other.id, actor=finder
        )

    assert found == nothing == []
    assert not works(verification, issued)
    [event] = told(database, organization.id, "key.leaked")
    assert (event.actor_label, event.address) == (FINDER.label, None)
    assert "southwind" not in str(event.detail).lower()
    assert told(database, other.id, "key.leak_checked") == []


def test_a_secret_is_found_behind_any_number_of_others(
    database: Database, leaks: Leaks, issued: Issued, organization: Organization
) -> None:
    random = Random(7)
    others = [credentials.generate_access_token(random).reveal() for _ in range(100)]
    text = SecretValue(" ".join([*others, secret_of(issued)]))

    with database.session() as session:
        [found] = leaks.check(session, text, organization_id=organization.id, actor=SYSTEM)

    assert (found.key.name, found.state) == ("Zapier", CURRENT)
