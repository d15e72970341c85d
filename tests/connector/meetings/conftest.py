"""A product at work."""

import pytest

from connector.meetings.links import Links
from connector.meetings.store import Meetings
from keystore.accounts import Accounts
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.db import Database
from keystore.models import Organization
from keystore.vault import Vault
from tests.connector.meetings.support import Product


@pytest.fixture
def meetings(clock: ManualClock, vault: Vault) -> Meetings:
    return Meetings(clock, Links(vault, "https://keyhook.example"))


@pytest.fixture
def product(database: Database, meetings: Meetings, organization: Organization) -> Product:
    return Product(database, meetings, organization.id)


@pytest.fixture
def stranger(database: Database, meetings: Meetings, accounts: Accounts) -> Product:
    """A product of another organization on the same installation."""
    with database.session() as session:
        other = accounts.create_organization(session, name="Southwind", actor=SYSTEM)
    return Product(database, meetings, other.id)
