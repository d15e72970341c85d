"""Bodies for subscriptions that do without some parts, frozen like the whole one.

Each is cut from the whole when its event is first due to such a subscription, and what is sent
again later is the same, byte for byte, unless its subscription does without more by then (see
`narrowing`).
"""

from collections.abc import Collection, Iterable
from uuid import UUID

from sqlalchemy.orm import Session

from keystore.db import inserting
from webhooks.catalog import EventType
from webhooks.models import EventVariant


def freeze(
    session: Session,
    event_type: EventType,
    events: Iterable[tuple[UUID, bytes]],
    choices: Collection[str],
) -> None:
    """Write what these events are for some choices, where they lose anything by them.

    events: ids and whole bodies. choices: as `Subscription.without` has them. Those that are there
    already stay as they are. In the caller's write transaction.
    """
    keep(
        session,
        [
            (event_id, without, body)
            for event_id, whole in events
            for without in choices
            if (body := event_type.cut(whole, without)) is not None
        ],
    )


def keep(session: Session, bodies: Iterable[tuple[UUID, str, bytes]]) -> None:
    """Write bodies by event and choice; in one order, so that two who do so wait in no circle."""
    rows = [
        {"event_id": event_id, "without": without, "body": body}
        for event_id, without, body in sorted(bodies)
    ]
    if rows:
        insert = inserting(session.get_bind().dialect, EventVariant)
        session.execute(insert.on_conflict_do_nothing(), rows)
