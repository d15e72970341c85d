"""Replacing the installation's secret key: `keyhook secrets rotate`."""

from collections import defaultdict

import click

from connector.app import Parts
from connector.cli import common
from connector.demo_mails import SEALED as OF_THE_DEMO
from keystore import resealing
from keystore.resealing import Need, Resealing
from webhooks import sealed


@click.group(epilog="Example: keyhook secrets rotate")
def secrets() -> None:
    """Look after what the installation's secret keys protect."""


@secrets.command(epilog="Example: keyhook secrets rotate --check")
@click.option("--check", is_flag=True, help="Change nothing; say which keys are still needed.")
def rotate(check: bool) -> None:
    """Seal everything again with the first key in KEYHOOK_SECRET_KEYS.

    First put a new key behind the present ones, in every process; then move it to the front; then
    run this, with servers and workers running. It may be broken off and run again. At the end it
    says which keys are still needed: digests, of Client Secrets for example, stay with the key
    that made them until they are replaced.
    """
    parts = common.this_installation()
    places = (*resealing.SEALED, *sealed.SEALED, *OF_THE_DEMO)
    work = Resealing(parts.services.db, parts.services.vault, places)
    unopened = 0
    if not check:
        done = work.run()
        for name, rows in done.sealed.items():
            click.echo(f"Sealed again: {rows} {name}.")
        if not done.sealed:
            click.echo("Everything is sealed with the first key already.")
        for name, rows in done.unopened.items():
            click.echo(f"No key opens {rows} {name}; they were left as they are.", err=True)
        unopened = sum(done.unopened.values())
    missing = _show(parts, work.needs())
    if unopened or missing:
        raise click.exceptions.Exit(1)


def _show(parts: Parts, needs: list[Need]) -> bool:
    """Print what needs which key; tell whether one is needed that is not there."""
    configured = parts.services.vault.key_ids
    by_key = defaultdict[str, list[Need]](list)
    for need in needs:
        by_key[need.key_id].append(need)
    for number, key_id in enumerate(configured, start=1):
        uses = ", ".join(f"{need.rows} {need.name}" for need in by_key.pop(key_id, []))
        if number == 1:
            uses = uses or "nothing yet"
        click.echo(f"Key {number} ({key_id}): {uses or 'nothing needs it; it may be removed'}.")
    for key_id, of_it in by_key.items():
        uses = ", ".join(f"{need.rows} {need.name}" for need in of_it)
        click.echo(f"A key that is not set ({key_id}): {uses}.", err=True)
    return bool(by_key)
