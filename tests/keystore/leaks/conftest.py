"""A scanner that reports, an organization that has chosen what is to be done, and its keys."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from keystore import key_events
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.credentials import SecretValue
from keystore.db import Database
from keystore.key_events import KeyEvent
from keystore.keys import Issued, Keys
from keystore.leak_records import Record
from keystore.leaks import Leaks
from keystore.mail import Mails
from keystore.models import Key, Organization, Role, User
from keystore.rotation import LeakAction, LeakPolicy
from keystore.vault import Vault
from tests.keystore.leaks.telling import DAY, GITHUB, URL, Regenerate, Report


@pytest.fixture
def mails(vault: Vault) -> Mails:
    return Mails(vault)


@pytest.fixture
def heard() -> list[tuple[str, LeakAction]]:
    """What the floors above were told."""
    return []


@pytest.fixture
def leaks(
    vault: Vault, clock: ManualClock, mails: Mails, heard: list[tuple[str, LeakAction]]
) -> Leaks:
    def hear(_session: Session, event: KeyEvent) -> None:
        assert isinstance(event, key_events.Leaked)
        heard.append((event.key.name, event.report.action))

    return Leaks(vault, clock, mails, "https://keyhook.example", on_event=[hear])


@pytest.fixture
def people(add_user: Callable[[str, Role], User], admin: User, member: User) -> None:
    add_user("Abe", Role.ADMIN)


@pytest.fixture
def report(database: Database, leaks: Leaks) -> Report:
    def report(token: str, url: str = URL, source: str = "content") -> bool:
        record = Record(SecretValue(token), "keyhook_secret", url, source)
        with database.session() as session:
            return leaks.report(session, record, reporter=GITHUB)

    return report


@pytest.fixture
def choose(database: Database, leaks: Leaks, organization: Organization) -> Callable[..., None]:
    def choose(policy: LeakPolicy) -> None:
        with database.session() as session:
            leaks.set_policy(session, organization_id=organization.id, policy=policy, actor=SYSTEM)

    return choose


@pytest.fixture
def regenerate(database: Database, keys: Keys, organization: Organization) -> Regenerate:
    def regenerate(key: Key, overlap: timedelta = DAY) -> Issued:
        with database.session() as session:
            generation = keys.get(
                session, key.id, organization_id=organization.id, actor=SYSTEM
            ).generation
            return keys.regenerate(
                session,
                key.id,
                organization_id=organization.id,
                generation=generation,
                actor=SYSTEM,
                overlap=overlap,
            )

    return regenerate
