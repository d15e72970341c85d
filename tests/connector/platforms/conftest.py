from collections.abc import Iterator
from pathlib import Path

import pytest

import tests.platforms
from tests.platforms.node import Node, running_node

EVALUATE = Path(tests.platforms.__file__).with_name("evaluate.js")


@pytest.fixture(scope="session")
def node() -> Iterator[Node]:
    with running_node(EVALUATE) as running:
        yield running
