"""What an organization has settled for all its keys, from the shell.

At the shell and on the page alone: no key changes what other keys are held to.
"""

import click

from connector.api.key_shapes import shown_standard
from connector.cli import common
from connector.cli.key_common import Desk, json_option


@click.command("default-limit", epilog="Example: keyhook keys default-limit 300")
@click.argument("limit", type=click.IntRange(min=1), required=False)
@click.option("--installed", is_flag=True, help="Let it be KEYHOOK_RATE_LIMIT again.")
@common.organization_option
@json_option
def default_limit(
    limit: int | None, installed: bool, organization: str | None, as_json: bool
) -> None:
    """Show or change how many requests a minute keys without a limit of their own may make."""
    if installed and limit is not None:
        raise click.UsageError("give a number of requests a minute, or say --installed")
    desk = Desk(organization)
    services, organization_id = desk.parts.services, desk.organization.id
    with services.db.session() as session:
        if installed or limit is not None:
            services.rates.set_default(
                session, organization_id=organization_id, limit=limit, actor=common.actor()
            )
        standard = services.rates.standard(session, organization_id)
    if as_json:
        common.print_json(shown_standard(standard))
        return
    origin = "as installed" if standard.chosen is None else "as the organization has chosen"
    click.echo(f"{standard.now} requests a minute, {origin}.")


COMMANDS = (default_limit,)
