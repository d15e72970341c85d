"""Keys from the shell: list, create, show, rename, delete; and what they are allowed."""

from datetime import datetime
from typing import Any

import click

from connector.api.key_shapes import shown_key, shown_reach
from connector.cli import common, key_life, key_rates, key_rules
from connector.cli.key_common import (
    Desk,
    Moment,
    data_option,
    granted,
    json_option,
    key_argument,
    owner_option,
    preset_option,
    print_members,
    reveal,
    scope_option,
    tell,
)
from keystore import scopes
from keystore.rotation import KeyState
from keystore.scopes import DataScope


@click.group(epilog="Example: keyhook keys create Zapier")
def keys() -> None:
    """Manage an organization's API keys. KEY is a key's name, Client Key or id."""


@keys.command("list", epilog="Example: keyhook keys list --state expired --json")
@click.option(
    "--state",
    type=click.Choice([one.value for one in KeyState]),
    help="Only these; all but the deleted ones when left out.",
)
@common.organization_option
@json_option
@common.piped
def list_keys(state: str | None, organization: str | None, as_json: bool) -> None:
    """List the keys, newest first."""
    found = Desk(organization).items(KeyState(state) if state else None)
    if as_json:
        common.print_json([shown_key(item) for item in found])
        return
    common.print_table(
        ["Name", "Client Key", "State", "Scopes", "Created"],
        [
            [
                item.key.name,
                item.key.client_key,
                item.state,
                " ".join(item.key.scopes),
                f"{item.key.created_at:%Y-%m-%d %H:%M}",
            ]
            for item in found
        ],
    )


@keys.command(
    epilog='Example: keyhook keys create "Zapier (sales)" --preset connect --expires 2027-01-01'
)
@click.argument("name")
@scope_option
@preset_option
@data_option
@owner_option
@click.option(
    "--network", "allowed", multiple=True, metavar="CIDR", help="May be given repeatedly."
)
@click.option("--limit", type=click.IntRange(min=1), help="Requests a minute.")
@click.option("--expires", type=Moment(), help="A date or date-time; never when left out.")
@common.organization_option
@json_option
def create(
    *,
    name: str,
    names: tuple[str, ...],
    preset: str | None,
    data: str | None,
    owner: str | None,
    allowed: tuple[str, ...],
    limit: int | None,
    expires: datetime | None,
    organization: str | None,
    as_json: bool,
) -> None:
    """Add a key and print its Client Secret, this once."""
    desk = Desk(organization)
    services = desk.parts.services
    services.rates.check(limit)
    wanted = granted(names, preset)
    with services.db.session() as session:
        issued = services.keys.create(
            session,
            organization_id=desk.organization.id,
            name=name,
            actor=common.actor(),
            granted=scopes.DEFAULT if wanted is None else wanted,
            data=DataScope(data) if data else DataScope.ORG_FULL,
            owner_id=desk.person(owner),
            expires_at=expires,
            allowed=allowed,
            rate_limit=limit,
        )
    reveal(desk, issued, as_json)


@keys.command(
    "try",
    epilog="Example: keyhook keys try --preset analyse --data user_full --owner ada@x.example",
)
@scope_option
@preset_option
@data_option
@owner_option
@common.organization_option
@json_option
def dry_run(
    *,
    names: tuple[str, ...],
    preset: str | None,
    data: str | None,
    owner: str | None,
    organization: str | None,
    as_json: bool,
) -> None:
    """Tell how many meetings a key would see that `create` made with these; make none."""
    desk = Desk(organization)
    services, wanted = desk.parts.services, granted(names, preset)
    with services.db.session() as session:
        rights = services.grants.trial(
            session,
            organization_id=desk.organization.id,
            granted=scopes.DEFAULT if wanted is None else wanted,
            data=DataScope(data) if data else DataScope.ORG_FULL,
            owner_id=desk.person(owner),
            actor=common.actor(),
        )
        reach = services.reach(session, desk.organization.id, rights)
    if as_json:
        common.print_json(shown_reach(reach))
    else:
        click.echo(f"It would see {reach.meetings} meetings, of which {reach.private} private.")


@keys.command(epilog="Example: keyhook keys show Zapier --json")
@key_argument
@common.organization_option
@json_option
def show(key: str, organization: str | None, as_json: bool) -> None:
    """Show one key, also a deleted one by its Client Key or id."""
    members = shown_key(Desk(organization).pick(key, deleted=True))
    if as_json:
        common.print_json(members)
    else:
        print_members(members)


@keys.command(epilog='Example: keyhook keys rename Zapier "Zapier (sales)"')
@key_argument
@click.argument("name")
@common.organization_option
@json_option
def rename(key: str, name: str, organization: str | None, as_json: bool) -> None:
    """Change a key's name; the credential stays as it is."""
    desk = Desk(organization)
    item = desk.change(desk.parts.services.keys.rename, key, name=name)
    tell(item, as_json, f"The key is now named {item.key.name!r}.")


@keys.command("scopes", epilog="Example: keyhook keys scopes Zapier --preset analyse")
@key_argument
@scope_option
@preset_option
@click.option("--none", "nothing", is_flag=True, help="Let it do nothing at all.")
@data_option
@owner_option
@common.organization_option
@json_option
def rescope(
    *,
    key: str,
    names: tuple[str, ...],
    preset: str | None,
    nothing: bool,
    data: str | None,
    owner: str | None,
    organization: str | None,
    as_json: bool,
) -> None:
    """Change what a key may do and see; what is not named stays, and so does the credential."""
    wanted = granted(names, preset)
    if nothing and wanted is not None:
        raise click.UsageError("--none goes with neither --scope nor --preset")
    wanted = frozenset() if nothing else wanted
    if wanted is None and data is None and owner is None:
        raise click.UsageError("say what to change: --scope, --preset, --none, --data or --owner")
    desk = Desk(organization)
    item = desk.change(
        desk.parts.services.grants.rescope,
        key,
        granted=wanted,
        data=DataScope(data) if data else None,
        owner_id=desk.person(owner),
    )
    may = " ".join(item.key.scopes) or "nothing"
    tell(item, as_json, f"{item.key.name!r} may {may}, on {item.key.data_scope}.")


@keys.command(epilog="Example: keyhook keys networks Zapier 203.0.113.0/24 2001:db8::/32")
@key_argument
@click.argument("allowed", nargs=-1, metavar="[CIDR]...")
@click.option("--anywhere", is_flag=True, help="Let it be used from anywhere.")
@common.organization_option
@json_option
def networks(
    key: str, allowed: tuple[str, ...], anywhere: bool, organization: str | None, as_json: bool
) -> None:
    """Let a key be used from these networks only."""
    if anywhere is bool(allowed):
        raise click.UsageError("name networks, or say --anywhere")
    desk = Desk(organization)
    item = desk.change(desk.parts.services.grants.set_networks, key, allowed=allowed)
    places = ", ".join(item.key.networks or ["anywhere"])
    tell(item, as_json, f"{item.key.name!r} may be used from {places}.")


@keys.command(epilog="Example: keyhook keys delete Zapier")
@key_argument
@click.option("--yes", is_flag=True, help="Do not ask for the name.")
@common.organization_option
@json_option
def delete(key: str, yes: bool, organization: str | None, as_json: bool) -> None:
    """Delete a key for good; whatever uses it is refused at once."""
    desk = Desk(organization)
    name = desk.pick(key).key.name
    typed: Any = None
    if not yes:
        typed = click.prompt(f"Type the key's name ({name}) to delete it", err=True)
    item = desk.change(desk.parts.services.keys.delete, key, confirm_name=typed)
    tell(item, as_json, f"{item.key.name!r} is deleted.")


for command in (*key_life.COMMANDS, *key_rates.COMMANDS, *key_rules.COMMANDS):
    keys.add_command(command)
