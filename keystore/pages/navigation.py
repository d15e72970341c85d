"""The settings' navigation. Floors above add their pages by handing in entries at start."""

from dataclasses import dataclass
from typing import cast

from flask import Flask, current_app, request, url_for

from keystore import access

EXTENSION = "keyhook_nav"


@dataclass(frozen=True)
class NavItem:
    """One entry under Settings -> Organization -> Developer."""

    label: str
    endpoint: str
    for_members: bool = False  # who have to do with keys; admins get every entry


@dataclass(frozen=True)
class Entry:
    """A NavItem as it is shown on the page being rendered."""

    label: str
    address: str
    is_current: bool


def init_app(app: Flask) -> None:
    """Offer `visitor`, `holds_keys` and `navigation` to every template."""
    app.extensions.setdefault(EXTENSION, [])
    app.jinja_env.globals.update(
        visitor=access.visitor, holds_keys=access.holds_keys, navigation=navigation
    )


def navigation() -> list[Entry]:
    """Return the entries, with the one current that this page is, or is below of."""
    items = [NavItem("Client keys", "developer.index")]
    person = access.visitor()
    is_admin = person is not None and person.is_admin
    above = cast("list[NavItem]", current_app.extensions[EXTENSION])
    items += [item for item in above if is_admin or item.for_members]
    if is_admin:
        items += [
            NavItem("Found a key?", "leaks.index"),
            NavItem("Audit log", "audit_log.index"),
        ]
    addresses = [url_for(item.endpoint) for item in items]
    # One entry's address may begin with another's: the longest that fits is the nearest.
    around = [address for address in addresses if request.path.startswith(address)]
    nearest = max(around, key=len, default=None)
    return [
        Entry(item.label, address, is_current=address == nearest)
        for item, address in zip(items, addresses, strict=True)
    ]
