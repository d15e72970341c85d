"""The view of `hello` in our own app, served as `keyhook serve` does; nobody needs a key for it."""

import sys
from pathlib import Path

from flask import Flask

from connector.app import Parts
from connector.serving import serve
from keystore import access
from tests.benchmarks import crowd
from tests.benchmarks.hello import hello
from tests.support.server import installation_environment

PATH = "/v1/hello/"


def add(app: Flask, _parts: Parts) -> None:
    """Put the view into our app."""
    app.add_url_rule(PATH, view_func=access.public(hello))


if __name__ == "__main__":
    place = Path(sys.argv[2])
    environ = installation_environment(place, crowd.database_url(place))
    serve(environ, host="127.0.0.1", port=int(sys.argv[1]), additions=[add])
