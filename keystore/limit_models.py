"""The limits' tables: what was granted lately, and what is planned."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from keystore.db import Base, UtcDateTime

REASON_LENGTH = 200
MOST_PLANNED = 20  # spikes of one key that are not over


class KeyWindow(Base):
    """A key's log of what was granted in the last minute; apart from it, so that no key changes."""

    __tablename__ = "key_windows"

    key_id: Mapped[UUID] = mapped_column(ForeignKey("keys.id"), primary_key=True)
    log: Mapped[str] = mapped_column(Text)  # see keystore.window


class Spike(Base):
    """A planned, time-boxed higher limit of one key."""

    __tablename__ = "spikes"
    __table_args__ = (Index("ix_spikes_key_id", "key_id", "ends_at"),)

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    key_id: Mapped[UUID] = mapped_column(ForeignKey("keys.id"))
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime)  # from this moment on
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)  # strictly before this one
    rate_limit: Mapped[int]  # requests a minute
    reason: Mapped[str] = mapped_column(String(REASON_LENGTH))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    cancelled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
