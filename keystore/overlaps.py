"""Writing down that overlaps are over, also those of which nobody shows the former secret any more.

Until that is written, the clock alone says that such a secret is dead; one that is set back, or
another machine's that is behind, would let it in again.
"""

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from keystore.clock import Clock, rising
from keystore.db import writing
from keystore.models import Secret
from keystore.rotation import SecretState

#: In one transaction, so that nobody waits long for it; the others' turn is at the next look.
MOST_AT_ONCE = 200


class Overlaps:
    """Those of all organizations' keys."""

    def __init__(self, clock: Clock) -> None:
        self._clock = rising(clock)

    def end(self, session: Session) -> int:
        """End the retiring secrets whose moment has passed; return how many there were."""
        now = self._clock.now()
        over = (
            select(Secret.id)
            .where(Secret.state == SecretState.RETIRING, Secret.until <= now)
            .limit(MOST_AT_ONCE)
        )
        with session.begin():
            if session.scalars(over).first() is None:
                return 0
        with writing(session):
            # Whoever has one of them under their hands ends it, or leaves it to the next look.
            ended = session.scalars(over.with_for_update(skip_locked=True)).all()
            session.execute(
                update(Secret)
                .where(Secret.id.in_(ended))
                .values(state=SecretState.DEAD, died_at=now)
            )
        return len(ended)
