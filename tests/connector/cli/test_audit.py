"""The audit log from the shell: whole or broken, and where; exported in parts or at once."""

import json

import pytest
from sqlalchemy import update

from keystore.db import Database
from keystore.models import AuditEvent
from tests.connector.cli.conftest import Shell


def test_a_whole_log_is_said_to_be_whole_and_its_end_can_be_noted(northwind: Shell) -> None:
    northwind("keys", "create", "Zapier")

    checked = northwind("audit", "verify")

    assert checked.code == 0
    name, _, end = checked.out.strip().partition(": whole, ")
    assert (name, end.partition(":")[0]) == ("Northwind", "3")
    northwind("keys", "create", "n8n")
    assert northwind("audit", "verify", "--expect", end).code == 0
    again = northwind("audit", "verify", "--expect", "3:" + "0" * 64)
    assert again.code == 1
    assert "broken at 3" in again.out


def test_a_broken_log_is_told_with_the_place_and_exit_code_1(
    northwind: Shell, database: Database
) -> None:
    northwind("keys", "create", "Zapier")
    with database.engine.begin() as connection:
        connection.execute(update(AuditEvent).where(AuditEvent.seq == 2).values(actor_label="eve"))

    checked = northwind("audit", "verify", "--organization", "Northwind")

    assert checked.code == 1
    assert checked.out.startswith("Northwind: broken at 2: ")
    assert checked.err == ""


def test_an_export_has_all_rows_and_its_parts_are_the_whole(northwind: Shell) -> None:
    northwind("keys", "create", "Zapier")
    northwind("keys", "create", "Zapier")

    for form in ("csv", "jsonl"):
        whole = northwind("audit", "export", "--format", form).out
        parts = [
            northwind("audit", "export", "--format", form, "--after", after, "--limit", "2").out
            for after in ("0", "2", "4")
        ]
        assert "".join(parts) == whole
    rows = [json.loads(line) for line in whole.splitlines()]
    assert [(row["action"], row["outcome"]) for row in rows] == [
        ("organization.created", "done"),
        ("user.created", "done"),
        ("key.created", "done"),
        ("key.created", "refused"),
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ["export"],
        ["export", "--format", "xml"],
        ["export", "--format", "csv", "--after", "-1"],
        ["export", "--format", "csv", "--after", str(10**20)],
        ["export", "--format", "csv", "--limit", str(10**20)],
        ["verify", "--expect", "3"],
        ["verify", "--expect", "0:abc"],
        ["verify", "--organization", "Contoso"],
    ],
)
def test_a_wrong_turn_is_one_line(northwind: Shell, arguments: list[str]) -> None:
    ended = northwind("audit", *arguments)

    assert ended.code == 2
    assert ended.err.count("\n") == 1
