"""Who issues a secret while tests run is overheard: here, and in the processes that tests start."""

import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from random import Random
from typing import Any

from keystore import credentials
from webhooks import signing

#: Where everything is made that an outsider gets shown once, or never.
GENERATORS = (
    (credentials, "generate_client_secret"),
    (credentials, "generate_access_token"),
    (signing, "new_secret"),
    (signing, "new_private_key"),
)
#: Names the file in which another process writes down what it issues.
FILE = "ISSUED_IN_TESTS"


def overhear(note: Callable[[str], None], *, seeded: bool) -> None:
    """Tell `note` of every secret that this process makes from now on.

    Those from a seeded generator are what a test makes up for itself; only the demo, which works
    its secret out anew at each start, issues such a one.
    """
    for module, name in GENERATORS:
        setattr(module, name, _overheard(getattr(module, name), note, seeded=seeded))


def overhear_into_file() -> None:
    """Write down what this process issues, if its parent has said where."""
    if path := os.environ.get(FILE):
        overhear(lambda text: _append(Path(path), text), seeded=True)


def overheard(environ: dict[str, str]) -> dict[str, str]:
    """Return an environment in which Python writes down what it issues (see `recording`).

    Without a file to write to, as in the benchmarks, it is left as it is.
    """
    if FILE not in environ:
        return environ
    here = Path(__file__).parent
    return environ | {
        "PYTHONPATH": os.pathsep.join([str(here / "recording"), str(here.parents[1])])
    }


def _overheard(
    generate: Callable[..., Any], note: Callable[[str], None], *, seeded: bool
) -> Callable[..., Any]:
    @wraps(generate)
    def generate_and_tell(*arguments: Any) -> Any:
        made = generate(*arguments)
        if seeded or type(arguments[-1]) is not Random:
            note(made.reveal())
        return made

    return generate_and_tell


def _append(path: Path, text: str) -> None:
    """Add a line in one write, so that no two processes mix theirs."""
    with path.open("ab", buffering=0) as file:
        file.write(f"{text}\n".encode())
