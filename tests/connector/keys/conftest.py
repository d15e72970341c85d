"""Callers of the API, as its own tests have them."""

from tests.connector.api.conftest import add_caller

__all__ = ["add_caller"]
