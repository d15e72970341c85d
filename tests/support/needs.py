"""What a test needs and a machine may lack: skip with the reason; in CI that is a failure."""

import os
from typing import NoReturn

import pytest


def lacking(what: str) -> NoReturn:
    """End this test, saying what is not there."""
    if os.environ.get("CI"):
        pytest.fail(f"CI must have {what}")
    pytest.skip(f"needs {what}")
