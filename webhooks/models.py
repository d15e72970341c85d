"""The tables of this floor: who wants which events, what happened, what has to be sent, what was.

The deliveries table is the queue. A worker takes a delivery by writing a lease into it: owner and
token say whose it is, until says when anyone may take it over. The lease has columns of its own,
apart from the due moment, so that two workers can never take one for the other.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    Uuid,
    literal_column,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from keystore.db import GROWS_FAST, Base, UtcDateTime
from keystore.models import Serial, stored_as_text
from webhooks.outcome import Ending
from webhooks.targets import MAX_LENGTH

EVENT_TYPE_LENGTH = 64
SUBJECT_LENGTH = 64
PARTS_LENGTH = 120
REASON_LENGTH = 32
OWNER_LENGTH = 80
VERIFY_LENGTH = 16
PUBLIC_KEY_LENGTH = 64
ERROR_LENGTH = 200

#: Waiting, and in nobody's hands. Spelled out wherever it is asked for, not as parameters: only so
#: do both databases see that the small indexes fit.
READY = "state = 'pending' AND lease_token IS NULL"


def _only(condition: str) -> dict[str, Any]:
    """Return what makes an index one of some rows only, on both databases."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


def _ready(name: str, which: str) -> Index:
    return Index(name, "subscription_id", "due_at", "id", **_only(f"{READY} AND {which}"))


class DeliveryState(StrEnum):
    """The life of a delivery."""

    PENDING = "pending"  # due now or later, or being sent
    DELIVERED = "delivered"  # acknowledged with a 2xx
    FAILED = "failed"  # no attempt is left, or none could help
    DROPPED = "dropped"  # there is nobody any more who may have it


class DropReason(StrEnum):
    """Why a delivery was dropped."""

    ENDED = "subscription ended"
    SWITCHED_OFF = "subscription switched off"
    # These are about the key that subscribed, at the moment of sending.
    KEY_ASLEEP = "key asleep"  # disabled, expired or deleted
    OWNER_LEFT = "owner left"
    SCOPE_LACKING = "scope lacking"
    OUT_OF_SIGHT = "out of sight"  # of its data scope


class Subscription(Base):
    """Somebody who wants some types of event at one URL. An ended one stays, for the log."""

    __tablename__ = "subscriptions"
    __table_args__ = (
        Index(
            "ix_subscriptions_active",
            "organization_id",
            sqlite_where=text("is_active = 1"),
            postgresql_where=text("is_active"),
        ),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"), index=True)
    key_id: Mapped[UUID] = mapped_column(ForeignKey("keys.id"), index=True)
    #: In the order in which they were asked for, with blanks between.
    event_types: Mapped[str] = mapped_column(Text)
    target_url: Mapped[str] = mapped_column(String(MAX_LENGTH))
    target_type: Mapped[int]
    #: The parts of payloads that it does without, sorted, with blanks between; '': it gets all.
    without: Mapped[str] = mapped_column(String(PARTS_LENGTH), default="")
    #: Header lines of its own, which may hold a credential of the receiver's; see `own_headers`.
    headers_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    #: Their names, sorted, with blanks between.
    header_names: Mapped[str] = mapped_column(Text, default="")
    #: At most so many deliveries a minute; NULL: what suits its host.
    rate: Mapped[int | None]
    #: Whether it gets only what is attributed to somebody in its teams; see SubscriptionTeam.
    by_team: Mapped[bool] = mapped_column(default=False)
    #: How whoever is at the URL was asked whether they want this; NULL: they were not.
    verify: Mapped[str | None] = mapped_column(String(VERIFY_LENGTH))
    #: What its signatures are checked with in scheme v1a; NULL: it is signed by scheme v1.
    public_key: Mapped[str | None] = mapped_column(String(PUBLIC_KEY_LENGTH))
    secret_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    #: While one secret takes another's place, both sign.
    former_secret_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    former_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: Whether events are sent: not when it has ended, nor while it is switched off.
    is_active: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: When somebody last tried it out; see `trials`.
    tried_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: Since when every attempt has failed; NULL: the last one did not, or there was none.
    failing_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: Per cent of the time for failing at which somebody was warned last.
    warned_at: Mapped[int] = mapped_column(default=0)
    #: Switched off, by its failures or by a person, until somebody switches it on again.
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    disabled_reason: Mapped[str | None] = mapped_column(String(REASON_LENGTH))
    #: Ended, for good.
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_reason: Mapped[str | None] = mapped_column(String(REASON_LENGTH))

    @property
    def types(self) -> tuple[str, ...]:
        """The event types that it wants."""
        return tuple(self.event_types.split())

    @property
    def event_type(self) -> str:
        """The first of its event types, for whoever knows of one only."""
        return self.types[0]


class SubscriptionType(Base):
    """One event type that a subscription wants; while it has not ended, so that publish is fast."""

    __tablename__ = "subscription_types"

    organization_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    event_type: Mapped[str] = mapped_column(String(EVENT_TYPE_LENGTH), primary_key=True)
    subscription_id: Mapped[UUID] = mapped_column(
        ForeignKey("subscriptions.id"), primary_key=True, index=True
    )


class SubscriptionTeam(Base):
    """One team whose meetings a subscription wants. One that was deleted since matches nothing."""

    __tablename__ = "subscription_teams"

    subscription_id: Mapped[UUID] = mapped_column(ForeignKey("subscriptions.id"), primary_key=True)
    team_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)


class SigningSecret(Base):
    """What an organization signs `X-Avoma-Signature` with, for all its subscriptions."""

    __tablename__ = "signing_secrets"

    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"), primary_key=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    set_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Lane(Base):
    """The queue before one subscription. Workers serve the lanes in turn, whoever waits longest.

    A lane that has been served and holds more goes to the end of the line. So its turn is at the
    moment at which it was served last, or at which something came to wait in it.
    """

    __tablename__ = "lanes"
    __table_args__ = (Index("ix_lanes_turn", "turn_at", **_only("turn_at IS NOT NULL")),)

    subscription_id: Mapped[UUID] = mapped_column(ForeignKey("subscriptions.id"), primary_key=True)
    turn_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # NULL: nothing waits
    #: When its bucket of tokens is full again; see `fairness.Bucket`.
    full_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Hold(Base):
    """Who alone may deliver from this database; one row, and only with SQLite."""

    __tablename__ = "worker_holds"

    name: Mapped[str] = mapped_column(String(16), primary_key=True)
    owner: Mapped[str] = mapped_column(String(OWNER_LENGTH))
    until: Mapped[datetime] = mapped_column(UtcDateTime)


class Audience(Base):
    """Whose data the events of a subject show, at present."""

    __tablename__ = "audiences"
    __table_args__ = (Index("uq_audiences_subject", "organization_id", "subject", unique=True),)

    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    subject: Mapped[str] = mapped_column(String(SUBJECT_LENGTH))
    private: Mapped[bool]
    #: The e-mail address of the one to whom it is put down, in lower case; NULL: to nobody.
    attributed: Mapped[str | None] = mapped_column(Text)


class AudiencePerson(Base):
    """Somebody whose data it is, by e-mail address in lower case."""

    __tablename__ = "audience_people"

    audience_id: Mapped[int] = mapped_column(ForeignKey("audiences.id"), primary_key=True)
    person: Mapped[str] = mapped_column(Text, primary_key=True)


class Event(Base):
    """One thing that happened. The body is frozen: every attempt sends exactly these bytes."""

    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_recent", "organization_id", "type", "created_at"),
        Index("ix_events_age", "created_at", "id"),
        GROWS_FAST,
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    type: Mapped[str] = mapped_column(String(EVENT_TYPE_LENGTH))
    body: Mapped[bytes] = mapped_column(LargeBinary)
    subject: Mapped[str] = mapped_column(String(SUBJECT_LENGTH))
    #: The operation scopes that reading the body takes, with blanks between; frozen as the body is.
    needs: Mapped[str] = mapped_column(Text)
    #: NULL: it shows nobody's data.
    audience_id: Mapped[int | None] = mapped_column(ForeignKey("audiences.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class EventVariant(Base):
    """An event's body for subscriptions that do without some parts of it; frozen like the whole."""

    __tablename__ = "event_variants"

    event_id: Mapped[UUID] = mapped_column(ForeignKey("events.id"), primary_key=True)
    without: Mapped[str] = mapped_column(String(PARTS_LENGTH), primary_key=True)
    body: Mapped[bytes] = mapped_column(LargeBinary)


class Delivery(Base):
    """One event on its way to one subscription."""

    __tablename__ = "deliveries"
    __table_args__ = (
        # What a worker may take, by the lane that it waits in: first tries, and all others.
        _ready("ix_deliveries_first", "attempts = 0"),
        _ready("ix_deliveries_again", "attempts > 0"),
        Index("ix_deliveries_leased", "lease_until", **_only("lease_until IS NOT NULL")),
        Index("ix_deliveries_log", "organization_id", "id"),
        Index("ix_deliveries_subscription", "subscription_id", "id"),
        Index("ix_deliveries_event", "event_id"),
        GROWS_FAST,
    )

    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    event_id: Mapped[UUID] = mapped_column(ForeignKey("events.id"))
    subscription_id: Mapped[UUID] = mapped_column(ForeignKey("subscriptions.id"))
    #: Which variant of the event is sent, as its subscription wanted it at publish.
    without: Mapped[str] = mapped_column(String(PARTS_LENGTH), default="")
    state: Mapped[DeliveryState] = mapped_column(stored_as_text(DeliveryState))
    attempts: Mapped[int]  # all that were made, free ones included
    throttles: Mapped[int]  # of these, answered with 429 and free
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    dropped_because: Mapped[DropReason | None] = mapped_column(stored_as_text(DropReason))
    lease_owner: Mapped[str | None] = mapped_column(String(OWNER_LENGTH))
    lease_token: Mapped[str | None] = mapped_column(String(32))
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)


IS_PENDING = Delivery.state == literal_column("'pending'")


class Attempt(Base):
    """One request and what came of it."""

    __tablename__ = "attempts"
    __table_args__ = (Index("uq_attempts_number", "delivery_id", "number", unique=True),)

    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    delivery_id: Mapped[int] = mapped_column(ForeignKey("deliveries.id"))
    number: Mapped[int]  # 1, 2, ...
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    duration_ms: Mapped[int]
    outcome: Mapped[Ending] = mapped_column(stored_as_text(Ending))
    status: Mapped[int | None]
    error: Mapped[str | None] = mapped_column(String(ERROR_LENGTH))
    request_headers: Mapped[str] = mapped_column(Text)  # as sent, one on a line
    response_excerpt: Mapped[str] = mapped_column(Text)


class RecoveryState(StrEnum):
    """The life of a job."""

    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"  # by somebody, or as its subscription was switched off or ended


class Recovery(Base):
    """A job: to send a subscription what it missed between two moments."""

    __tablename__ = "recoveries"
    __table_args__ = (
        Index(
            "uq_recoveries_running", "subscription_id", unique=True, **_only("state = 'running'")
        ),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    subscription_id: Mapped[UUID] = mapped_column(ForeignKey("subscriptions.id"))
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    until: Mapped[datetime] = mapped_column(UtcDateTime)
    state: Mapped[RecoveryState] = mapped_column(stored_as_text(RecoveryState))
    #: The last event that it has looked at.
    cursor_at: Mapped[datetime] = mapped_column(UtcDateTime)
    cursor_id: Mapped[UUID | None] = mapped_column(Uuid)
    found: Mapped[int]  # events
    made: Mapped[int]  # deliveries that are due because of it
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    stepped_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    @property
    def progress(self) -> float:
        """How much of its stretch of time it has gone through, from 0 to 1."""
        if self.state is RecoveryState.DONE or self.until <= self.since:
            return 1.0
        return (self.cursor_at - self.since) / (self.until - self.since)
