"""When a key was last used, with which secret and from where; how often in the last days.

A request only leaves a note in memory. The notes are written at most once a minute for each secret,
all together, by whoever carries them (a thread beside the server), so that no request waits for
the write and none fails when it cannot be made. Failed requests leave no note.
"""

import logging
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from keystore import audit
from keystore.clock import Clock
from keystore.db import Database, inserting, writing
from keystore.models import AGENT_LENGTH, KeyDay, Secret, SecretUse
from keystore.verification import VerifiedKey

EVERY = timedelta(minutes=1)
FLUSH_SECONDS = 5.0  # how long a note waits for company
DAYS = 7

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a secret."""

    generation: int
    at: datetime
    address: str | None
    agent: str | None


class Uses:
    """The notes of one process, and what all processes have written."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._noted: dict[int, tuple[datetime, str | None, str | None]] = {}
        self._written: dict[int, datetime] = {}
        self._counted: Counter[tuple[UUID, date]] = Counter()

    def note(self, key: VerifiedKey, *, address: str | None, agent: str | None) -> None:
        """Remember one request that a key made; costs no database."""
        now = self._clock.now()
        with self._lock:
            self._counted[key.key_id, now.date()] += 1
            written = self._written.get(key.secret_id)
            if written is None or now - written >= EVERY:
                self._noted[key.secret_id] = (now, address, agent)

    def flush(self, db: Database) -> None:
        """Write what was noted; what cannot be written now is kept for the next time."""
        with self._lock:
            noted, self._noted = self._noted, {}
            counted, self._counted = self._counted, Counter()
        if not noted and not counted:
            return
        try:
            with db.session() as session, writing(session):
                for secret_id, (at, address, agent) in sorted(noted.items()):
                    _write_use(session, secret_id, at, address, agent)
                for (key_id, day), requests in sorted(counted.items()):
                    _write_count(session, key_id, day, requests)
        except SQLAlchemyError as error:
            log.warning("Uses were not written and will be with the next ones: %s", error)
            with self._lock:
                self._noted = noted | self._noted
                self._counted.update(counted)
            return
        with self._lock:
            self._written |= {secret_id: at for secret_id, (at, _, _) in noted.items()}

    def run_forever(self, db: Database, stop: threading.Event) -> None:
        """Write now and then until told to stop, and once more at the end."""
        while not stop.wait(FLUSH_SECONDS):
            self.flush(db)
        self.flush(db)

    def of_key(self, session: Session, key_id: UUID) -> Sequence[Use]:
        """Return the last use of each of a key's secrets, the newest first."""
        with session.begin():
            rows = session.execute(
                select(Secret.generation, SecretUse.used_at, SecretUse.address, SecretUse.agent)
                .join(Secret, Secret.id == SecretUse.secret_id)
                .where(Secret.key_id == key_id)
                .order_by(SecretUse.used_at.desc())
            )
            return [Use(row.generation, row.used_at, row.address, row.agent) for row in rows]

    def last(self, session: Session, key_ids: Sequence[UUID]) -> Mapping[UUID, datetime]:
        """Return when each of these keys was last used; keys without any use are left out."""
        with session.begin():
            rows = session.execute(
                select(Secret.key_id, func.max(SecretUse.used_at).label("at"))
                .join(Secret, Secret.id == SecretUse.secret_id)
                .where(Secret.key_id.in_(key_ids))
                .group_by(Secret.key_id)
            )
            return {row.key_id: row.at for row in rows}

    def last_week(self, session: Session, key_id: UUID) -> int:
        """Return how many requests a key made today and on the six days before."""
        since = self._clock.now().date() - timedelta(days=DAYS - 1)
        with session.begin():
            counted = session.scalar(
                select(func.sum(KeyDay.requests)).where(
                    KeyDay.key_id == key_id, KeyDay.day >= since
                )
            )
        return int(counted or 0)


def _write_use(
    session: Session, secret_id: int, at: datetime, address: str | None, agent: str | None
) -> None:
    """Insert or move forward, never back: another process may have written a later one."""
    agent = audit.storable(agent)[:AGENT_LENGTH] if agent else None
    values = {"used_at": at, "address": address, "agent": agent}
    session.execute(
        inserting(session.get_bind().dialect, SecretUse)
        .values(secret_id=secret_id, **values)
        .on_conflict_do_update(
            index_elements=[SecretUse.secret_id], set_=values, where=SecretUse.used_at < at
        )
    )


def _write_count(session: Session, key_id: UUID, day: date, requests: int) -> None:
    session.execute(
        inserting(session.get_bind().dialect, KeyDay)
        .values(key_id=key_id, day=day, requests=requests)
        .on_conflict_do_update(
            index_elements=[KeyDay.key_id, KeyDay.day],
            set_={"requests": KeyDay.requests + requests},
        )
    )
