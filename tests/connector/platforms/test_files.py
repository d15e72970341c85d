from pathlib import Path

import pytest

from connector.platforms import OutputRefused, write

FILES = {"index.js": "module.exports = {};\n", "lib/dates.js": "// — dates\n"}


def held(out: Path) -> dict[str, str]:
    return {
        path.relative_to(out).as_posix(): path.read_text(encoding="utf-8")
        for path in out.rglob("*")
        if path.is_file() and path.name != ".keyhook-emitted.json"
    }


def test_a_project_is_written_into_a_new_folder(tmp_path: Path) -> None:
    write(FILES, tmp_path / "not" / "there")
    assert held(tmp_path / "not" / "there") == FILES


def test_a_project_is_written_into_an_empty_folder(tmp_path: Path) -> None:
    write(FILES, tmp_path)
    assert held(tmp_path) == FILES


def test_a_later_emission_replaces_an_earlier_one_and_leaves_other_files_alone(
    tmp_path: Path,
) -> None:
    write(FILES, tmp_path)
    (tmp_path / ".zapierapprc").write_text("{}")
    write({"index.js": "// new\n", "README.md": "# New\n"}, tmp_path)
    assert held(tmp_path) == {".zapierapprc": "{}", "index.js": "// new\n", "README.md": "# New\n"}


def test_a_file_that_was_removed_by_hand_comes_back(tmp_path: Path) -> None:
    write(FILES, tmp_path)
    (tmp_path / "index.js").unlink()
    write(FILES, tmp_path)
    assert held(tmp_path) == FILES


@pytest.mark.parametrize("later", [FILES, {"README.md": "# Other\n"}], ids=["kept", "dropped"])
def test_a_file_that_was_changed_by_hand_is_not_lost(tmp_path: Path, later: dict[str, str]) -> None:
    write(FILES, tmp_path)
    (tmp_path / "lib" / "dates.js").write_text("// mine\n")
    before = held(tmp_path)
    with pytest.raises(OutputRefused, match=r"dates\.js was changed"):
        write(later, tmp_path)
    assert held(tmp_path) == before


@pytest.mark.parametrize("record", [None, "", "[]", "7", "{"])
def test_a_folder_of_somebody_elses_files_is_refused(tmp_path: Path, record: str | None) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    if record is not None:
        (tmp_path / ".keyhook-emitted.json").write_text(record)
    with pytest.raises(OutputRefused, match="not emitted by keyhook"):
        write(FILES, tmp_path)
    assert held(tmp_path) == {"thesis.tex": "precious"}


def test_a_file_of_somebody_else_in_an_emitted_folder_is_not_overwritten(tmp_path: Path) -> None:
    write(FILES, tmp_path)
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(OutputRefused, match=r"README\.md was changed"):
        write({**FILES, "README.md": "ours"}, tmp_path)


def test_a_file_where_a_folder_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputRefused, match="not a folder"):
        write(FILES, tmp_path / "out")
    write({"index.js": "//\n"}, tmp_path / "other")
    (tmp_path / "other" / "lib").write_text("a file")
    with pytest.raises(OutputRefused, match="in the way"):
        write(FILES, tmp_path / "other")


@pytest.mark.parametrize("path", ["../up.js", "/tmp/keyhook-up.js", "lib/../../up.js", ""])
def test_nothing_is_written_outside_of_the_folder(tmp_path: Path, path: str) -> None:
    with pytest.raises(OutputRefused):
        write({path: "out"}, tmp_path / "out")
    assert list(tmp_path.rglob("*.js")) == []


def test_a_link_that_leads_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    write({"index.js": "//\n"}, tmp_path / "out")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "lib").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    with pytest.raises(OutputRefused, match="outside"):
        write(FILES, tmp_path / "out")
    assert held(tmp_path / "elsewhere") == {}
