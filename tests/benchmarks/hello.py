"""The reference: a Flask view that returns one JSON object, on the server that Keyhook runs on."""

import json
import sys
from typing import Any

from flask import Flask, jsonify
from flask.typing import ResponseReturnValue
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server import Server

app = Flask(__name__)


@app.get("/")
def hello() -> ResponseReturnValue:
    return jsonify({"hello": "world"})


def make() -> Flask:
    return app


def serve(port: int, options: dict[str, Any]) -> None:
    Server(
        "tests.benchmarks.hello:make",
        factory=True,
        port=port,
        interface=Interfaces.WSGI,
        log_level=LogLevels.warning,
        **options,
    ).serve()


if __name__ == "__main__":
    serve(int(sys.argv[1]), json.loads(sys.argv[2]))
