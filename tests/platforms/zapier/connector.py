"""An emitted project in Zapier's runtime, connected with one key."""

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from connector.platforms import PLATFORMS, write
from tests.connector.examples import example_spec
from tests.platforms.node import Node
from tests.support.receiver import Received
from tests.support.server import clean_environment

TRIGGER = "triggers.new_conversation.operation"


@dataclass(frozen=True)
class Connector:
    node: Node
    project: Path
    client_key: str
    client_secret: str

    def ask(self, **event: Any) -> Any:
        """Hand an event to the runtime. Raises `JavaScriptError`."""
        return self.node.ask(project=str(self.project), event=event)

    def run(self, method: str, **bundle: Any) -> Any:
        """Execute one of the project's functions, as Zapier does when a Zap or its editor asks."""
        credentials = {"client_key": self.client_key, "client_secret": self.client_secret}
        bundle = {"authData": credentials, "inputData": {}, "meta": {}} | bundle
        return self.ask(command="execute", method=method, bundle=bundle)

    def connected_with(self, client_key: str, client_secret: str) -> "Connector":
        return replace(self, client_key=client_key, client_secret=client_secret)


def emit(base_url: str, out: Path, node_modules: Path) -> Path:
    """Emit a project, and give it the runtime."""
    write(PLATFORMS["zapier"].emit(example_spec(base_url)), out)
    (out / "node_modules").symlink_to(node_modules, target_is_directory=True)
    return out


def emit_with_command(base_url: str, out: Path, node_modules: Path) -> Path:
    """Emit a project as a person does, and give it the runtime."""
    command = [sys.executable, "-m", "connector", "emit", "zapier"]
    subprocess.run(
        [*command, "--out", out, "--base-url", base_url],
        env=clean_environment(),
        check=True,
        capture_output=True,
    )
    (out / "node_modules").symlink_to(node_modules, target_is_directory=True)
    return out


def as_zapier_hands_over(request: Received) -> dict[str, Any]:
    """Return the part of a bundle that Zapier makes of a request to a Zap's address.

    Header names get a prefix, and the parsed body the address's query string as another member.
    """
    content = request.body.decode()
    headers = {f"Http-{name.title()}": value for name, value in request.headers.items()}
    return {
        "rawRequest": {
            "method": request.method,
            "querystring": "",
            "headers": headers,
            "content": content,
        },
        "cleanedRequest": json.loads(content) | {"querystring": {}},
    }
