"""The life of a key from the shell: regenerate, finish, expire, disable, enable, uses."""

from datetime import datetime, timedelta

import click

from connector.api.key_shapes import shown_secret
from connector.cli import common
from connector.cli.key_common import (
    Desk,
    Moment,
    json_option,
    key_argument,
    reveal,
    tell,
    yes_option,
)
from keystore.rotation import DEFAULT_OVERLAP, LONGEST_OVERLAP, KeyState

HOUR = timedelta(hours=1)


@click.command(epilog="Example: keyhook keys regenerate Zapier --overlap 24")
@key_argument
@click.option(
    "--overlap",
    metavar="HOURS",
    type=click.FloatRange(0, LONGEST_OVERLAP / HOUR),
    default=DEFAULT_OVERLAP / HOUR,
    show_default=True,
    help="How long the old secret goes on working.",
)
@click.option("--compromised", is_flag=True, help="End the old secret now.")
@yes_option
@common.organization_option
@json_option
def regenerate(
    *,
    key: str,
    overlap: float,
    compromised: bool,
    yes: bool,
    organization: str | None,
    as_json: bool,
) -> None:
    """Replace a key's secret and print the new one, this once."""
    desk = Desk(organization)
    picked = desk.pick(key).key
    hours = 0 if compromised else overlap
    if not yes:
        when = f"in {hours:g} hours" if hours else "at once"
        click.confirm(
            f"The present secret of {picked.name!r} stops working {when}. Go on?",
            abort=True,
            err=True,
        )
    issued = desk.act(
        desk.parts.services.keys.regenerate,
        str(picked.id),
        generation=picked.generation,
        overlap=hours * HOUR,
    )
    reveal(desk, issued, as_json)


@click.command(epilog="Example: keyhook keys finish Zapier")
@key_argument
@common.organization_option
@json_option
def finish(key: str, organization: str | None, as_json: bool) -> None:
    """End an overlap now: only the newest secret works."""
    desk = Desk(organization)
    item = desk.change(desk.parts.services.keys.finish, key)
    tell(item, as_json, f"Only the newest secret of {item.key.name!r} works.")


@click.command(epilog="Example: keyhook keys expire Zapier 2027-01-01")
@key_argument
@click.argument("when", type=Moment(), required=False)
@click.option("--never", is_flag=True, help="Let it work until somebody ends it.")
@common.organization_option
@json_option
def expire(
    key: str, when: datetime | None, never: bool, organization: str | None, as_json: bool
) -> None:
    """Let a key end at a date or date-time (UTC), or never."""
    if never is (when is not None):
        raise click.UsageError("give a date or date-time, or say --never")
    desk = Desk(organization)
    item = desk.change(desk.parts.services.keys.set_expiry, key, expires_at=when)
    end = f"ends at {when:%Y-%m-%d %H:%M} UTC" if when else "does not expire"
    tell(item, as_json, f"{item.key.name!r} {end}.")


@click.command(epilog="Example: keyhook keys disable Zapier")
@key_argument
@common.organization_option
@json_option
def disable(key: str, organization: str | None, as_json: bool) -> None:
    """Put a key to sleep: it is refused until it is enabled."""
    desk = Desk(organization)
    item = desk.change(desk.parts.services.keys.disable, key)
    tell(item, as_json, f"{item.key.name!r} is disabled.")


@click.command(epilog="Example: keyhook keys enable Zapier")
@key_argument
@common.organization_option
@json_option
def enable(key: str, organization: str | None, as_json: bool) -> None:
    """Wake a key that was disabled."""
    desk = Desk(organization)
    item = desk.change(desk.parts.services.keys.enable, key)
    tell(item, as_json, f"{item.key.name!r} is enabled.")


@click.command(epilog="Example: keyhook keys uses Zapier --json")
@key_argument
@common.organization_option
@json_option
def uses(key: str, organization: str | None, as_json: bool) -> None:
    """Tell which secret was last used when and from where, and what depends on the key."""
    desk = Desk(organization)
    item, services = desk.pick(key, deleted=True), desk.parts.services
    with services.db.session() as session:
        used = {one.generation: one for one in services.uses.of_key(session, item.key.id)}
        requests = services.uses.last_week(session, item.key.id)
        dependents = services.keys.dependents(session, item.key)
    alive = []
    if item.state is not KeyState.DELETED:
        alive = desk.act(services.keys.secrets, str(item.key.id))
    secrets = [shown_secret(one, used.get(one.generation)) for one in alive]
    if as_json:
        found = [{"what": one.what, "count": one.count} for one in dependents]
        common.print_json(
            {"requests_last_7_days": requests, "secrets": secrets, "dependents": found}
        )
        return
    click.echo(f"{requests} requests in the last 7 days")
    common.print_table(
        ["Secret", "State", "Until", "Last used", "From", "With"],
        [
            [
                f"{one['generation']}",
                one["state"],
                one["until"] or "",
                one["last_used_at"] or "never",
                one["address"] or "",
                one["agent"] or "",
            ]
            for one in secrets
        ],
    )
    for dependent in dependents:
        click.echo(f"{dependent.count} x {dependent.what}")


COMMANDS = (regenerate, finish, expire, disable, enable, uses)
