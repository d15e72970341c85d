"""Keys from the shell: the same as on the page, one line for each wrong turn."""

import json

import pytest

from keystore import scopes
from keystore.clock import SystemClock
from keystore.db import Database
from keystore.settings import Settings
from keystore.vault import Vault
from keystore.verification import Verification
from tests.connector.cli.conftest import Shell


def works(database: Database, client_key: str, client_secret: str) -> bool:
    vault = Vault(Settings.from_env().secret_keys)
    verification = Verification(database, vault, SystemClock())
    return verification.by_secret(client_key, client_secret) is not None


def test_the_life_of_a_key(northwind: Shell, database: Database) -> None:
    made = json.loads(northwind("keys", "create", "Zapier", "--json").out)
    assert works(database, made["client_key"], made["client_secret"])
    assert made["scopes"] == sorted(scopes.DEFAULT)

    assert northwind("keys", "rename", "Zapier", "Zapier (sales)").code == 0
    [listed] = json.loads(northwind("keys", "list", "--json").out)
    assert (listed["name"], listed["id"]) == ("Zapier (sales)", made["id"])
    assert "client_secret" not in listed
    assert works(database, made["client_key"], made["client_secret"])

    renewed = json.loads(northwind("keys", "regenerate", made["client_key"], "--yes", "--json").out)
    assert (renewed["client_key"], renewed["generation"]) == (made["client_key"], 2)
    assert not works(database, made["client_key"], made["client_secret"])
    assert works(database, made["client_key"], renewed["client_secret"])

    assert northwind("keys", "delete", made["id"], "--yes").code == 0
    assert not works(database, made["client_key"], renewed["client_secret"])
    assert json.loads(northwind("keys", "list", "--json").out) == []


def test_for_a_person_it_prints_both_halves_and_says_it_is_the_only_time(
    northwind: Shell, database: Database
) -> None:
    made = northwind("keys", "create", "Zapier", "--scope", "meetings:read")

    (key_line, secret_line) = made.out.splitlines()
    assert works(database, key_line.split()[-1], secret_line.split()[-1])
    assert "not be shown again" in made.err
    table = northwind("keys", "list").out
    assert "Zapier" in table
    assert key_line.split()[-1] in table
    assert secret_line.split()[-1] not in table


def test_a_name_may_look_like_anything(northwind: Shell) -> None:
    for name in ("[/]", "[red]x", "--yes?"):
        assert northwind("keys", "create", "--", name).code == 0

    shown = northwind("keys", "list")

    assert shown.code == 0
    assert "[/]" in shown.out
    assert "[red]x" in shown.out


def test_a_client_key_means_its_own_key_whatever_others_are_named(northwind: Shell) -> None:
    mine = json.loads(northwind("keys", "create", "mine", "--json").out)
    northwind("keys", "create", mine["client_key"])

    northwind("keys", "delete", mine["client_key"], "--yes")

    left = json.loads(northwind("keys", "list", "--json").out)
    assert [key["name"] for key in left] == [mine["client_key"]]


def test_what_cannot_be_undone_asks_first(northwind: Shell) -> None:
    northwind("keys", "create", "Zapier")

    assert northwind("keys", "regenerate", "Zapier", typed="n\n").code == 130
    refused = northwind("keys", "delete", "Zapier", typed="zapier\n")
    assert refused.code == 2
    assert "not the name" in refused.err
    assert northwind("keys", "delete", "Zapier", typed="Zapier\n").code == 0


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["create", "Zapier"], "another"),
        (["create", " "], "visible characters"),
        (["create", "n8n", "--scope", "everything"], "choose from"),
        (["rename", "nothing", "x"], "keys list"),
        (["delete", "nothing", "--yes"], "keys list"),
        (["list", "--organization", "Contoso"], "Contoso"),
    ],
)
def test_a_wrong_turn_is_one_line_and_changes_nothing(
    northwind: Shell, arguments: list[str], why: str
) -> None:
    northwind("keys", "create", "Zapier")
    before = northwind("keys", "list", "--json").out

    ended = northwind("keys", *arguments)

    assert ended.code == 2
    assert why.lower() in ended.err.lower()
    assert ended.err.count("\n") == 1
    assert northwind("keys", "list", "--json").out == before
