"""What an organization has settled for all its keys, from the shell.

At the shell and on the page alone: no key changes what other keys are held to.
"""

import sys

import click

from connector.api.key_shapes import shown_standard
from connector.cli import common
from connector.cli.key_common import Desk, json_option
from keystore.credentials import SecretValue
from keystore.rotation import LeakPolicy


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


@click.command(epilog="Example: keyhook keys members on")
@click.argument("choice", type=click.Choice(["on", "off"]), required=False)
@common.organization_option
@json_option
def members(choice: str | None, organization: str | None, as_json: bool) -> None:
    """Show or choose whether members may have personal keys; those that there are stay."""
    desk = Desk(organization)
    services, organization_id = desk.parts.services, desk.organization.id
    allowed = desk.organization.members_make_keys if choice is None else choice == "on"
    with services.db.session() as session:
        if choice is not None:
            services.members.set_policy(
                session, organization_id=organization_id, allowed=allowed, actor=common.actor()
            )
        keys = services.members.count_keys(session, organization_id)
    if as_json:
        common.print_json({"members_make_keys": allowed, "members_keys": keys})
        return
    may = "may" if allowed else "may not"
    click.echo(f"Members {may} make personal keys; {keys} of theirs work.")


@click.command("leak-policy", epilog="Example: keyhook keys leak-policy kill")
@click.argument("policy", type=click.Choice([one.value for one in LeakPolicy]), required=False)
@common.organization_option
@json_option
def leak_policy(policy: str | None, organization: str | None, as_json: bool) -> None:
    """Show or choose what is done when a Client Secret is found in the open.

    notify: the admins are told. retire: the secret ends in a day, too. kill: it ends at once.
    """
    desk = Desk(organization)
    services, organization_id = desk.parts.services, desk.organization.id
    with services.db.session() as session:
        if policy is not None:
            services.leaks.set_policy(
                session,
                organization_id=organization_id,
                policy=LeakPolicy(policy),
                actor=common.actor(),
            )
        chosen = services.leaks.policy(session, organization_id)
    if as_json:
        common.print_json({"leak_policy": chosen})
        return
    click.echo(chosen)


@click.command(epilog="Example: git log -p | keyhook keys check")
@common.organization_option
@json_option
def check(organization: str | None, as_json: bool) -> None:
    """Look for the organization's secrets in what comes by standard input; nothing is changed.

    Ends with 1 if there is one. What is found goes on record, and no secret is shown.
    """
    if sys.stdin.isatty():
        raise click.UsageError("pipe the text in: keyhook keys check < FILE")
    # A history holds bytes of any encoding; a secret is ASCII.
    pasted = SecretValue(sys.stdin.buffer.read().decode(errors="replace"))
    desk = Desk(organization)
    leaks = desk.parts.services.leaks
    with desk.parts.services.db.session() as session:
        found = leaks.check(
            session, pasted, organization_id=desk.organization.id, actor=common.actor()
        )
    if as_json:
        common.print_json(
            [
                {
                    "key": one.key.name,
                    "client_key": one.key.client_key,
                    "found": one.what.value,
                    "generation": one.generation,
                    "state": one.state.value,
                    "until": None if one.until is None else one.until.isoformat(),
                }
                for one in found
            ]
        )
    elif not found:
        click.echo("No secret of this organization is in there.")
    for one in () if as_json else found:
        click.echo(f"{one.key.name} ({one.key.client_key}): {one.what.value}, {one.state.value}")
    if found:
        sys.exit(1)


COMMANDS = (default_limit, members, leak_policy, check)
