"""How deliveries and attempts read on a page."""

from datetime import UTC, datetime
from urllib.parse import urlsplit

from flask import Blueprint
from markupsafe import Markup

from webhooks.models import Attempt, Delivery, DeliveryState, DropReason
from webhooks.outcome import SUCCESS, Ending

_ENDINGS = {
    Ending.TIMED_OUT: "Timed out",
    Ending.UNREACHABLE: "Not reached",
    Ending.BROKEN: "Broken off",
    Ending.REFUSED: "Address refused",
    Ending.UNSENT: "Not sent",
}
_STATES = {
    DeliveryState.PENDING: "Pending",
    DeliveryState.DELIVERED: "Delivered",
    DeliveryState.FAILED: "Failed",
    DeliveryState.DROPPED: "Dropped",
}
_DROPPED = {
    DropReason.ENDED: "Its subscription ended first.",
    DropReason.SWITCHED_OFF: "Its subscription was switched off.",
    DropReason.KEY_ASLEEP: "Its subscription's key was disabled, had expired or was deleted.",
    DropReason.OWNER_LEFT: "Its subscription's key is tied to a person who has left.",
    DropReason.SCOPE_LACKING: "Its subscription's key lacked a scope that this event needs.",
    DropReason.OUT_OF_SIGHT: "Its subscription's key could not see the data that it shows.",
}


def register(blueprint: Blueprint) -> None:
    """Offer the filters to this floor's templates."""
    for word in (instant, duration, outcome, tone, state_word, host, next_step, dropped):
        blueprint.add_app_template_filter(word)


def instant(at: datetime) -> Markup:
    """Return a `<time>` element with day and time, to the second, in UTC."""
    at = at.astimezone(UTC)
    return Markup(
        '<time datetime="{}" title="{} {:%b %Y}, UTC">{} {:%b}, {:%H:%M:%S}</time>'
    ).format(at.isoformat(timespec="seconds"), at.day, at, at.day, at, at)


def duration(milliseconds: int) -> str:
    """Return `12 ms` or `3.1 s`."""
    if milliseconds < 1:
        return "under 1 ms"
    if milliseconds < 1000:  # noqa: PLR2004 - a second
        return f"{milliseconds} ms"
    return f"{milliseconds / 1000:.1f} s"


def outcome(attempt: Attempt) -> str:
    """Return what came of an attempt, in two words."""
    if attempt.outcome is Ending.ANSWERED:
        return f"HTTP {attempt.status}"
    return _ENDINGS[attempt.outcome]


def tone(attempt: Attempt) -> str:
    """Return `good` or `bad`."""
    is_good = attempt.outcome is Ending.ANSWERED and attempt.status in SUCCESS
    return "good" if is_good else "bad"


def state_word(state: DeliveryState) -> str:
    """Return a delivery's state as a word."""
    return _STATES[state]


def dropped(delivery: Delivery) -> str:
    """Return why a delivery was dropped, as a sentence."""
    return _DROPPED[delivery.dropped_because or DropReason.ENDED]


def host(url: str) -> str:
    """Return where a URL goes: its host, and its port when it names one."""
    return urlsplit(url).netloc


def next_step(delivery: Delivery, now: datetime) -> Markup:
    """Return what a pending delivery waits for."""
    if delivery.lease_until is not None and delivery.lease_until > now:
        return Markup("being sent now")
    if delivery.due_at <= now:
        return Markup("due now")
    return Markup("next try {}").format(instant(delivery.due_at))
