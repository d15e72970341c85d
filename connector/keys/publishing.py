"""What happens to keys, told to subscribers; in the transaction in which it happens."""

from sqlalchemy.orm import Session

from connector.keys import events
from keystore.key_events import KeyEvent
from keystore.models import User
from webhooks import audiences, outbox


def publish(session: Session, event: KeyEvent) -> None:
    """Publish an event, as a `keystore.key_events.OnEvent`.

    Which data a subscriber's key sees is of no matter, but a personal one hears of nobody else's
    keys. Earlier events go to whoever the key belongs to by now.
    """
    key = event.key
    owner = None if key.owner_id is None else session.get(User, key.owner_id)
    # Not the bare id: products choose the ids of their meetings, which are subjects, too.
    subject = f"key:{key.id}"
    audience = audiences.show_to(
        session,
        organization_id=key.organization_id,
        subject=subject,
        people=() if owner is None else (owner.email,),
        private=False,
    )
    outbox.publish(
        session,
        organization_id=key.organization_id,
        event_type=events.event_type(event),
        body=events.body(event, None if owner is None else owner.email),
        subject=subject,
        audience=audience,
        now=event.at,
    )
