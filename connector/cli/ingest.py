"""Taking in many meetings or bookings from a file: all of it or none of it."""

import json
import os
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, TypeVar
from uuid import UUID

import click
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn

from connector.bookings import ingest as bookings
from connector.cli import common
from connector.meetings import ingest as meetings
from connector.meetings.batches import Totals
from connector.meetings.errors import InvalidMeeting
from connector.meetings.sight import Sight
from connector.problems import summary

SHOWN = 20  # bad records that are named before we give up counting them out

T = TypeVar("T")
#: Reads what is in one line. Raises InvalidMeeting, for what is no booking, too.
Read = Callable[[Any], tuple[UUID, T]]


class BadRecords(Exception):
    """The file holds records that we cannot take; each entry names line and field."""

    def __init__(self, found: list[str]) -> None:
        super().__init__(found)
        self.found = found


@click.command(epilog="Example: keyhook ingest meetings.jsonl --no-events")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--bookings", "of_bookings", is_flag=True, help="FILE holds bookings instead.")
@click.option("--no-events", is_flag=True, help="Publish nothing: for history.")
@common.organization_option
def ingest(file: Path, of_bookings: bool, no_events: bool, organization: str | None) -> None:
    """Add or change meetings from FILE, one JSON object (as the API takes it) a line.

    All of the file is taken or, when a record is bad, none of it; every bad record is named.
    """
    parts = common.this_installation()
    sight, told = Sight(common.whose(parts, organization).id), not no_events
    with (
        file.open("rb") as stream,
        Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            console=common.progress_console(),
            transient=True,
        ) as bar,
        parts.services.db.session() as session,
    ):
        try:
            if of_bookings:
                save_bookings = partial(parts.bookings.save_many, session, sight, publish=told)
                totals = _take(stream, bar, bookings.record, save_bookings)
            else:
                save_meetings = partial(parts.meetings.save_many, session, sight, publish=told)
                totals = _take(stream, bar, meetings.record, save_meetings)
        except BadRecords as bad:
            bar.stop()
            _refuse(file, bad.found)
    parts.services.db.analyze()
    click.echo(
        f"{totals.seen} {'bookings' if of_bookings else 'meetings'}: {totals.created} new, "
        f"{totals.changed} changed, {totals.unchanged} as they were."
    )


def _take(
    stream: BinaryIO,
    bar: Progress,
    read: Read[T],
    save: Callable[[Iterator[tuple[UUID, T]]], Totals],
) -> Totals:
    size = os.fstat(stream.fileno()).st_size
    # First to the end without a transaction: on SQLite nobody else could write meanwhile.
    task = bar.add_task("Checking", total=size)
    deque(_records(stream, bar, task, read), maxlen=0)
    stream.seek(0)
    task = bar.add_task("Saving", total=size)
    return save(_records(stream, bar, task, read))


def _records(
    stream: BinaryIO, bar: Progress, task: TaskID, read: Read[T]
) -> Iterator[tuple[UUID, T]]:
    """Yield the good records; at the end raise BadRecords if there were others."""
    bad: list[str] = []
    for number, line in enumerate(stream, start=1):
        bar.advance(task, len(line))
        if not line.strip():
            continue
        try:
            record = read(json.loads(line))
        except InvalidMeeting as error:
            bad.append(f"line {number}: {summary(error.fields)}")
        except (ValueError, RecursionError) as error:
            bad.append(f"line {number}: this is not one JSON object ({error})")
        else:
            if not bad:
                yield record
    if bad:
        raise BadRecords(bad)


def _refuse(file: Path, found: list[str]) -> NoReturn:
    for entry in found[:SHOWN]:
        click.echo(entry, err=True)
    if len(found) > SHOWN:
        click.echo(f"... and {len(found) - SHOWN} more", err=True)
    raise click.ClickException(
        f"{file}: {len(found)} bad record(s); nothing was taken. Mend them and run it again."
    )
