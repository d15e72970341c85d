import shutil
from pathlib import Path

import pytest

from tests.support.databases import sqlite_template


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A database for a story about processes, which one kind is enough to tell."""
    shutil.copy(sqlite_template(), tmp_path / "keyhook.db")
    return f"sqlite:///{tmp_path / 'keyhook.db'}"
