"""The search for leaked secrets, which the whole run of the tests ends with, does find them."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from flask import Flask
from sqlalchemy import update

from keystore.db import Database, writing
from keystore.keys import Issued
from keystore.models import Key
from tests.conftest import CANARIES
from tests.support.canaries import FAR_WINDOW, Canaries, windows_of
from tests.support.databases import content
from tests.support.issued import FILE, overheard


@pytest.fixture
def secret(issued: Issued) -> str:
    return issued.client_secret.reveal()


@pytest.fixture
def canaries(secret: str, tmp_path: Path) -> Canaries:
    """Another search beside the one that watches this test, so that we may leak."""
    canaries = Canaries(tmp_path / "issued")
    canaries.issue(secret)
    return canaries


def planted(secret: str) -> str:
    """Return the least that is to be found: 8 characters of the random part."""
    return windows_of(secret)[0].decode()


def plant(database: Database, issued: Issued, name: str) -> None:
    with database.session() as session, writing(session):
        session.execute(update(Key).where(Key.id == issued.key.id).values(name=name))


def stored(database: Database) -> bytes:
    if database.is_sqlite:
        path = Path(str(database.engine.url.database))
        return path.read_bytes() + path.with_name(path.name + "-wal").read_bytes()
    with psycopg.connect(database.url.replace("+psycopg", "", 1)) as connection:
        return content(connection)


def test_s1_a_database_holds_no_part_of_a_secret_unless_it_was_planted(
    canaries: Canaries, database: Database, issued: Issued
) -> None:
    secret = issued.client_secret.reveal()
    canaries.trace("the database", stored(database))
    assert canaries.leaks_of_test() == []

    # Scrambled, as the search that watches this test is not to find it.
    plant(database, issued, planted(secret)[::-1])
    canaries.trace("the database", stored(database)[::-1])

    [leak] = canaries.leaks_of_test()
    assert "the database" in leak


def test_s1_what_was_planted_in_a_file_is_found(
    canaries: Canaries, secret: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    part = planted(secret)
    canaries.trace("a log", f'{{"event": "key {part}..."}}\n')
    canaries.trace("a binary file", b"\x00\xff" + part.encode() + b"northwind\x00")
    canaries.trace("a mail", f"Here is what you asked for: abc{part}xyz, in the middle of a word.")

    assert len(canaries.leaks_of_test()) == 3
    assert not any(part in leak for leak in canaries.leaks_of_test()), (
        "a report must not leak either"
    )


def test_s1_seven_characters_and_the_public_part_are_no_leak(
    canaries: Canaries, issued: Issued, secret: str
) -> None:
    canaries.trace("a page", f"{issued.key.client_key} khs{issued.key.client_key[3:]} ")
    canaries.trace("a page", f"…{planted(secret)[1:]}…")

    assert canaries.leaks_of_test() == []


def test_s1_twelve_characters_are_found_in_what_another_test_has_left(
    canaries: Canaries, secret: str
) -> None:
    canaries.next_test()
    canaries.trace("a log", f"…{planted(secret)}…")
    assert (canaries.leaks_of_test(), canaries.leaks()) == ([], [])

    canaries.trace("a log", f"…{windows_of(secret, FAR_WINDOW)[0].decode()}…")
    assert canaries.leaks_of_test() == []
    [leak] = canaries.leaks()
    assert "a log" in leak


def test_s2_one_response_may_reveal_a_secret_whole(canaries: Canaries, secret: str) -> None:
    page = f"<code>{secret}</code>"
    canaries.response("POST", "/keys/", 200, {"Cache-Control": "no-store"}, page)
    assert canaries.leaks_of_test() == []

    canaries.response("POST", "/keys/", 200, {"Cache-Control": "no-store"}, page)
    assert "revealed again" in "".join(canaries.leaks_of_test())


@pytest.mark.parametrize(
    ("method", "headers"), [("GET", {"Cache-Control": "no-store"}), ("POST", {})]
)
def test_s2_a_response_that_may_be_asked_for_again_or_kept_reveals_nothing(
    canaries: Canaries, secret: str, method: str, headers: dict[str, str]
) -> None:
    canaries.response(method, "/keys/", 200, headers, f"<code>{secret}</code>")

    [leak] = canaries.leaks_of_test()
    assert "revealed by" in leak


def test_s2_a_header_or_half_a_secret_is_no_place_for_a_reveal(
    canaries: Canaries, secret: str
) -> None:
    no_store = {"Cache-Control": "no-store"}
    canaries.response("POST", "/a/", 302, no_store | {"Location": f"/keys/#{secret}"}, "")
    canaries.response("POST", "/b/", 200, no_store, f"ends in {planted(secret)}")

    assert len(canaries.leaks_of_test()) == 2


def test_s1_secrets_logs_and_answers_of_this_process_are_watched(app: Flask, secret: str) -> None:
    logging.getLogger("tests").error("said with %s", "a0log0line")
    app.test_client().get("/settings/organization/developer/", query_string={"of": "a0response"})

    assert secret in CANARIES.issued
    assert CANARIES.saw("a0log0line")
    assert CANARIES.saw("a0response")


def test_s1_secrets_of_other_processes_are_known(canaries: Canaries) -> None:
    make = (
        "import random; from keystore import credentials as c;"
        "print(c.generate_client_secret(c.KEY_PREFIX + 20 * 'a', random.SystemRandom()).reveal())"
    )
    environ = overheard(dict(os.environ) | {FILE: str(canaries.file)})
    done = subprocess.run(
        [sys.executable, "-c", make], env=environ, capture_output=True, text=True, check=True
    )
    made = done.stdout.strip()

    canaries.trace("a log", planted(made))

    [leak] = canaries.leaks_of_test()
    assert "a log" in leak
