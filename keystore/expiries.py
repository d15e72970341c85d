"""Telling of keys that come to their end: 30, 7 and 1 days before, and when it has come.

Every process looks for what is due now and again; each notice is given once. Whoever was away for
a while tells the nearest threshold alone, not those that have gone by.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from keystore import expiry, expiry_mail, generations, held, key_events, watches
from keystore.audit import SYSTEM
from keystore.clock import Clock, rising
from keystore.db import writing
from keystore.generations import ALIVE
from keystore.key_events import Expired, Expiring, OnEvent
from keystore.mail import Mails
from keystore.models import Key, Organization
from keystore.notice_models import ExpiryWatch

#: In one transaction, so that nobody waits long for it; the others' turn is at the next look.
MOST_AT_ONCE = 200


class Expiries:
    """The expiries of all organizations' keys."""

    def __init__(
        self, clock: Clock, mails: Mails, base_url: str, *, on_event: Sequence[OnEvent] = ()
    ) -> None:
        self._clock = rising(clock)
        self._mails = mails
        self._page = f"{base_url.rstrip('/')}/settings/organization/developer/"
        self._on_event = on_event

    def tell(self, session: Session) -> int:
        """Tell of all keys of which there is something to tell; return how many there were.

        Each organization has a transaction of its own, with one mail for each person.
        """
        now = self._clock.now()
        with session.begin():
            due = session.scalars(
                select(Key.organization_id)
                .join(ExpiryWatch, ExpiryWatch.key_id == Key.id)
                .where(ExpiryWatch.due_at <= now)
                .distinct()
            ).all()
        return sum(self._tell_of(session, organization_id, now) for organization_id in due)

    def soon(self, key: Key) -> str | None:
        """Say when a key expires, if that is near: “in 5 days”."""
        now = self._clock.now()
        if key.expires_at is None or not expiry.is_near(key.expires_at, now):
            return None
        return expiry.in_words(key.expires_at - now)

    def _tell_of(self, session: Session, organization_id: UUID, now: datetime) -> int:
        with writing(session):
            # One process at a time, lest two write half a mail each; before any key is held, as
            # everybody does who wants both.
            alone = select(Organization.id).where(Organization.id == organization_id)
            alone = alone.with_for_update(key_share=True, skip_locked=True)
            if session.scalars(alone).one_or_none() is None:
                return 0
            due = _due(session, organization_id, now)
            for key in due:
                self._tell_one(session, key, now)
            if due:
                expiry_mail.post(
                    session, self._mails, organization_id, due, now=now, page=self._page
                )
        return len(due)

    def _tell_one(self, session: Session, key: Key, now: datetime) -> None:
        watches.keep(session, key.id, expiry.ahead(key.expires_at, now))
        days = None if key.expires_at is None else expiry.reached(key.expires_at, now)
        if days is None:
            return
        if days != expiry.EXPIRED:
            key_events.tell(self._on_event, session, Expiring(key, now, days))
            return
        # What was told to have ended has ended, also for a process whose clock is set back.
        generations.kill(session, key.id, now, *ALIVE)
        held.record(session, now, SYSTEM, "key.expired", key)
        key_events.tell(self._on_event, session, Expired(key, now))


def _due(session: Session, organization_id: UUID, now: datetime) -> Sequence[Key]:
    """Hold the keys of which there is something to tell, and return them."""
    is_due = select(ExpiryWatch.key_id).where(ExpiryWatch.due_at <= now)
    keys = session.scalars(
        select(Key)
        .where(Key.organization_id == organization_id, Key.id.in_(is_due))
        .order_by(Key.id)
        .limit(MOST_AT_ONCE)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).all()
    # Once more: the expiry of one may have been changed while we waited for it.
    still = set(session.scalars(is_due.where(ExpiryWatch.key_id.in_([key.id for key in keys]))))
    return [key for key in keys if key.id in still]
