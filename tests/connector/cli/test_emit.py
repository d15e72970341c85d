"""A connector's folder appears where it was asked for, and nowhere else."""

from pathlib import Path

from tests.connector.cli.conftest import Shell


def test_a_project_is_written_for_this_address(shell: Shell, tmp_path: Path) -> None:
    out = tmp_path / "app"

    done = shell("emit", "zapier", "--out", str(out), "--base-url", "https://keys.example.com")

    assert done.code == 0, done.err
    assert "review" not in done.err
    assert (out / "package.json").exists()
    assert "https://keys.example.com" in "".join(
        path.read_text() for path in out.rglob("*") if path.is_file()
    )


def test_the_address_comes_from_the_settings_when_not_given(shell: Shell, tmp_path: Path) -> None:
    out = tmp_path / "app"

    shell("emit", "zapier", "--out", str(out), KEYHOOK_BASE_URL="https://other.example.com")

    assert "https://other.example.com" in "".join(
        path.read_text() for path in out.rglob("*") if path.is_file()
    )


def test_a_persons_own_files_are_never_touched(shell: Shell, tmp_path: Path) -> None:
    mine = tmp_path / "app" / "index.js"
    mine.parent.mkdir()
    mine.write_text("my own work")

    refused = shell("emit", "zapier", "--out", str(mine.parent))

    assert refused.code == 2
    assert refused.err.count("\n") == 1
    assert [path.name for path in mine.parent.iterdir()] == ["index.js"]
    assert mine.read_text() == "my own work"


def test_an_address_that_is_none_is_refused(shell: Shell, tmp_path: Path) -> None:
    refused = shell("emit", "zapier", "--out", str(tmp_path / "app"), "--base-url", "keys.example")

    assert refused.code == 2
    assert not (tmp_path / "app").exists()
