"""What the commands on keys share: which key is meant, and how it is shown."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import click

from connector.api.key_shapes import shown_key
from connector.app import Parts
from connector.cli import common
from connector.meetings import moments
from keystore.inventory import Item
from keystore.keys import Issued
from keystore.models import Key, Organization
from keystore.rotation import KeyState
from keystore.scopes import PRESETS, DataScope

KEY = "KEY"  # how a command's help calls its first argument: name, Client Key or id

key_argument = click.argument("key", metavar=KEY)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for a program.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")
scope_option = click.option(
    "--scope", "names", multiple=True, metavar="SCOPE", help="May be given repeatedly."
)
preset_option = click.option(
    "--preset", type=click.Choice(list(PRESETS)), help="All scopes that one kind of work needs."
)
data_option = click.option(
    "--data",
    type=click.Choice([one.value for one in DataScope if one is not DataScope.LEGACY]),
    help="Whose meetings it sees, and whether private ones too.",
)
owner_option = click.option(
    "--owner", metavar="EMAIL", help="Whose, for the two data scopes of one person."
)


class Moment(click.ParamType[datetime]):
    """A date, which means its first moment, or a date-time; UTC unless it says otherwise."""

    name = "when"

    def convert(
        self, value: Any, _param: click.Parameter | None, _context: click.Context | None
    ) -> datetime:
        """Read it; raises BadParameter."""
        try:
            return value if isinstance(value, datetime) else moments.window_start(value)
        except ValueError as error:
            raise click.BadParameter(str(error)) from error


class Desk:
    """One organization's keys, as the person at the shell finds them."""

    def __init__(self, organization: str | None) -> None:
        self.parts: Parts = common.this_installation()
        self.organization: Organization = common.whose(self.parts, organization)

    def items(self, state: KeyState | None = None) -> list[Item]:
        """Return the keys in a state, or all that are not deleted; newest first."""
        with self.parts.services.db.session() as session:
            page = self.parts.services.inventory.page(
                session,
                self.organization.id,
                actor=common.actor(),
                state=state,
                page_size=1_000_000,
            )
        return list(page.items)

    def pick(self, wanted: str, *, deleted: bool = False) -> Item:
        """Return the key that somebody means by its name, Client Key or id.

        A deleted one is found by the latter two, as another may have its name by now.
        """
        live = self.items()
        gone = self.items(KeyState.DELETED) if deleted else []
        for item in [*live, *gone]:
            if wanted in {item.key.client_key, str(item.key.id)}:
                return item
        # Names come last: somebody may have named a key like another one's Client Key.
        for item in live:
            if wanted == item.key.name:
                return item
        raise click.ClickException(
            f"there is no key {wanted!r}; `keyhook keys list` shows those there are"
        )

    def change(self, method: Callable[..., Key], wanted: str, **values: Any) -> Item:
        """Call a service for a key; return it as it is then."""
        return self.item(self.act(method, wanted, **values))

    def act(self, method: Callable[..., Any], wanted: str, **values: Any) -> Any:
        """Call a service for a key; return what it returns."""
        picked = self.pick(wanted)
        with self.parts.services.db.session() as session:
            return method(
                session,
                picked.key.id,
                organization_id=self.organization.id,
                actor=common.actor(),
                **values,
            )

    def item(self, key: Key) -> Item:
        """Return what is to be shown of a key."""
        with self.parts.services.db.session() as session:
            return self.parts.services.inventory.item(session, key)

    def person(self, email: str | None) -> UUID | None:
        """Return who has this e-mail address."""
        if email is None:
            return None
        with self.parts.services.db.session() as session:
            person = self.parts.services.accounts.by_email(session, email)
        if person is None or person.organization_id != self.organization.id:
            raise click.ClickException(f"there is nobody with the address {email!r}")
        return person.id


def granted(names: tuple[str, ...], preset: str | None) -> frozenset[str] | None:
    """Return the scopes that were asked for, by name or preset; None when none were."""
    if preset is not None:
        return PRESETS[preset].operations | frozenset(names)
    return frozenset(names) if names else None


def tell(item: Item, as_json: bool, sentence: str) -> None:
    """Say what was done: a sentence for a person, the key for a program."""
    if as_json:
        common.print_json(shown_key(item))
    else:
        click.echo(sentence)


def reveal(desk: Desk, issued: Issued, as_json: bool) -> None:
    """Print the secret; standard output is the one place that gets to see it."""
    secret = issued.client_secret.reveal()
    if as_json:
        common.print_json(shown_key(desk.item(issued.key)) | {"client_secret": secret})
        return
    click.echo(f"Client Key     {issued.key.client_key}")
    click.echo(f"Client Secret  {secret}")
    click.echo("The secret is not kept and will not be shown again.", err=True)


def print_members(members: dict[str, Any]) -> None:
    """Print an object for a person, a line for each member that has a value."""
    for name, value in members.items():
        text = " ".join(value) if isinstance(value, list) else value
        if text not in {None, ""}:
            click.echo(f"{name.replace('_', ' ').capitalize():<18}{text}")
