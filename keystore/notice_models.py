"""What is to be told of keys, and was; apart from them, so that telling changes no key."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from keystore.db import Base, UtcDateTime


class ExpiryWatch(Base):
    """The next moment to tell of a key's expiry; no row: there is nothing to tell any more."""

    __tablename__ = "expiry_watches"

    key_id: Mapped[UUID] = mapped_column(ForeignKey("keys.id"), primary_key=True)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class QuotaNotice(Base):
    """When somebody was last told that a key is near its rate limit."""

    __tablename__ = "quota_notices"

    key_id: Mapped[UUID] = mapped_column(ForeignKey("keys.id"), primary_key=True)
    told_at: Mapped[datetime] = mapped_column(UtcDateTime)
