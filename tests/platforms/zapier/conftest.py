from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.platforms import install
from tests.platforms.node import Node, running_node
from tests.platforms.zapier.connector import Connector, emit_with_command
from tests.support.server import Server, running_server

RUNNER = Path(__file__).with_name("runner.js")


@pytest.fixture(scope="session")
def node_modules() -> Path:
    return install.node_modules(Path(__file__).parent)


@pytest.fixture(scope="session")
def zapier(node_modules: Path) -> Iterator[Node]:
    """Zapier's runtime. In its test mode it judges what each operation hands on."""
    with running_node(RUNNER, NODE_ENV="test") as node:
        yield node


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("zapier") / "data") as server:
        yield server


@pytest.fixture(scope="session")
def connector(
    zapier: Node, server: Server, node_modules: Path, tmp_path_factory: pytest.TempPathFactory
) -> Connector:
    """What `keyhook emit zapier` wrote for the running server, connected with its key."""
    out = tmp_path_factory.mktemp("emitted") / "project"
    project = emit_with_command(server.base_url, out, node_modules)
    return Connector(zapier, project, server.client_key, server.client_secret)
