"""Bodies for subscriptions that do without some parts, frozen like the whole one.

Each is cut from the whole when its event is first due to such a subscription, and what is sent
again later is the same, byte for byte, whatever the subscription has chosen since.
"""

from collections.abc import Collection, Iterable
from uuid import UUID

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

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
    rows = [
        {"event_id": event_id, "without": without, "body": body}
        for event_id, whole in events
        for without in choices
        if (body := event_type.cut(whole, without)) is not None
    ]
    if rows:
        new = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
        session.execute(new(EventVariant).on_conflict_do_nothing(), rows)
