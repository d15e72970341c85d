"""Writing a connector's project folder for a platform."""

import os
from pathlib import Path

import click

from connector.bookings import events as bookings
from connector.meetings import events as meetings
from connector.platforms import PLATFORMS, OutputRefused, write
from connector.spec import Shape, SpecError, describe
from keystore.settings import TABLE


@click.group(epilog="Example: keyhook emit zapier --out zapier-app")
def emit() -> None:
    """Write a ready-to-publish connector for a platform."""


def _command(platform_id: str) -> click.Command:
    platform = PLATFORMS[platform_id]

    @click.option(
        "--out",
        required=True,
        type=click.Path(path_type=Path, file_okay=False),
        help="Folder for the project: a new or empty one, or an earlier emission.",
    )
    @click.option(
        "--base-url",
        default=lambda: os.environ.get("KEYHOOK_BASE_URL") or _default_base_url(),
        help="Where the platform reaches this server.  [default: KEYHOOK_BASE_URL]",
    )
    def command(out: Path, base_url: str) -> None:
        try:
            spec = describe(
                (*meetings.event_types(), *bookings.event_types()),
                meeting=Shape(meetings.meeting_schema(), meetings.meeting_sample()),
                base_url=base_url,
            )
            findings = platform.lint(spec)
            files = platform.emit(spec)
            write(files, out)
        except (SpecError, OutputRefused) as error:
            raise click.ClickException(error.detail) from error
        except OSError as error:
            raise click.ClickException(f"cannot write to {out}: {error}") from error
        for finding in findings:
            click.echo(f"{platform.name} review: {finding}", err=True)
        click.echo(f"Wrote {len(files)} files to {out}; its README.md says how to publish it.")

    return click.command(
        platform_id,
        help=f"Write the project folder of the {platform.name} connector.",
        epilog=f"Example: keyhook emit {platform_id} --out {platform_id}-app "
        "--base-url https://keys.example.com",
    )(command)


def _default_base_url() -> str:
    return next(row.default for row in TABLE if row.field == "base_url")


for _id in PLATFORMS:
    emit.add_command(_command(_id))
