"""A product with scheduling pages at work, and callers of the API."""

import pytest

from connector.app import Parts
from keystore.models import Organization
from tests.connector.api.conftest import add_caller
from tests.connector.bookings.support import Pages

__all__ = ["add_caller"]


@pytest.fixture
def pages(parts: Parts, organization: Organization) -> Pages:
    return Pages(parts, organization.id)
