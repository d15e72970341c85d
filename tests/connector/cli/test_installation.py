"""From an empty directory to an installation; and every wrong turn said in one line."""

import pytest

from connector.cli import keyhook
from tests.connector.cli.conftest import FOUNDED, Shell
from tests.house.test_documentation import commands


def one_line(text: str) -> bool:
    return text.count("\n") == 1 and text.endswith("\n")


def test_a_first_start_makes_the_organization_and_its_admin(shell: Shell) -> None:
    made = shell(
        "init", "--organization", "Northwind", "--admin", "Ada@Northwind.example", typed=FOUNDED
    )

    assert made.code == 0, made.err
    assert "Northwind is ready" in made.out
    assert FOUNDED.strip() not in made.out + made.err


def test_a_second_first_start_changes_nothing(northwind: Shell) -> None:
    again = northwind(
        "init", "--organization", "Northwind", "--admin", "eve@northwind.example", typed=FOUNDED
    )

    assert (again.code, again.out) == (2, "")
    assert "already" in again.err
    assert one_line(again.err)


@pytest.mark.parametrize(
    ("email", "typed", "why"),
    [
        ("nobody", FOUNDED, "is not an e-mail address"),
        ("ada@northwind.example", "short\n", "12 to 1024 characters"),
        ("ada@northwind.example", "", "12 to 1024 characters"),
    ],
)
def test_a_bad_admin_founds_nothing(shell: Shell, email: str, typed: str, why: str) -> None:
    refused = shell("init", "--organization", "Northwind", "--admin", email, typed=typed)

    assert refused.code == 2
    assert why in refused.err
    assert one_line(refused.err)
    assert "no organization yet" in shell("keys", "list").err


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["serve", "--port", "0"],
        ["serve", "--port", "http"],
        ["demo", "--live", "-1"],
        ["init"],
        ["keys", "create"],
        ["keys", "rename", "only-one"],
        ["emit", "zapier"],
        ["emit", "carrier-pigeon"],
        ["ingest", "/nowhere.jsonl"],
        ["db", "downgrade"],
        ["--loud"],
    ],
)
def test_bad_use_ends_with_one_clear_line_and_code_2(shell: Shell, arguments: list[str]) -> None:
    ended = shell(*arguments)

    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("keyhook: ")
    assert one_line(ended.err)


def test_a_wrong_setting_refuses_to_start_and_says_which(shell: Shell) -> None:
    for command in (["serve"], ["worker"], ["db", "upgrade"], ["keys", "list"]):
        ended = shell(*command, KEYHOOK_ALLOW_NETWORKS="loopback")

        assert ended.code == 2
        assert ended.err.startswith("keyhook: KEYHOOK_ALLOW_NETWORKS: ")
        assert one_line(ended.err)


def test_a_database_that_cannot_be_reached_is_one_line_too(shell: Shell) -> None:
    ended = shell("keys", "list", KEYHOOK_DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")

    assert ended.code == 2
    assert "database" in ended.err
    assert one_line(ended.err)


def test_a_misspelt_setting_is_not_ignored(shell: Shell) -> None:
    ended = shell("keys", "list", KEYHOOK_DATABSE_URL="sqlite:///elsewhere.db")

    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "KEYHOOK_DATABSE_URL" in ended.err


@pytest.mark.parametrize(
    ("host", "why"), [("nonsense.invalid", "cannot listen"), ("192.0.2.1", "cannot listen")]
)
def test_an_address_that_is_not_ours_is_told_as_such(northwind: Shell, host: str, why: str) -> None:
    ended = northwind("serve", "--host", host)

    assert ended.code == 2
    assert why in ended.err
    assert one_line(ended.err)


def test_a_process_with_other_secret_keys_refuses_to_start(northwind: Shell) -> None:
    """It would refuse every key, and nobody would know why."""
    assert northwind("keys", "create", "Zapier").code == 0

    ended = northwind("serve", KEYHOOK_SECRET_KEYS="x" * 40)

    assert ended.code == 2
    assert "KEYHOOK_SECRET_KEYS" in ended.err
    assert one_line(ended.err)


def test_tables_that_are_missing_are_told_not_guessed(shell: Shell, tmp_path: object) -> None:
    fresh = f"sqlite:///{tmp_path}/fresh.db"

    ended = shell("serve", KEYHOOK_DATABASE_URL=fresh)
    assert ended.code == 2
    assert "keyhook db upgrade" in ended.err

    assert shell("db", "upgrade", KEYHOOK_DATABASE_URL=fresh).code == 0
    assert "no organization yet" in shell("keys", "list", KEYHOOK_DATABASE_URL=fresh).err


def test_every_command_has_help_with_an_example(shell: Shell) -> None:
    for path, _ in [("keyhook", keyhook), *commands(keyhook)]:
        shown = shell(*path.split()[1:], "--help")

        assert shown.code == 0
        assert "Example: " in shown.out, path


def test_no_command_at_all_shows_what_there_is(shell: Shell) -> None:
    ended = shell()

    assert ended.code == 2
    assert "demo" in ended.err
    assert "ingest" in ended.err


def test_settings_shows_every_variable(shell: Shell) -> None:
    shown = shell("settings")

    assert "KEYHOOK_ALLOW_NETWORKS" in shown.out
    assert "KEYHOOK_SECRET_KEYS" in shown.out
