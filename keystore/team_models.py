"""The tables of teams: some of an organization's people, for who wants only their meetings."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from keystore.db import Base, UtcDateTime
from keystore.models import NAME_LENGTH


class Team(Base):
    """Some people of an organization under one name."""

    __tablename__ = "teams"
    __table_args__ = (Index("uq_teams_name", "organization_id", "name", unique=True),)

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class TeamMember(Base):
    """Somebody in a team. People may be in several."""

    __tablename__ = "team_members"

    team_id: Mapped[UUID] = mapped_column(ForeignKey("teams.id"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True, index=True)
