"""The README says what the code has: every setting, every command."""

from pathlib import Path

import click

from connector.cli import keyhook
from keystore.settings import TABLE

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_setting_is_documented_as_the_table_has_it() -> None:
    for setting in TABLE:
        row = f"| `{setting.name}` | {setting.doc} | {setting.shown_default} |"
        assert row in README


def commands(group: click.Group, path: str = "keyhook") -> list[tuple[str, click.Command]]:
    found: list[tuple[str, click.Command]] = []
    for name, command in group.commands.items():
        found.append((f"{path} {name}", command))
        if isinstance(command, click.Group):
            found += commands(command, f"{path} {name}")
    return found


def test_every_command_is_documented_and_its_help_has_an_example() -> None:
    for path, command in commands(keyhook):
        assert path.split(" ", 1)[1].split()[0] in README, path
        assert (command.epilog or "").startswith("Example: "), path
        assert "keyhook" in (command.epilog or ""), path
        assert command.help, path


def test_the_changelog_knows_this_version() -> None:
    version = next(
        line.split('"')[1]
        for line in (ROOT / "pyproject.toml").read_text().splitlines()
        if line.startswith("version = ")
    )
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
