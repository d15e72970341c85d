"""Teams: some of an organization's people under one name, by which subscribers choose meetings."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from keystore import audit, ownership
from keystore.audit import Actor
from keystore.clock import Clock
from keystore.db import writing
from keystore.errors import NameTaken, NoSuchPerson, NoSuchTeam
from keystore.keys import clean_name
from keystore.models import User
from keystore.team_models import Team, TeamMember


@dataclass(frozen=True)
class Members:
    """A team with the ids of its people."""

    team: Team
    people: frozenset[UUID]


class Teams:
    """The teams of all organizations; each change is one transaction with its audit event.

    Changes are for admins, as they are then; raises BeyondMembers for anybody else.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def list(self, session: Session, organization_id: UUID) -> Sequence[Members]:
        """Return an organization's teams by name, with who is in them."""
        mine = select(Team).where(Team.organization_id == organization_id).order_by(Team.name)
        with session.begin():
            teams = session.scalars(mine).all()
            rows = session.scalars(
                select(TeamMember)
                .join(Team, Team.id == TeamMember.team_id)
                .where(Team.organization_id == organization_id)
            ).all()
        return [
            Members(team, frozenset(row.user_id for row in rows if row.team_id == team.id))
            for team in teams
        ]

    @audit.refusals("team.created")
    def create(self, session: Session, name: str, *, organization_id: UUID, actor: Actor) -> Team:
        """Add a team that nobody is in yet. Raises BadName, and NameTaken."""
        name = clean_name(name)
        team = Team(
            id=uuid4(), organization_id=organization_id, name=name, created_at=self._clock.now()
        )
        with writing(session):
            ownership.hold_as_admin(session, actor, organization_id)
            taken = select(Team.id).where(
                Team.organization_id == organization_id, Team.name == name
            )
            if session.scalars(taken).first() is not None:
                raise NameTaken("There is a team of this name already.")
            session.add(team)
            self._record(session, team, actor, "team.created")
        return team

    @audit.refusals("team.members_changed", of="team")
    def set_members(
        self,
        session: Session,
        team_id: UUID,
        people: Collection[UUID],
        *,
        organization_id: UUID,
        actor: Actor,
    ) -> Team:
        """Say who is in a team: these people and nobody else. Raises NoSuchTeam, NoSuchPerson."""
        wanted = set(people)
        with writing(session):
            ownership.hold_as_admin(session, actor, organization_id)
            team = self._found(session, team_id, organization_id)
            ours = set(
                session.scalars(
                    select(User.id).where(
                        User.organization_id == organization_id, User.id.in_(wanted)
                    )
                )
            )
            if wanted - ours:
                raise NoSuchPerson
            mine = TeamMember.team_id == team_id
            before = set(session.scalars(select(TeamMember.user_id).where(mine)))
            if wanted != before:
                gone = TeamMember.user_id.in_(before - wanted)
                session.execute(delete(TeamMember).where(mine, gone))
                new = [{"team_id": team_id, "user_id": one} for one in sorted(wanted - before)]
                if new:
                    session.execute(insert(TeamMember), new)
                self._record(
                    session,
                    team,
                    actor,
                    "team.members_changed",
                    added=sorted(map(str, wanted - before)),
                    removed=sorted(map(str, before - wanted)),
                )
        return team

    @audit.refusals("team.deleted", of="team")
    def delete(
        self, session: Session, team_id: UUID, *, organization_id: UUID, actor: Actor
    ) -> Team:
        """Delete a team. Whoever wanted its meetings gets nothing of it any more.

        Raises NoSuchTeam.
        """
        with writing(session):
            ownership.hold_as_admin(session, actor, organization_id)
            team = self._found(session, team_id, organization_id)
            session.execute(delete(TeamMember).where(TeamMember.team_id == team_id))
            session.delete(team)
            self._record(session, team, actor, "team.deleted")
        return team

    @staticmethod
    def _found(session: Session, team_id: UUID, organization_id: UUID) -> Team:
        team = session.get(Team, team_id, populate_existing=True)
        if team is None or team.organization_id != organization_id:
            raise NoSuchTeam
        return team

    def _record(
        self, session: Session, team: Team, actor: Actor, action: str, **detail: object
    ) -> None:
        audit.record(
            session,
            self._clock.now(),
            actor,
            action,
            organization_id=team.organization_id,
            subject_type="team",
            subject_id=team.id,
            name=team.name,
            **detail,
        )
