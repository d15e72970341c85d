"""Imports go down the floors; a pure room touches no framework; a new file names its floor."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_import_law_is_kept() -> None:
    result = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0, result.stdout
    assert "0 broken" in result.stdout


def test_no_module_is_named_like_one_of_the_standard_library() -> None:
    names = {
        path.stem
        for package in ("connector", "keystore", "webhooks")
        for path in (ROOT / package).rglob("*.py")
        if not path.stem.startswith("__")
    }

    # As a plain name at the top these would shadow; inside a package they mislead a reader.
    assert names & set(sys.stdlib_module_names) == set()
