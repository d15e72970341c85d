"""How values read on a page."""

from datetime import UTC, datetime

from flask import Flask
from markupsafe import Markup


def init_app(app: Flask) -> None:
    """Offer the filters to every template."""
    app.add_template_filter(moment)
    app.add_template_filter(minute)


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
    return Markup('<time datetime="{}">{} {:%b %Y, %H:%M} UTC</time>').format(
        at.isoformat(timespec="seconds"), at.day, at
    )
