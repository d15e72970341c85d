"""The audit log from the shell: check it, export it."""

import click

from connector.cli import common
from keystore import trail
from keystore.db import GREATEST
from keystore.models import Organization

BROKEN = 1  # the exit code; 2 is for bad use


def anchor(text: str) -> tuple[int, str]:
    """Return a row's number and digest, as `keyhook audit verify` prints them: `7:5d41...`."""
    seq, _, digest = text.partition(":")
    if not (seq.isdecimal() and int(seq) and digest):
        raise click.BadParameter("give a row's number and digest, as in 7:5d41...")
    return int(seq), digest.lower()


@click.group(epilog="Example: keyhook audit verify")
def audit() -> None:
    """Check and export the audit log."""


@audit.command(epilog="Example: keyhook audit verify --organization Northwind")
@click.option("--organization", metavar="NAME", help="Whose; all organizations' when left out.")
@click.option(
    "--expect",
    "anchors",
    type=anchor,
    multiple=True,
    metavar="NUMBER:DIGEST",
    help="A row as noted earlier and elsewhere; may be given repeatedly.",
)
@click.pass_context
def verify(
    context: click.Context, organization: str | None, anchors: tuple[tuple[int, str], ...]
) -> None:
    """Tell whether the log is as it was written; exit code 1 and the place if not.

    Note the number and digest it prints in a place of your own: with --expect you know later that
    nobody wrote the whole log anew.
    """
    parts = common.this_installation()
    checked: list[Organization]
    if organization is not None or anchors:
        checked = [common.whose(parts, organization)]
    else:
        with parts.services.db.session() as session:
            checked = list(parts.services.accounts.organizations(session))
    is_whole = True
    for one in checked:
        with parts.services.db.session() as session:
            verdict = trail.verify(session, one.id, dict(anchors))
        if verdict.broken is None:
            click.echo(f"{one.name}: whole, {verdict.length}:{verdict.digest}")
        else:
            is_whole = False
            click.echo(f"{one.name}: broken at {verdict.broken.seq}: {verdict.broken.why}")
    if not is_whole:
        context.exit(BROKEN)


@audit.command(epilog="Example: keyhook audit export --format jsonl > audit.jsonl")
@click.option("--format", "form", type=click.Choice(["csv", "jsonl"]), required=True)
@click.option(
    "--after",
    type=click.IntRange(0, GREATEST),
    default=0,
    help="Begin after the row of this number; the parts put together are the whole.",
)
@click.option("--limit", type=click.IntRange(1, GREATEST), help="Stop after so many rows.")
@common.organization_option
@common.piped
def export(form: trail.Format, after: int, limit: int | None, organization: str | None) -> None:
    """Print the log to standard output, oldest row first."""
    parts = common.this_installation()
    owner = common.whose(parts, organization)
    wanted = trail.Filter(after=after)
    for line in trail.export(parts.services.db.session, owner.id, form, wanted, limit=limit):
        click.echo(line, nl=False)
