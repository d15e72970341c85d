"""How values read on a page."""

from datetime import UTC, datetime

from flask import Flask
from markupsafe import Markup


def init_app(app: Flask) -> None:
    """Offer the filters to every template."""
    app.add_template_filter(moment)
    app.add_template_filter(minute)
    app.add_template_filter(browser)


def moment(at: datetime) -> Markup:
    """Return a `<time>` element with the day; the minute, in UTC, shows when pointed at."""
    at = at.astimezone(UTC)
    day = f"{at.day} {at:%b %Y}"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        at.isoformat(timespec="seconds"), f"{day}, {at:%H:%M} UTC", day
    )


def minute(at: datetime) -> Markup:
    """Return a `<time>` element with the day and the minute, in UTC."""
    at = at.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        at.isoformat(timespec="seconds"), f"{at.day} {at:%b %Y, %H:%M} UTC"
    )


#: What a browser's name for itself gives away, the telling ones first: Edge says Chrome, too.
BROWSERS = {"Edg": "Edge", "OPR": "Opera", "Firefox": "Firefox", "Chrome": "Chrome"}
BROWSERS |= {"Safari": "Safari", "curl": "curl"}
SYSTEMS = {"Windows": "Windows", "Android": "Android", "iPhone": "iPhone", "iPad": "iPad"}
SYSTEMS |= {"Mac OS X": "macOS", "Linux": "Linux"}


def browser(agent: str) -> str:
    """Return a browser and its system in a person's words, or the beginning of what it says."""
    name = next((name for mark, name in BROWSERS.items() if f"{mark}/" in agent), None)
    system = next((name for mark, name in SYSTEMS.items() if mark in agent), None)
    if name is None:
        return agent[:40] or "Unknown browser"
    return f"{name} on {system}" if system else name
