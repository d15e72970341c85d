"""The table of requests that were given a name by who sent them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, String, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from keystore.db import Base, UtcDateTime


class NamedRequest(Base):
    """A change that a key made by a named request: what is needed to know its repetition."""

    __tablename__ = "named_requests"

    key_id: Mapped[UUID] = mapped_column(ForeignKey("keys.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), primary_key=True)  # its SHA-256
    content: Mapped[str] = mapped_column(String(64))  # SHA-256 of what was asked for
    subject_id: Mapped[UUID] = mapped_column(Uuid)  # the key that was made or changed
    generation: Mapped[int]  # that it had then
    at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
