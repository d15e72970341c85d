"""The command `keyhook`. Bad use ends with one line that says what to do, and exit code 2."""

import sys
from collections.abc import Sequence

import click
from sqlalchemy.exc import DBAPIError

from connector.cli import audit, demo, emit, ingest, installation, keys, listen, secret_keys
from keystore.errors import KeystoreError
from webhooks.errors import WebhooksError


@click.group(epilog="Example: keyhook demo --port 8400")
@click.version_option(package_name="keyhook")
def keyhook() -> None:
    """Run API keys, webhooks and connectors for a product that holds meeting data."""


for command in (
    demo.demo,
    installation.init,
    installation.serve,
    installation.worker,
    installation.db,
    installation.settings,
    keys.keys,
    audit.audit,
    secret_keys.secrets,
    ingest.ingest,
    emit.emit,
    listen.listen,
):
    keyhook.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    try:
        code = keyhook.main(arguments, prog_name="keyhook", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(2)
    except click.ClickException as error:
        _refuse(error.format_message())
    except (KeystoreError, WebhooksError) as error:
        _refuse(error.detail)
    except DBAPIError as error:
        _refuse(f"cannot work with the database: {error.orig}")
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        sys.exit(130)


def _refuse(message: str) -> None:
    """Say in one line what was wrong."""
    click.echo(f"keyhook: {' '.join(message.split())}", err=True)
    sys.exit(2)
