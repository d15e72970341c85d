"""Which keys' expiry is to be told of when; all of it with the key's row held."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.orm import Session

from keystore.notice_models import ExpiryWatch


def keep(session: Session, key_id: UUID, due_at: datetime | None) -> None:
    """Say when there will be something to tell next, instead of what was said before."""
    if due_at is None:
        session.execute(delete(ExpiryWatch).where(ExpiryWatch.key_id == key_id))
    else:
        session.merge(ExpiryWatch(key_id=key_id, due_at=due_at))
        session.flush()
