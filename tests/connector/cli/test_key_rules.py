"""What is settled for all of an organization's keys, from the shell."""

import json
from pathlib import Path
from random import Random

import pytest

from keystore import credentials
from tests.connector.cli.conftest import Shell


def test_the_default_limit_is_shown_set_and_given_back(northwind: Shell) -> None:
    installed = {"rate_limit": 600, "chosen": None, "installed": 600}
    environ = {"KEYHOOK_RATE_LIMIT": "600"}
    first = northwind("keys", "default-limit", **environ)
    assert first.out == "600 requests a minute, as installed.\n"

    changed = northwind("keys", "default-limit", "90", **environ)
    assert changed.out == "90 requests a minute, as the organization has chosen.\n"
    told = json.loads(northwind("keys", "default-limit", "--json", **environ).out)
    assert told == installed | {"rate_limit": 90, "chosen": 90}

    back = northwind("keys", "default-limit", "--installed", "--json", **environ)
    assert json.loads(back.out) == installed
    log = northwind("audit", "export", "--format", "jsonl").out
    changes = [one for one in map(json.loads, log.splitlines()) if "limit" in one["action"]]
    assert [one["action"] for one in changes] == ["organization.limit_changed"] * 2


@pytest.mark.parametrize("wrong", [["0"], ["many"], ["90", "--installed"], ["1000000000"]])
def test_a_default_limit_that_cannot_be_is_refused_in_a_line(
    northwind: Shell, wrong: list[str]
) -> None:
    ended = northwind("keys", "default-limit", *wrong)

    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert json.loads(northwind("keys", "default-limit", "--json").out)["chosen"] is None


def test_members_may_have_keys_or_no_longer(northwind: Shell) -> None:
    assert northwind("keys", "members").out.startswith("Members may not make personal keys; 0 ")
    assert northwind("keys", "members", "on").out.startswith("Members may make personal keys")
    told = json.loads(northwind("keys", "members", "--json").out)
    assert told == {"members_make_keys": True, "members_keys": 0}
    northwind("keys", "members", "off")
    assert json.loads(northwind("keys", "members", "--json").out)["members_make_keys"] is False


def test_what_is_done_about_leaks_is_shown_and_chosen(northwind: Shell) -> None:
    assert northwind("keys", "leak-policy").out == "notify\n"
    assert northwind("keys", "leak-policy", "kill").out == "kill\n"
    assert json.loads(northwind("keys", "leak-policy", "--json").out) == {"leak_policy": "kill"}
    assert northwind("keys", "leak-policy", "shrug").code == 2


def test_a_text_is_looked_through_for_secrets_and_none_is_shown(
    northwind: Shell, tmp_path: Path
) -> None:
    made = json.loads(northwind("keys", "create", "Zapier", "--json").out)
    secret = made["client_secret"]
    text = f"curl -u {made['client_key']}:{secret} https://keyhook.example/v1/me/"

    clean = northwind("keys", "check", typed="nothing in here")
    assert (clean.code, clean.out) == (0, "No secret of this organization is in there.\n")
    found = northwind("keys", "check", typed=text)
    assert found.code == 1
    assert found.out == f"Zapier ({made['client_key']}): secret, current\n"
    [one] = json.loads(northwind("keys", "check", "--json", typed=text).out)
    assert (one["key"], one["generation"], one["state"]) == ("Zapier", 1, "current")
    assert secret not in found.out + found.err + json.dumps(one)
    (tmp_path / "typed").unlink()  # what the shell held


def test_a_whole_history_is_looked_through_whatever_bytes_are_in_it(
    northwind: Shell, tmp_path: Path
) -> None:
    made = json.loads(northwind("keys", "create", "Zapier", "--json").out)
    random = Random(7)
    others = [credentials.generate_access_token(random).reveal() for _ in range(20)]
    latin = "commit: café\n".encode("latin-1")

    clean = northwind("keys", "check", typed=latin)
    assert (clean.code, clean.out) == (0, "No secret of this organization is in there.\n")
    found = northwind(
        "keys", "check", typed=latin + "\n".join([*others, made["client_secret"]]).encode()
    )
    assert (found.code, found.out) == (1, f"Zapier ({made['client_key']}): secret, current\n")
    (tmp_path / "typed").unlink()  # what the shell held
