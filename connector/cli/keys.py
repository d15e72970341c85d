"""Keys from the shell: list, create, rename, regenerate, delete."""

from datetime import timedelta
from typing import Any

import click

from connector.app import Parts
from connector.cli import common
from keystore import scopes
from keystore.keys import Issued
from keystore.models import Key, Organization
from keystore.rotation import LONGEST_OVERLAP

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for a program.")
KEY = "KEY"  # how a command's help calls its first argument: name, Client Key or id


@click.group(epilog="Example: keyhook keys create Zapier")
def keys() -> None:
    """Manage an organization's API keys. KEY is a key's name, Client Key or id."""


@keys.command("list", epilog="Example: keyhook keys list --json")
@common.organization_option
@json_option
@common.piped
def list_keys(organization: str | None, as_json: bool) -> None:
    """List the live keys, newest first."""
    _, _, found = _keys(organization)
    if as_json:
        common.print_json([_shape(key) for key in found])
        return
    common.print_table(
        ["Name", "Client Key", "Scopes", "Created"],
        [
            [key.name, key.client_key, " ".join(key.scopes), f"{key.created_at:%Y-%m-%d %H:%M}"]
            for key in found
        ],
    )


@keys.command(epilog='Example: keyhook keys create "Zapier (sales)" --scope meetings:read')
@click.argument("name")
@click.option("--scope", "names", multiple=True, metavar="SCOPE", help="May be given repeatedly.")
@common.organization_option
@json_option
def create(name: str, names: tuple[str, ...], organization: str | None, as_json: bool) -> None:
    """Add a key and print its Client Secret, this once."""
    parts, owner, _ = _keys(organization)
    granted = scopes.parse(names) if names else scopes.DEFAULT
    with parts.services.db.session() as session:
        issued = parts.services.keys.create(
            session, organization_id=owner.id, name=name, actor=common.actor(), granted=granted
        )
    _reveal(issued, as_json)


@keys.command(epilog='Example: keyhook keys rename Zapier "Zapier (sales)"')
@click.argument("key", metavar=KEY)
@click.argument("name")
@common.organization_option
def rename(key: str, name: str, organization: str | None) -> None:
    """Change a key's name; the credential stays as it is."""
    parts, owner, found = _keys(organization)
    with parts.services.db.session() as session:
        renamed = parts.services.keys.rename(
            session,
            _pick(found, key).id,
            organization_id=owner.id,
            name=name,
            actor=common.actor(),
        )
    click.echo(f"The key is now named {renamed.name!r}.")


@keys.command(epilog="Example: keyhook keys regenerate Zapier --overlap 24")
@click.argument("key", metavar=KEY)
@click.option(
    "--overlap",
    metavar="HOURS",
    type=click.FloatRange(0, LONGEST_OVERLAP / timedelta(hours=1)),
    default=0,
    show_default=True,
    help="How long the old secret goes on working.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@common.organization_option
@json_option
def regenerate(
    key: str, overlap: float, yes: bool, organization: str | None, as_json: bool
) -> None:
    """Replace a key's secret; the old one stops working at once, or after the overlap."""
    parts, owner, found = _keys(organization)
    picked = _pick(found, key)
    if not yes:
        when = f"in {overlap:g} hours" if overlap else "at once"
        click.confirm(
            f"The present secret of {picked.name!r} stops working {when}. Go on?",
            abort=True,
            err=True,
        )
    with parts.services.db.session() as session:
        issued = parts.services.keys.regenerate(
            session,
            picked.id,
            organization_id=owner.id,
            generation=picked.generation,
            actor=common.actor(),
            overlap=timedelta(hours=overlap),
        )
    _reveal(issued, as_json)


@keys.command(epilog="Example: keyhook keys delete Zapier")
@click.argument("key", metavar=KEY)
@click.option("--yes", is_flag=True, help="Do not ask for the name.")
@common.organization_option
def delete(key: str, yes: bool, organization: str | None) -> None:
    """Delete a key for good; whatever uses it is refused at once."""
    parts, owner, found = _keys(organization)
    picked = _pick(found, key)
    typed = None if yes else str(click.prompt(f"Type the key's name ({picked.name}) to delete it"))
    with parts.services.db.session() as session:
        parts.services.keys.delete(
            session,
            picked.id,
            organization_id=owner.id,
            actor=common.actor(),
            confirm_name=typed,
        )
    click.echo(f"{picked.name!r} is deleted.")


def _keys(organization: str | None) -> tuple[Parts, Organization, list[Key]]:
    parts = common.this_installation()
    owner = common.whose(parts, organization)
    with parts.services.db.session() as session:
        return parts, owner, list(parts.services.keys.list(session, owner.id, actor=common.actor()))


def _pick(found: list[Key], wanted: str) -> Key:
    """Return the key that somebody means by its name, Client Key or id."""
    for key in found:
        if wanted in {key.client_key, str(key.id)}:
            return key
    # Names come last: somebody may have named a key like another one's Client Key.
    for key in found:
        if wanted == key.name:
            return key
    raise click.ClickException(
        f"there is no key {wanted!r}; `keyhook keys list` shows those there are"
    )


def _shape(key: Key) -> dict[str, Any]:
    return {
        "id": str(key.id),
        "name": key.name,
        "client_key": key.client_key,
        "scopes": key.scopes,
        "generation": key.generation,
        "created_at": key.created_at.isoformat(),
    }


def _reveal(issued: Issued, as_json: bool) -> None:
    """Print the secret; standard output is the one place that gets to see it."""
    secret = issued.client_secret.reveal()
    if as_json:
        common.print_json(_shape(issued.key) | {"client_secret": secret})
        return
    click.echo(f"Client Key     {issued.key.client_key}")
    click.echo(f"Client Secret  {secret}")
    click.echo("The secret is not kept and will not be shown again.", err=True)
