"""Asks a snippet (the first argument) about each line of JSON; answers with one line each."""

import json
import runpy
import sys
from base64 import b64decode
from typing import Any


def main(path: str) -> None:
    is_genuine = runpy.run_path(path)["is_genuine"]
    for line in sys.stdin:
        asked = json.loads(line)
        values = [asked[name] for name in ("secret", "id", "timestamp", "signatures")]
        said: dict[str, Any]
        try:
            said = {"value": is_genuine(*values, b64decode(asked["body"]))}
        except ValueError as error:
            said = {"error": str(error)}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
