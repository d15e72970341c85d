"""Setting up and running an installation: init, serve, worker, db, settings."""

import os
import signal
import sys
import threading

import click

from connector import scraping, serving
from connector.cli import common
from keystore.accounts import clean_email
from keystore.credentials import SecretValue
from keystore.settings import TABLE


@click.command(
    epilog="Example: keyhook init --organization Northwind --admin ada@northwind.example"
)
@click.option("--organization", required=True, metavar="NAME", help="The first organization.")
@click.option("--admin", required=True, metavar="EMAIL", help="Its first admin.")
def init(organization: str, admin: str) -> None:
    """Make the tables, the first organization and its admin.

    Asks for the admin's password, or reads it from standard input when that is not a terminal.
    """
    clean_email(admin)
    password = _password()
    services = common.assembled().services
    services.db.upgrade()
    with services.db.session() as session:
        made = services.accounts.found(
            session,
            name=organization,
            email=admin,
            password=password,
            actor=common.actor(),
        )
    click.echo(f"{made.name} is ready. Start it with `keyhook serve --with-worker` and sign in at")
    click.echo(f"{services.settings.base_url}/ as {admin}.")


def _password() -> SecretValue:
    if sys.stdin.isatty():
        return SecretValue(
            click.prompt("Password for the admin", hide_input=True, confirmation_prompt=True)
        )
    return SecretValue(sys.stdin.readline().rstrip("\r\n"))


@click.command(epilog="Example: keyhook serve --host 0.0.0.0 --workers 4 --with-worker")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8400, show_default=True, type=click.IntRange(1, 65535))
@click.option(
    "--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Server processes."
)
@click.option("--with-worker", is_flag=True, help="Deliver webhooks from the same processes.")
def serve(host: str, port: int, workers: int, with_worker: bool) -> None:
    """Serve the API and the pages."""
    environ = {"KEYHOOK_BASE_URL": f"http://127.0.0.1:{port}", **os.environ}
    common.this_installation(environ).services.db.dispose()
    address = serving.require_free(host, port)
    serving.serve(
        environ,
        host=address,
        port=port,
        workers=workers,
        background=[serving.carry_mail, *([serving.deliver] if with_worker else [])],
    )


@click.command(epilog="Example: keyhook worker --metrics-port 9100")
@click.option(
    "--metrics-port", type=click.IntRange(1, 65535), help="Answer Prometheus here, at /metrics."
)
@click.option(
    "--metrics-host", default="127.0.0.1", show_default=True, help="Address for --metrics-port."
)
def worker(metrics_port: int | None, metrics_host: str) -> None:
    """Deliver webhooks until told to stop; any number of these may run on PostgreSQL."""
    parts = common.this_installation()
    if metrics_port is not None:
        address = serving.require_free(metrics_host, metrics_port)
        scraping.serve(parts.metrics, parts.services, address, metrics_port)
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    made = parts.worker()
    serving.settle()
    made.run_forever(stop)


@click.group(epilog="Example: keyhook db upgrade")
def db() -> None:
    """Look after the database."""


@db.command(epilog="Example: keyhook db upgrade")
def upgrade() -> None:
    """Bring the tables to what this version needs; safe to run again."""
    common.assembled().services.db.upgrade()
    click.echo("The database is up to date.")


@click.command(epilog="Example: KEYHOOK_DELIVERY_TIMEOUT=10 keyhook settings")
def settings() -> None:
    """Show every setting, what it means and what it is when unset."""
    common.print_table(
        ["Variable", "When unset", "Meaning"],
        [[row.name, row.shown_default.replace("`", ""), row.doc.replace("`", "")] for row in TABLE],
    )
    click.echo("Each may also be given as <NAME>_FILE, the path of a file that holds the value.")
