"""The one declaration of what can be connected, in no platform's words.

`describe` turns the catalogue's event types and the meeting's shape into a `Spec`. Every platform
is emitted from that value, so a trigger, search or action is said once, here.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from connector.operations import (
    Action,
    Auth,
    Call,
    Given,
    Held,
    Input,
    Item,
    Link,
    Search,
    Spec,
    SpecError,
    Target,
    Trigger,
)
from connector.shapes import outputs
from webhooks.catalog import EventType

__all__ = ["Shape", "Spec", "SpecError", "describe"]

_BASE_URL = re.compile(
    r"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~/%-]*)?\Z"
)


@dataclass(frozen=True, slots=True)
class Shape:
    """JSON Schema and one example of a resource that the API answers with."""

    schema: Mapping[str, Any]
    sample: Mapping[str, Any]


NAME = "Keyhook"
DESCRIPTION = (
    "Keyhook is a service that hands meetings, their notes and their outcomes to the tools "
    "that a team works with."
)

# Event type -> noun, and the end of the sentence "Starts when ...".
_OFFERED = {
    "new_conversation": ("Conversation", "the notes of a meeting or call are ready"),
    "MEETING_BOOKED_VIA_SCHEDULER": ("Booking", "somebody books a meeting on a scheduling page"),
    "MEETING_BOOKED_VIA_SCHEDULER_CANCELED": ("Booking", "a booked meeting is canceled"),
    "MEETING_BOOKED_VIA_SCHEDULER_RESCHEDULED": (
        "Booking",
        "a booked meeting is moved to another time",
    ),
}


def describe(
    event_types: Iterable[EventType],
    *,
    meeting: Shape,
    base_url: str,
    name: str = NAME,
    description: str = DESCRIPTION,
) -> Spec:
    """Build the declaration from the event types of the catalogue and the shape of a meeting.

    Raises `SpecError` for a base URL that is not http(s)://host[:port][/path], and for an
    offered event type that the catalogue lacks.
    """
    base_url = _checked_base_url(base_url)
    known = {event_type.name: event_type for event_type in event_types}
    missing = sorted(set(_OFFERED) - set(known))
    if missing:
        raise SpecError(f"The catalogue has no event type {', '.join(missing)}.")
    item = Item(outputs(meeting.schema), meeting.sample)
    return Spec(
        name=name,
        description=description,
        base_url=base_url,
        auth=_auth(base_url),
        triggers=tuple(_trigger(known[event_name]) for event_name in _OFFERED),
        searches=(_find_meeting(item),),
        actions=(_set_meeting_outcome(item),),
    )


def _auth(base_url: str) -> Auth:
    both_halves = r"^[a-z0-9]{10,}$"
    return Auth(
        fields=(
            Input(
                "client_key",
                "Client Key",
                "The public half of a key. You can copy it again from the list at any time.",
                required=True,
                pattern=both_halves,
            ),
            Input(
                "client_secret",
                "Client Secret",
                "The secret half, shown once, when the key is added or regenerated.",
                kind="secret",
                required=True,
                pattern=both_halves,
            ),
        ),
        found_at=Link(
            "Settings → Organization → Developer", f"{base_url}/settings/organization/developer/"
        ),
        authorization="Bearer {client_key}:{client_secret}",
        test=Call("GET", "/v1/me/"),
        label="{organization_name} — {key_name}",
    )


def _trigger(event_type: EventType) -> Trigger:
    noun, when = _OFFERED[event_type.name]
    return Trigger(
        key=re.sub(r"\W", "_", event_type.name).lower(),
        title=event_type.title,
        noun=noun,
        when=when,
        item=Item(outputs(event_type.schema), event_type.sample),
        subscribe=Call(
            "POST",
            "/v1/webhooks/",
            body={"event_type": event_type.name, "target_url": Target()},
        ),
        unsubscribe=Call("DELETE", "/v1/webhooks/{id}/", segments={"id": Held("id")}),
        samples=Call(
            "GET", "/v1/events/{event_type}/samples/", segments={"event_type": event_type.name}
        ),
    )


def _find_meeting(item: Item) -> Search:
    return Search(
        key="find_meeting",
        title="Find Meeting",
        noun="Meeting",
        summary="Finds the latest meeting of an attendee within a span of time.",
        inputs=(
            Input(
                "attendee_email",
                "Attendee Email",
                "The address of anyone who was invited, the organizer too.",
                kind="email",
                required=True,
            ),
            Input(
                "from_date",
                "From",
                "The earliest start. When left empty: 90 days ago.",
                kind="datetime",
                default=timedelta(days=-90),
            ),
            Input(
                "to_date",
                "To",
                "The latest start. When left empty: now.",
                kind="datetime",
                default=timedelta(),
            ),
        ),
        call=Call(
            "GET",
            "/v1/meetings/",
            query={
                "attendee_emails": Given("attendee_email"),
                "from_date": Given("from_date"),
                "to_date": Given("to_date"),
                "o": "-start_at",
                "include_crm_associations": "true",
            },
        ),
        item=item,
    )


def _set_meeting_outcome(item: Item) -> Action:
    return Action(
        key="set_meeting_outcome",
        title="Set Meeting Outcome",
        noun="Meeting",
        summary="Sets the outcome of a meeting.",
        inputs=(
            Input(
                "meeting_uuid",
                "Meeting",
                "The UUID of the meeting, from a trigger or from a search for it.",
                kind="uuid",
                required=True,
                found_by=("find_meeting", "uuid"),
            ),
            Input(
                "outcome", "Outcome", "The outcome's name, such as `Demo booked`.", required=True
            ),
        ),
        call=Call(
            "PATCH",
            "/v1/meetings/{uuid}/",
            segments={"uuid": Given("meeting_uuid")},
            body={"outcome": {"label": Given("outcome")}},
        ),
        item=item,
    )


def _checked_base_url(base_url: str) -> str:
    if not _BASE_URL.match(base_url):
        raise SpecError(
            f"The base URL must be http(s)://host with at most a port and a path, not {base_url!r}."
        )
    return base_url.rstrip("/")
