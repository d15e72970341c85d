"""What JavaScript tests need from the npm registry, as a lock file beside them has it.

Test tools only: they stay in `build/`, which is not part of the project, under licences of their
own; that of Zapier's runtime is the Zapier Platform Agreement.
"""

import shutil
import subprocess
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp

from tests.platforms.node import NODE, NPM, environment

BUILD = Path(__file__).parents[2] / "build"
PINS = ("package.json", "package-lock.json")

INSTALL_SECONDS = 600


def node_modules(folder: Path) -> Path:
    """Return a `node_modules` folder with what this one's lock file names; install it if need be.

    The folder's name says what is in it, so another lock file means another folder.
    """
    pins = {name: (folder / name).read_bytes() for name in PINS}
    build = BUILD / f"{folder.name}-runtime"
    home = build / sha256(b"\0".join(pins.values())).hexdigest()[:16]
    if not home.exists():
        build.mkdir(parents=True, exist_ok=True)
        new = Path(mkdtemp(prefix="new-", dir=build))
        for name, content in pins.items():
            (new / name).write_bytes(content)
        npm("ci", "--ignore-scripts", "--no-audit", "--no-fund", at=new)
        try:
            new.rename(home)
        except OSError:  # another run was quicker
            shutil.rmtree(new)
    return home / "node_modules"


def npm(*words: str, at: Path) -> str:
    """Run npm in a folder, and return what it printed."""
    done = subprocess.run(
        [NODE, NPM, *words],
        cwd=at,
        env=environment(npm_config_update_notifier="false"),
        capture_output=True,
        text=True,
        check=False,
        timeout=INSTALL_SECONDS,
    )
    assert done.returncode == 0, f"npm {' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout
