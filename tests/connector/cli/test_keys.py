"""Keys from the shell: the same as on the page, one line for each wrong turn."""

import json
from pathlib import Path

import pytest

from keystore import scopes
from keystore.clock import SystemClock
from keystore.db import Database
from keystore.settings import Settings
from keystore.vault import Vault
from keystore.verification import Verification
from tests.connector.cli.conftest import Shell
from tests.connector.cli.test_ingest import meeting, write


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

    renewed = json.loads(
        northwind("keys", "regenerate", made["id"], "--compromised", "--yes", "--json").out
    )
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
        (["create", "n8n", "--data", "user_full"], "needs a person"),
        (["create", "n8n", "--owner", "mel@northwind.example"], "nobody"),
        (["create", "n8n", "--expires", "2020-01-01"], "future"),
        (["create", "n8n", "--expires", "soon"], "date"),
        (["create", "n8n", "--network", "here"], "give networks"),
        (["create", "n8n", "--limit", "1000000"], "from 1 to"),
        (["show", "nothing"], "keys list"),
        (["scopes", "Zapier"], "say what to change"),
        (["scopes", "Zapier", "--none", "--preset", "connect"], "--none"),
        (["scopes", "Zapier", "--scope", "everything"], "choose from"),
        (["networks", "Zapier"], "--anywhere"),
        (["networks", "Zapier", "10.1.2.3/8"], "give networks"),
        (["expire", "Zapier"], "--never"),
        (["expire", "Zapier", "2020-01-01"], "future"),
        (["limit", "Zapier"], "--default"),
        (["limit", "Zapier", "0"], "0"),
        (["spike", "Zapier", "--until", "2020-01-01", "--limit", "300", "--reason", "x"], "end"),
        (["regenerate", "Zapier", "--yes", "--overlap", "169"], "168"),
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


def test_everything_about_a_key_is_said_when_it_is_made(northwind: Shell) -> None:
    made = json.loads(
        northwind(
            *("keys", "create", "BI", "--preset", "analyse", "--scope", "webhooks:manage"),
            *("--data", "user_non_private", "--owner", "Ada@Northwind.example"),
            *("--network", "203.0.113.0/24", "--network", "2001:db8::1"),
            *("--limit", "300", "--expires", "2999-01-01", "--json"),
        ).out
    )

    del made["client_secret"]
    assert made["scopes"] == sorted(scopes.READING | {"webhooks:manage"})
    assert (made["data_scope"], made["owner"]) == ("user_non_private", "ada@northwind.example")
    assert made["networks"] == ["203.0.113.0/24", "2001:db8::1/128"]
    assert (made["rate_limit"], made["expires_at"]) == (300, "2999-01-01T00:00:00Z")
    assert json.loads(northwind("keys", "show", "BI", "--json").out) == made
    lines = northwind("keys", "show", "BI").out
    assert "ada@northwind.example" in lines
    assert "203.0.113.0/24 2001:db8::1/128" in lines


def test_what_a_key_may_do_is_changed_piece_by_piece(northwind: Shell) -> None:
    northwind("keys", "create", "Zapier", "--scope", "meetings:read")

    def change(*arguments: str) -> dict[str, object]:
        ended = northwind("keys", *arguments, "--json")
        assert ended.code == 0, ended.err
        shown: dict[str, object] = json.loads(ended.out)
        return shown

    ada = ("--data", "user_full", "--owner", "ada@northwind.example")
    assert change("scopes", "Zapier", *ada)["scopes"] == ["meetings:read"]
    assert change("scopes", "Zapier", "--preset", "ingest")["data_scope"] == "user_full"
    assert change("scopes", "Zapier", "--data", "org_non_private")["owner"] is None
    assert change("scopes", "Zapier", "--none")["scopes"] == []
    assert change("networks", "Zapier", "10.0.0.1")["networks"] == ["10.0.0.1/32"]
    assert change("networks", "Zapier", "--anywhere")["networks"] == []
    assert change("limit", "Zapier", "30")["rate_limit"] == 30
    assert change("limit", "Zapier", "--default")["rate_limit"] is None
    assert change("expire", "Zapier", "2999-01-01T12:00:00+02:00")["expires_at"] == (
        "2999-01-01T10:00:00Z"
    )
    assert change("expire", "Zapier", "--never")["expires_at"] is None
    assert change("disable", "Zapier")["state"] == "disabled"
    assert change("enable", "Zapier")["state"] == "active"
    assert change("delete", "Zapier", "--yes")["state"] == "deleted"


def test_a_person_is_told_each_change_in_a_sentence(northwind: Shell) -> None:
    northwind("keys", "create", "Zapier")
    for arguments, words in (
        (["scopes", "Zapier", "--scope", "notes:read"], "may notes:read, on org_full"),
        (["networks", "Zapier", "10.0.0.1"], "from 10.0.0.1/32"),
        (["limit", "Zapier", "30"], "30 requests a minute"),
        (["limit", "Zapier", "--default"], "its organization"),
        (["expire", "Zapier", "2999-01-01"], "ends at 2999-01-01 00:00 UTC"),
        (["expire", "Zapier", "--never"], "does not expire"),
        (["disable", "Zapier"], "is disabled"),
        (["enable", "Zapier"], "is enabled"),
        (["finish", "Zapier"], "newest secret"),
    ):
        ended = northwind("keys", *arguments)
        assert ended.code == 0, ended.err
        assert words in ended.out
        assert ended.out.count("\n") == 1


def test_an_overlap_is_a_day_and_can_be_finished(northwind: Shell, database: Database) -> None:
    made = json.loads(northwind("keys", "create", "Zapier", "--json").out)
    new = json.loads(northwind("keys", "regenerate", "Zapier", "--yes", "--json").out)
    told = json.loads(northwind("keys", "uses", "Zapier", "--json").out)

    assert works(database, made["client_key"], made["client_secret"])
    assert [(one["generation"], one["state"]) for one in told["secrets"]] == [
        (2, "current"),
        (1, "retiring"),
    ]
    assert "retiring" in northwind("keys", "uses", "Zapier").out
    assert northwind("keys", "finish", "Zapier").code == 0
    assert not works(database, made["client_key"], made["client_secret"])
    assert works(database, new["client_key"], new["client_secret"])


def test_keys_are_listed_by_state_the_deleted_ones_too(northwind: Shell) -> None:
    for name in ("live", "asleep", "gone"):
        northwind("keys", "create", name)
    gone = json.loads(northwind("keys", "show", "gone", "--json").out)
    northwind("keys", "disable", "asleep")
    northwind("keys", "delete", "gone", "--yes")
    for state, names in (
        ("active", ["live"]),
        ("disabled", ["asleep"]),
        ("expired", []),
        ("deleted", ["gone"]),
    ):
        listed = json.loads(northwind("keys", "list", "--state", state, "--json").out)
        assert [one["name"] for one in listed] == names
    assert northwind("keys", "show", gone["id"]).code == 0
    assert northwind("keys", "uses", gone["client_key"]).code == 0
    assert northwind("keys", "show", "gone").code == 2, "another may have its name by now"


def test_a_spike_is_planned_listed_and_dropped(northwind: Shell) -> None:
    northwind("keys", "create", "Zapier")
    planned = northwind(
        *("keys", "spike", "Zapier", "--from", "2999-01-01", "--until", "2999-01-02T00:00:00Z"),
        *("--limit", "300", "--reason", "Import", "--json"),
    )
    spike = json.loads(planned.out)
    assert (spike["rate_limit"], spike["reason"]) == (300, "Import")
    assert json.loads(northwind("keys", "spikes", "Zapier", "--json").out) == [spike]
    assert "Import" in northwind("keys", "spikes", "Zapier").out

    assert "cancelled" in northwind("keys", "unspike", "Zapier", spike["id"]).out
    assert json.loads(northwind("keys", "spikes", "Zapier", "--json").out) == []
    assert northwind("keys", "unspike", "Zapier", spike["id"]).code == 2


def test_a_dry_run_tells_what_a_key_would_see_and_makes_none(
    northwind: Shell, tmp_path: Path
) -> None:
    records = [meeting(), meeting(is_private=True)]
    northwind("ingest", write(tmp_path / "meetings.jsonl", *records), "--no-events")

    assert northwind("keys", "try").out == "It would see 2 meetings, of which 1 private.\n"
    limited = northwind("keys", "try", "--data", "org_non_private", "--json")
    assert json.loads(limited.out) == {"meetings": 1, "private_meetings": 0}
    hers = ("--data", "user_full", "--owner", "ada@northwind.example")
    assert json.loads(northwind("keys", "try", *hers, "--json").out)["meetings"] == 2
    blind = northwind("keys", "try", "--scope", "webhooks:manage", "--json")
    assert json.loads(blind.out) == {"meetings": 0, "private_meetings": 0}
    assert json.loads(northwind("keys", "list", "--json").out) == []
    for wrong in (
        ["--data", "user_full"],
        ["--scope", "everything"],
        ["--owner", "nobody@x.example"],
    ):
        ended = northwind("keys", "try", *wrong)
        assert (ended.code, ended.err.count("\n")) == (2, 1), wrong
