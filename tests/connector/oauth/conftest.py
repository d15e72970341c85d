from collections.abc import Callable
from uuid import UUID

import pytest

from keystore.audit import SYSTEM
from keystore.db import Database
from keystore.keys import Issued, Keys
from keystore.models import Organization
from tests.connector.oauth.asking import AddKey


@pytest.fixture
def add_key(database: Database, keys: Keys, organization: Organization) -> AddKey:
    def add(*scopes: str, organization_id: UUID | None = None) -> Issued:
        with database.session() as session:
            return keys.create(
                session,
                organization_id=organization_id or organization.id,
                name=f"Key for {', '.join(scopes)}",
                granted=frozenset(scopes),
                actor=SYSTEM,
            )

    return add


@pytest.fixture
def regenerate(database: Database, keys: Keys) -> Callable[[Issued], Issued]:
    def again(issued: Issued) -> Issued:
        with database.session() as session:
            return keys.regenerate(
                session,
                issued.key.id,
                organization_id=issued.key.organization_id,
                generation=issued.key.generation,
                actor=SYSTEM,
            )

    return again
