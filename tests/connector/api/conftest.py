"""Callers of the API with keys of other kinds."""

from collections.abc import Callable
from itertools import count
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient

from connector.app import Parts
from keystore import scopes
from keystore.accounts import Accounts
from keystore.audit import SYSTEM
from keystore.db import Database
from keystore.keys import Keys
from keystore.models import NAME_LENGTH, Organization
from keystore.scopes import DataScope
from tests.connector.api.office import Office

AddCaller = Callable[..., FlaskClient]

#: For stories that end before a database is asked about meetings.
on_one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def add_caller(app: Flask, database: Database, keys: Keys, organization: Organization) -> AddCaller:
    """Make a caller with a new key that may do only this."""
    numbers = count(1)

    def add(
        *names: str,
        organization_id: UUID | None = None,
        data: DataScope = DataScope.ORG_FULL,
        owner_id: UUID | None = None,
    ) -> FlaskClient:
        with database.session() as session:
            issued = keys.create(
                session,
                organization_id=organization_id or organization.id,
                name=f"{next(numbers)}: {', '.join(names)}"[:NAME_LENGTH],
                granted=frozenset(names),
                data=data,
                owner_id=owner_id,
                actor=SYSTEM,
            )
        caller = app.test_client()
        pair = f"{issued.key.client_key}:{issued.client_secret.reveal()}"
        caller.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {pair}"
        return caller

    return add


@pytest.fixture
def stranger(add_caller: AddCaller, database: Database, accounts: Accounts) -> FlaskClient:
    """A caller of another organization on the same installation."""
    with database.session() as session:
        other = accounts.create_organization(session, name="Southwind", actor=SYSTEM)
    return add_caller(*scopes.DEFAULT, organization_id=other.id)


@pytest.fixture
def office(app: Flask, parts: Parts, organization: Organization) -> Office:
    return Office(app, parts, organization)
