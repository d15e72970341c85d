"""What happens to subscriptions, told to subscribers; in the transaction in which it happens."""

from sqlalchemy.orm import Session

from connector.subscriptions import events
from webhooks import outbox
from webhooks.health import Ailing


def publish(session: Session, ailing: Ailing) -> None:
    """Publish that a subscription fails or was switched off, as a `webhooks.health.OnAiling`.

    It shows nobody's data, so every key that may manage subscriptions may hear of it.
    """
    outbox.publish(
        session,
        organization_id=ailing.subscription.organization_id,
        event_type=events.event_type(events.DISABLED if ailing.is_switched_off else events.FAILING),
        body=events.body(ailing),
        subject=f"subscription:{ailing.subscription.id}",
        audience=None,
        now=ailing.at,
    )
