"""How values read on a page."""

import json
import re
from datetime import UTC, datetime
from typing import Any

from flask import Flask
from markupsafe import Markup


def init_app(app: Flask) -> None:
    """Offer the filters to every template."""
    app.add_template_filter(moment)
    app.add_template_filter(minute)
    app.add_template_filter(deed)
    app.add_template_filter(reason)
    app.add_template_filter(spoken)
    app.add_template_filter(to_the_second)
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
    return Markup('<time datetime="{}">{} {:%b %Y, %H:%M} UTC</time>').format(
        at.isoformat(timespec="seconds"), at.day, at
    )


def to_the_second(at: datetime) -> Markup:
    """Return a `<time>` element with day and time, in UTC."""
    at = at.astimezone(UTC)
    return Markup('<time datetime="{}" title="UTC">{} {:%b %Y}, {:%H:%M:%S}</time>').format(
        at.isoformat(timespec="seconds"), at.day, at, at
    )


def deed(action: str) -> str:
    """Return an audit log's action in words: `key.created` is “Key created”."""
    return re.sub(r"[._]+", " ", action).capitalize()


def reason(refusal: str) -> str:
    """Return a refusal's reason in words: `NameTaken` is “name taken”."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", refusal).lower()


def spoken(value: Any) -> str:
    """Return what an audit log's detail holds, as a person would write it."""
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')}: {spoken(one)}" for name, one in value.items())
    if isinstance(value, list):
        return " ".join(map(spoken, value)) or "none"
    return value if isinstance(value, str) else json.dumps(value)


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
