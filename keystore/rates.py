"""How often keys may call, and who says so: limits, and spikes that are planned ahead.

A spike is a window of time with a higher limit. Where several overlap the highest counts; they do
not add up. Nothing runs when one begins or ends: who counts a request looks (see keystore.limits).
What was used in a spike still counts after its end, for the minute that any request counts.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from keystore import audit, held, ownership
from keystore.audit import Actor
from keystore.clock import Clock, rising
from keystore.db import writing
from keystore.errors import BadLimit, BadSpike, SpikeNotFound
from keystore.limit_models import MOST_PLANNED, REASON_LENGTH, Spike
from keystore.models import Key, Organization

LONGEST = timedelta(days=31)


@dataclass(frozen=True)
class Rate:
    """What a key may do in a minute."""

    now: int
    default: int  # if it had no limit of its own
    planned: Sequence[Spike]  # that are not over, the first to begin first


@dataclass(frozen=True)
class Standard:
    """What an organization's keys without a limit of their own may do in a minute."""

    chosen: int | None  # by its admins
    installed: int  # if they have chosen nothing

    @property
    def now(self) -> int:
        """What counts of the two."""
        return self.chosen or self.installed


class Rates:
    """The limits of all organizations' keys. Only admins change them, also those of members' keys.

    Whatever else is said, a change raises KeyNotFound for a key that is not the organization's,
    and BeyondMembers for somebody who is no admin.
    """

    def __init__(self, clock: Clock, *, default: int, ceiling: int) -> None:
        """Both in requests a minute: for keys of whom nobody has said anything; for people."""
        self._clock = rising(clock)
        self.default = default
        self.ceiling = ceiling

    @audit.refusals("key.limit_changed")
    def set_limit(
        self,
        session: Session,
        key_id: UUID,
        *,
        organization_id: UUID,
        limit: int | None,
        actor: Actor,
    ) -> Key:
        """Give a key a limit of its own, or with None the organization's.

        What it has used counts against the new one. Raises BadLimit, KeyExpired.
        """
        self.check(limit)
        with writing(session):
            key = held.usable(session, key_id, organization_id, actor)
            ownership.check_limit(session, actor, organization_id, limit)
            before, key.rate_limit = key.rate_limit, limit
            if before != limit:
                held.record(
                    session,
                    self._clock.now(),
                    actor,
                    "key.limit_changed",
                    key,
                    before={"rate_limit": before},
                    after={"rate_limit": limit},
                )
        return key

    @audit.refusals("organization.limit_changed", of="organization")
    def set_default(
        self, session: Session, *, organization_id: UUID, limit: int | None, actor: Actor
    ) -> Organization:
        """Say what the organization's keys without a limit of their own have; None: as installed.

        Raises BadLimit.
        """
        self.check(limit)
        with writing(session):
            organization = ownership.hold_as_admin(session, actor, organization_id)
            before, organization.rate_limit = organization.rate_limit, limit
            if before != limit:
                audit.record(
                    session,
                    self._clock.now(),
                    actor,
                    "organization.limit_changed",
                    organization_id=organization_id,
                    subject_type="organization",
                    subject_id=organization_id,
                    before={"rate_limit": before},
                    after={"rate_limit": limit},
                )
        return organization

    @audit.refusals("key.spike_planned")
    def plan(
        self,
        session: Session,
        key_id: UUID,
        *,
        organization_id: UUID,
        starts_at: datetime,
        ends_at: datetime,
        limit: int,
        reason: str,
        actor: Actor,
        created_by: UUID | None = None,
    ) -> Spike:
        """Let a key have a higher limit from one moment until right before another.

        One that should have begun already begins now. Raises BadSpike, KeyExpired.
        """
        now = self._clock.now()
        starts_at, reason = max(starts_at, now), _clean(reason)
        self._check_spike(starts_at, ends_at, limit)
        with writing(session):
            key = held.usable(session, key_id, organization_id, actor)
            ownership.check_limit(session, actor, organization_id, limit)
            if len(_planned(session, key_id, now)) >= MOST_PLANNED:
                raise BadSpike(
                    "starts_at", f"This key has {MOST_PLANNED} planned spikes; cancel one first."
                )
            if limit <= self.base(key, session.get_one(Organization, organization_id)):
                raise BadSpike(
                    "rate_limit", "A spike must be higher than the limit the key has anyway."
                )
            spike = Spike(
                id=uuid4(),
                key_id=key_id,
                starts_at=starts_at,
                ends_at=ends_at,
                rate_limit=limit,
                reason=reason,
                created_at=now,
                created_by=created_by,
            )
            session.add(spike)
            key.spikes_until = max(ends_at, key.spikes_until or ends_at)
            held.record(session, now, actor, "key.spike_planned", key, after=_told(spike))
        return spike

    @audit.refusals("key.spike_cancelled")
    def cancel(
        self,
        session: Session,
        key_id: UUID,
        *,
        organization_id: UUID,
        spike_id: UUID,
        actor: Actor,
    ) -> Spike:
        """Drop a planned spike, or end one that is running now.

        Raises SpikeNotFound for one that is over or was cancelled before.
        """
        now = self._clock.now()
        with writing(session):
            key = held.to_change(session, key_id, organization_id, actor)
            if actor.kind != "key":
                ownership.check_admin(session, actor, organization_id)
            planned = {spike.id: spike for spike in _planned(session, key_id, now)}
            spike = planned.pop(spike_id, None)
            if spike is None:
                raise SpikeNotFound
            spike.cancelled_at = now
            key.spikes_until = max((one.ends_at for one in planned.values()), default=None)
            held.record(session, now, actor, "key.spike_cancelled", key, before=_told(spike))
        return spike

    def of(self, session: Session, key_id: UUID, *, organization_id: UUID, actor: Actor) -> Rate:
        """Return what a key may do now, and what is planned. Raises KeyNotFound."""
        now = self._clock.now()
        with session.begin():
            key = held.live(session, key_id, organization_id, actor)
            organization = session.get_one(Organization, organization_id, populate_existing=True)
            planned = _planned(session, key_id, now)
        running = [one.rate_limit for one in planned if one.starts_at <= now]
        return Rate(
            max([self.base(key, organization), *running]),
            organization.rate_limit or self.default,
            planned,
        )

    def standard(self, session: Session, organization_id: UUID) -> Standard:
        """Return what the organization's keys without a limit of their own may do."""
        with session.begin():
            organization = session.get_one(Organization, organization_id, populate_existing=True)
            return Standard(organization.rate_limit, self.default)

    def base(self, key: Key, organization: Organization) -> int:
        """Return what a key may do in a minute without any spike."""
        return key.rate_limit or organization.rate_limit or self.default

    def check(self, limit: int | None) -> None:
        """Refuse what is no limit for a key. Raises BadLimit."""
        if limit is not None and not 1 <= limit <= self.ceiling:
            raise BadLimit(self._range())

    def _range(self) -> str:
        return f"Give a number from 1 to {self.ceiling:,} requests a minute."

    def _check_spike(self, starts_at: datetime, ends_at: datetime, limit: int) -> None:
        if not 1 <= limit <= self.ceiling:
            raise BadSpike("rate_limit", self._range())
        if ends_at <= starts_at:
            raise BadSpike("ends_at", "A spike must end after it begins, and in the future.")
        if ends_at - starts_at > LONGEST:
            raise BadSpike(
                "ends_at", f"A spike may last {LONGEST.days} days; for longer, change the limit."
            )


def _planned(session: Session, key_id: UUID, now: datetime) -> Sequence[Spike]:
    return session.scalars(
        select(Spike)
        .where(Spike.key_id == key_id, Spike.cancelled_at.is_(None), Spike.ends_at > now)
        .order_by(Spike.starts_at, Spike.ends_at)
    ).all()


def _clean(reason: str) -> str:
    """Return a reason that fits into one line of a table; raises BadSpike without one."""
    reason = unicodedata.normalize("NFC", " ".join(reason.split()))
    unseen = any(unicodedata.category(character)[0] == "C" for character in reason)
    if not reason or len(reason) > REASON_LENGTH or unseen:
        raise BadSpike("reason", f"Give a reason of 1 to {REASON_LENGTH} visible characters.")
    return reason


def _told(spike: Spike) -> dict[str, object]:
    """Return a spike for the audit."""
    return {
        "starts_at": spike.starts_at.isoformat(),
        "ends_at": spike.ends_at.isoformat(),
        "rate_limit": spike.rate_limit,
        "reason": spike.reason,
    }
