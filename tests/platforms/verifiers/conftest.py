from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.platforms import install
from tests.platforms.node import Node, running_node

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def modules() -> Path:
    """The folder that holds the libraries of the npm registry."""
    return install.node_modules(HERE)


@pytest.fixture(scope="session")
def javascript() -> Iterator[Node]:
    with running_node(HERE / "runner.js") as node:
        yield node
