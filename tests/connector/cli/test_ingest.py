"""A file of meetings or of bookings goes in whole or not at all."""

import json
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from keystore.db import Database
from tests.connector.bookings import support as bookings
from tests.connector.cli.conftest import Shell


def meeting(**more: object) -> dict[str, object]:
    return {
        "uuid": str(uuid4()),
        "subject": "Kick-off",
        "state": "completed",
        "start_at": "2026-11-02T09:00:00Z",
        "is_private": False,
        "is_internal": False,
        "organizer_email": "ada@northwind.example",
        "notes_ready": True,
    } | more


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "meetings.jsonl"


def write(file: Path, *records: object) -> str:
    file.write_text("\n".join(json.dumps(record) for record in records) + "\n\n")
    return str(file)


def stored(database: Database, table: str) -> int:
    with database.engine.connect() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def test_new_changed_and_unchanged_meetings_are_counted(
    northwind: Shell, database: Database, file: Path
) -> None:
    first, second = meeting(), meeting()
    taken = northwind("ingest", write(file, first, second))
    assert taken.out == "2 meetings: 2 new, 0 changed, 0 as they were.\n"
    assert stored(database, "events") == 8, "each has ended, and its notes are ready: four events"

    changed = northwind("ingest", write(file, first, second | {"subject": "Kick-off II"}))

    assert changed.out == "2 meetings: 0 new, 1 changed, 1 as they were.\n"
    assert stored(database, "meetings") == 2


def test_history_may_be_silent(northwind: Shell, database: Database, file: Path) -> None:
    northwind("ingest", write(file, meeting()), "--no-events")

    assert (stored(database, "meetings"), stored(database, "events")) == (1, 0)


def test_every_bad_record_is_named_and_nothing_is_taken(
    northwind: Shell, database: Database, file: Path
) -> None:
    records = [
        meeting(),
        meeting(state="finished"),
        {"uuid": "x"},
        meeting(attendees=[{"email": "nobody"}]),
        [],
        meeting(),
    ]
    write(file, *records)
    file.write_bytes(file.read_bytes() + b"{broken\n\xff\xfe\n")

    refused = northwind("ingest", str(file))

    assert (refused.code, refused.out) == (2, "")
    for named in ("line 2: state:", "line 3: ", "line 4: attendees.0.", "line 5: ", "line 8: "):
        assert named in refused.err
    assert "line 1:" not in refused.err
    assert refused.err.splitlines()[-1].startswith(f"keyhook: {file}: 6 bad record(s)")
    assert stored(database, "meetings") == 0


def test_an_empty_file_is_no_meetings(northwind: Shell, file: Path) -> None:
    file.write_text("")

    assert northwind("ingest", str(file)).out.startswith("0 meetings")


def test_bookings_go_in_likewise(northwind: Shell, database: Database, file: Path) -> None:
    first, second = ({"uuid": str(uuid4()), **bookings.sent()} for _ in range(2))
    taken = northwind("ingest", "--bookings", write(file, first, second, first | bookings.MOVED))
    assert taken.out == "3 bookings: 2 new, 1 changed, 0 as they were.\n"
    assert (stored(database, "bookings"), stored(database, "events")) == (2, 3)

    again = northwind("ingest", "--bookings", "--no-events", write(file, second | bookings.OFF))

    assert again.out == "1 bookings: 0 new, 1 changed, 0 as they were.\n"
    assert stored(database, "events") == 3


def test_a_meeting_among_bookings_is_named_and_nothing_is_taken(
    northwind: Shell, database: Database, file: Path
) -> None:
    booking = {"uuid": str(uuid4()), **bookings.sent()}

    refused = northwind("ingest", "--bookings", write(file, booking, meeting(), {"uuid": 1}))

    assert (refused.code, refused.out) == (2, "")
    for named in ("line 2: meeting_uuid:", "line 3: ", "2 bad record(s)"):
        assert named in refused.err
    assert "line 1:" not in refused.err
    assert stored(database, "bookings") == 0
