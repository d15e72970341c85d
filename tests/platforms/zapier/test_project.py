"""What was emitted is a valid and a tested project."""

from pathlib import Path

from connector.platforms.zapier.definition import define
from tests.connector.examples import example_spec
from tests.platforms import install
from tests.platforms.node import NODE, NPM
from tests.platforms.zapier.connector import Connector, emit
from tests.support.server import Server


def test_zapiers_schema_finds_no_error(connector: Connector) -> None:
    assert connector.ask(command="validate") == []


def test_zapiers_schema_would_find_one(connector: Connector) -> None:
    broken = define(example_spec())
    broken["triggers"]["new_conversation"]["operation"]["type"] = "hooks"
    errors = connector.ask(command="validate", appRawOverride=broken)
    assert any("new_conversation" in error["property"] for error in errors)


def test_the_core_reads_the_definition_that_was_linted(
    connector: Connector, server: Server
) -> None:
    read = connector.ask(command="definition")
    assert {name: part for name, part in read.items() if part} == define(
        example_spec(server.base_url)
    )


def test_its_own_tests_pass(node_modules: Path, tmp_path: Path) -> None:
    project = emit("https://meet.northwind.example", tmp_path / "project", node_modules)
    printed = install.npm("test", at=project)
    assert "pass 9" in printed, "two of each trigger, one of the whole"
    assert "fail 0" in printed


def test_npm_and_node_come_from_the_wheel() -> None:
    assert NODE.is_file()
    assert NPM.is_file()
