"""What is done about a secret that was found in the open, as its organization has chosen."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.db import Database
from keystore.keys import Issued, Keys
from keystore.leak_models import Leaked
from keystore.leaks import Leaks
from keystore.models import Organization, User
from keystore.rotation import LeakAction, LeakPolicy
from keystore.scopes import DataScope
from keystore.verification import Verification
from tests.keystore.leaks.telling import (
    CURRENT,
    DAY,
    DEAD,
    KILL,
    NOTIFY,
    RETIRE,
    TICK,
    URL,
    Regenerate,
    Report,
    letters,
    reports,
    rows,
    secret_of,
    told,
    works,
)


def test_notify_tells_everybody_and_changes_nothing(
    database: Database,
    issued: Issued,
    organization: Organization,
    people: None,
    report: Report,
    verification: Verification,
    heard: list[tuple[str, LeakAction]],
) -> None:
    before = rows(database)

    assert report(secret_of(issued))

    assert rows(database) == before
    assert works(verification, issued)
    [found] = reports(database)
    assert (found.key_id, found.generation, found.what) == (issued.key.id, 1, Leaked.SECRET)
    assert (found.state, found.policy, found.action) == (CURRENT, NOTIFY, LeakAction.NONE)
    assert (found.url, found.source) == (URL, "content")
    assert letters(database) == ["abe@northwind.example", "ada@northwind.example"]
    assert heard == [("Zapier", LeakAction.NONE)]
    [event] = told(database, organization.id, "key.leaked")
    assert event.subject_id == str(issued.key.id)
    assert event.actor_label == "GitHub secret scanning"
    assert (event.detail["done"], event.detail["url"]) == ("none", URL)


def test_the_person_whose_key_it_is_gets_a_mail_too(
    database: Database,
    keys: Keys,
    organization: Organization,
    people: None,
    member: User,
    report: Report,
) -> None:
    with database.session() as session:
        personal = keys.create(
            session,
            organization_id=organization.id,
            name="Mel's",
            data=DataScope.USER_FULL,
            owner_id=member.id,
            actor=SYSTEM,
        )

    report(secret_of(personal))

    names = ("abe", "ada", "mel")
    assert letters(database) == [f"{name}@northwind.example" for name in names]


def test_kill_ends_the_secret_in_that_moment(
    database: Database,
    issued: Issued,
    organization: Organization,
    report: Report,
    choose: Callable[..., None],
    regenerate: Regenerate,
    verification: Verification,
) -> None:
    choose(KILL)

    assert report(secret_of(issued))

    assert not works(verification, issued)
    [event] = told(database, organization.id, "key.leaked")
    assert event.detail["before"] == {"generation": 1}
    assert event.detail["after"] == {"generation": 2, "former_until": None}
    new = regenerate(issued.key)
    assert works(verification, new)
    assert not works(verification, issued)


def test_retire_leaves_a_day_to_change_over(
    issued: Issued,
    report: Report,
    choose: Callable[..., None],
    regenerate: Regenerate,
    verification: Verification,
    clock: ManualClock,
) -> None:
    choose(RETIRE)
    assert report(secret_of(issued))
    clock.advance(DAY / 2)

    new = regenerate(issued.key, overlap=7 * DAY)

    assert works(verification, new)
    assert works(verification, issued), "nobody held the one between; the one in use is spared"
    clock.advance(DAY / 2 - TICK)
    assert works(verification, issued)
    clock.advance(TICK)
    assert not works(verification, issued), "and has kept its own end"
    assert works(verification, new)


def test_retire_lengthens_no_life(
    database: Database,
    issued: Issued,
    keys: Keys,
    organization: Organization,
    report: Report,
    choose: Callable[..., None],
    verification: Verification,
    clock: ManualClock,
) -> None:
    choose(RETIRE)
    expires_at = clock.now() + timedelta(hours=2)
    with database.session() as session:
        keys.set_expiry(
            session,
            issued.key.id,
            organization_id=organization.id,
            expires_at=expires_at,
            actor=SYSTEM,
        )

    assert report(secret_of(issued))

    assert reports(database)[0].until == expires_at
    clock.advance(timedelta(hours=2))
    assert not works(verification, issued)


@pytest.mark.parametrize(("policy", "hours"), [(NOTIFY, 7 * 24), (RETIRE, 24), (KILL, 0)], ids=str)
def test_a_retiring_secret_ends_as_the_policy_says(
    issued: Issued,
    report: Report,
    choose: Callable[..., None],
    regenerate: Regenerate,
    verification: Verification,
    clock: ManualClock,
    policy: LeakPolicy,
    hours: int,
) -> None:
    choose(policy)
    new = regenerate(issued.key, overlap=7 * DAY)

    assert report(secret_of(issued))

    assert works(verification, new), "it has not leaked"
    clock.advance(timedelta(hours=hours) - TICK)
    assert works(verification, issued) == (hours > 0)
    clock.advance(TICK)
    assert not works(verification, issued)
    assert works(verification, new)


def end(what: str, database: Database, keys: Keys, issued: Issued, clock: ManualClock) -> None:
    where: dict[str, Any] = {"organization_id": issued.key.organization_id, "actor": SYSTEM}
    with database.session() as session:
        if what == "expired":
            until = clock.now() + DAY
            keys.set_expiry(session, issued.key.id, expires_at=until, **where)
            clock.advance(DAY)
        elif what == "deleted":
            keys.delete(session, issued.key.id, **where)
        elif what == "disabled":
            keys.disable(session, issued.key.id, **where)
        else:
            keys.regenerate(session, issued.key.id, generation=1, **where)


@pytest.mark.parametrize("policy", LeakPolicy, ids=str)
@pytest.mark.parametrize("what", ["expired", "deleted", "disabled", "regenerated"])
def test_what_does_not_work_is_on_record_and_left_alone(
    database: Database,
    issued: Issued,
    people: None,
    keys: Keys,
    organization: Organization,
    report: Report,
    choose: Callable[..., None],
    clock: ManualClock,
    heard: list[tuple[str, LeakAction]],
    policy: LeakPolicy,
    what: str,
) -> None:
    choose(policy)
    end(what, database, keys, issued, clock)
    before = rows(database)

    assert report(secret_of(issued)), "it was ours"

    assert rows(database) == before
    [found] = reports(database)
    assert found.action is LeakAction.NONE
    assert len(told(database, organization.id, "key.leaked")) == 1
    asleep = what == "disabled"
    assert found.state is (CURRENT if asleep else DEAD)
    assert len(letters(database)) == (2 if asleep else 0), "the dead alarm nobody"
    assert len(heard) == (1 if asleep else 0)


def test_the_policy_is_chosen_on_record(
    database: Database, leaks: Leaks, organization: Organization, choose: Callable[..., None]
) -> None:
    with database.session() as session:
        assert leaks.policy(session, organization.id) is NOTIFY
    choose(RETIRE)
    choose(RETIRE)

    with database.session() as session:
        assert leaks.policy(session, organization.id) is RETIRE
    [event] = told(database, organization.id, "organization.leak_policy_changed")
    assert event.detail == {
        "before": {"leak_policy": "notify"},
        "after": {"leak_policy": "retire"},
    }
