"""How often a key may call, from the shell: its limit, and spikes that are planned ahead."""

from datetime import datetime
from uuid import UUID

import click

from connector.api.key_shapes import shown_spike
from connector.cli import common
from connector.cli.key_common import Desk, Moment, json_option, key_argument, tell
from keystore.limit_models import Spike


@click.command(epilog="Example: keyhook keys limit Zapier 300")
@key_argument
@click.argument("limit", type=click.IntRange(min=1), required=False)
@click.option("--default", is_flag=True, help="Let it have the organization's limit.")
@common.organization_option
@json_option
def limit(
    key: str, limit: int | None, default: bool, organization: str | None, as_json: bool
) -> None:
    """Say how many requests a minute a key may make."""
    if default is (limit is not None):
        raise click.UsageError("give a number of requests a minute, or say --default")
    desk = Desk(organization)
    item = desk.change(desk.parts.services.rates.set_limit, key, limit=limit)
    number = f"{limit} requests a minute" if limit else "as many requests as its organization says"
    tell(item, as_json, f"{item.key.name!r} may make {number}.")


@click.command(
    epilog="Example: keyhook keys spike Zapier --until 2027-01-01T06:00:00Z --limit 3000 "
    '--reason "Import of last year"'
)
@key_argument
@click.option("--from", "start", type=Moment(), help="When it begins; now when left out.")
@click.option("--until", type=Moment(), required=True, help="When it ends.")
@click.option("--limit", type=click.IntRange(min=1), required=True, help="Requests a minute.")
@click.option("--reason", required=True, help="Why, for whoever reads it later.")
@common.organization_option
@json_option
def spike(
    *,
    key: str,
    start: datetime | None,
    until: datetime,
    limit: int,
    reason: str,
    organization: str | None,
    as_json: bool,
) -> None:
    """Plan a time with a higher limit; it begins and ends by itself."""
    desk = Desk(organization)
    services = desk.parts.services
    planned: Spike = desk.act(
        services.rates.plan,
        key,
        starts_at=start or services.clock.now(),
        ends_at=until,
        limit=limit,
        reason=reason,
    )
    _tell(planned, as_json, "is planned")


@click.command(epilog="Example: keyhook keys spikes Zapier --json")
@key_argument
@common.organization_option
@json_option
def spikes(key: str, organization: str | None, as_json: bool) -> None:
    """List the spikes of a key that are not over."""
    desk = Desk(organization)
    planned: list[Spike] = list(desk.act(desk.parts.services.rates.of, key).planned)
    if as_json:
        common.print_json([shown_spike(one) for one in planned])
        return
    common.print_table(
        ["Id", "From", "Until", "Limit", "Reason"],
        [
            [
                str(one.id),
                f"{one.starts_at:%Y-%m-%d %H:%M}",
                f"{one.ends_at:%Y-%m-%d %H:%M}",
                str(one.rate_limit),
                one.reason,
            ]
            for one in planned
        ],
    )


@click.command(epilog="Example: keyhook keys unspike Zapier 0a52f9c4-4f0e-4a0b-9d53-1b3f5f0c2a11")
@key_argument
@click.argument("spike_id", metavar="SPIKE", type=click.UUID)
@common.organization_option
@json_option
def unspike(key: str, spike_id: UUID, organization: str | None, as_json: bool) -> None:
    """Drop a planned spike, or end one that is running; SPIKE is its id."""
    desk = Desk(organization)
    cancelled: Spike = desk.act(desk.parts.services.rates.cancel, key, spike_id=spike_id)
    _tell(cancelled, as_json, "is cancelled")


def _tell(planned: Spike, as_json: bool, done: str) -> None:
    if as_json:
        common.print_json(shown_spike(planned))
        return
    click.echo(
        f"The spike to {planned.rate_limit} requests a minute from "
        f"{planned.starts_at:%Y-%m-%d %H:%M} until {planned.ends_at:%Y-%m-%d %H:%M} UTC {done}."
    )


COMMANDS = (limit, spike, spikes, unspike)
