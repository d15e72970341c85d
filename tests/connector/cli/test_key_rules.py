"""What is settled for all of an organization's keys, from the shell."""

import json

import pytest

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
