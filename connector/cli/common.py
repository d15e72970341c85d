"""What several commands need: the parts of this installation, and which organization is meant."""

import getpass
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import update_wrapper
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from connector import logs
from connector.app import Parts, assemble
from keystore.audit import Actor
from keystore.models import Organization
from keystore.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

organization_option = click.option(
    "--organization", metavar="NAME", help="Whose; may be left out when there is only one."
)


def assembled(environ: Mapping[str, str] = os.environ) -> Parts:
    """Return the parts that the environment describes; their database is closed at the end."""
    settings = Settings.from_env(environ)
    logs.configure(settings.log_level)
    parts = assemble(settings)
    click.get_current_context().call_on_close(parts.services.db.dispose)
    return parts


def this_installation(environ: Mapping[str, str] = os.environ) -> Parts:
    """Return the parts of the installation that the environment describes.

    Refuses one whose tables are missing or old, as any answer from it would be wrong.
    """
    parts = assembled(environ)
    if not parts.services.db.is_current():
        raise click.ClickException(
            "the database's tables are missing or old; run `keyhook db upgrade` "
            "(or `keyhook init` for a new installation)"
        )
    with parts.services.db.reader.connect() as connection:
        if not parts.services.keys.all_checkable(connection):
            raise click.ClickException(
                "this database holds keys that were made with other secret keys; set "
                "KEYHOOK_SECRET_KEYS to the same value in every process of the installation"
            )
    return parts


def whose(parts: Parts, name: str | None) -> Organization:
    """Return the organization of this name, or the only one."""
    with parts.services.db.session() as session:
        found = parts.services.accounts.organizations(session)
    if name is not None:
        found = [organization for organization in found if organization.name == name]
        if not found:
            raise click.ClickException(f"there is no organization named {name!r}")
    if not found:
        raise click.ClickException("there is no organization yet; run `keyhook init`")
    if len(found) > 1:
        names = ", ".join(organization.name for organization in found)
        raise click.ClickException(f"say which --organization: {names}")
    return found[0]


def actor() -> Actor:
    """Return the person at the shell, for the audit."""
    try:
        return Actor("cli", getpass.getuser())
    except (OSError, KeyError):  # no such user in this container
        return Actor("cli", f"uid {os.getuid()}")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table for a person."""
    table = Table(*columns, box=None, header_style="bold")
    for row in rows:
        table.add_row(*[Text(cell) for cell in row])  # a name may look like markup
    Console().print(table)


def print_json(value: Any) -> None:
    """Print one line for a program."""
    click.echo(json.dumps(value, ensure_ascii=False))


def progress_console() -> Console:
    """Return the console for progress: standard error, so that output can be piped."""
    return Console(stderr=True)


def piped(function: F) -> F:
    """End quietly when the reader of our output has gone (`keyhook keys list | head -1`)."""

    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return None

    return update_wrapper(run, function)  # type: ignore[return-value]
