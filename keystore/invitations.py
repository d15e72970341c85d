"""Inviting people by mail: a link that is good once, for some days, until it is taken back."""

from collections.abc import Sequence
from datetime import timedelta
from random import SystemRandom
from uuid import UUID, uuid4

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from keystore import audit, letters, ownership
from keystore.accounts import Accounts, clean_email, unless_taken
from keystore.audit import Actor
from keystore.clock import Clock
from keystore.credentials import Random, SecretValue, generate_link_token, link_digest
from keystore.db import writing
from keystore.errors import AlreadyHere, LinkOver, NoSuchInvitation
from keystore.mail import Mails
from keystore.mail_models import Invitation
from keystore.models import Organization, Role, User

LIFETIME = timedelta(days=7)


class Invitations:
    """Invites, takes back, lets in; each is one transaction with its audit event and its mail.

    Inviting and taking back are for admins, as they are then; raises BeyondMembers for all others.
    """

    def __init__(
        self,
        accounts: Accounts,
        mails: Mails,
        clock: Clock,
        *,
        base_url: str,
        random: Random | None = None,
    ) -> None:
        self._accounts = accounts
        self._mails = mails
        self._clock = clock
        self._base_url = base_url
        self._random = random or SystemRandom()

    @audit.refusals("invitation.created", of="invitation")
    def invite(
        self,
        session: Session,
        *,
        organization_id: UUID,
        email: str,
        role: Role,
        inviter: str,
        actor: Actor,
    ) -> Invitation:
        """Invite somebody; who is invited already gets a new link, and the old one ends.

        Whether the address has an account in another organization makes no difference here: only
        whoever opens the link learns it. Raises AccountError for a bad address, AlreadyHere for
        somebody of this organization, and BadMail for an address that no mail gets to.
        """
        email, now = clean_email(email), self._clock.now()
        with writing(session):
            # One invitation at a time, so that the same address is not invited twice at once.
            organization = ownership.hold_as_admin(session, actor, organization_id)
            if session.scalars(
                select(User.id).where(User.email == email, User.organization_id == organization_id)
            ).one_or_none():
                raise AlreadyHere
            invitation = session.scalars(
                _open(organization_id).where(Invitation.email == email)
            ).one_or_none()
            action = "invitation.created" if invitation is None else "invitation.renewed"
            if invitation is None:
                invitation = Invitation(
                    id=uuid4(), organization_id=organization_id, email=email, created_at=now
                )
                session.add(invitation)
            invitation.role = role
            self._send(session, invitation, organization, inviter)
            self._record(session, invitation, actor, action)
        return invitation

    @audit.refusals("invitation.renewed", of="invitation")
    def send_again(
        self,
        session: Session,
        invitation_id: UUID,
        *,
        organization_id: UUID,
        inviter: str,
        actor: Actor,
    ) -> Invitation:
        """Send another link, good for another seven days; the old one ends.

        Raises NoSuchInvitation.
        """
        with writing(session):
            organization = ownership.hold_as_admin(session, actor, organization_id)
            invitation = self._held(session, invitation_id, organization_id)
            self._send(session, invitation, organization, inviter)
            self._record(session, invitation, actor, "invitation.renewed")
        return invitation

    @audit.refusals("invitation.withdrawn", of="invitation")
    def withdraw(
        self, session: Session, invitation_id: UUID, *, organization_id: UUID, actor: Actor
    ) -> Invitation:
        """End an invitation; its link is dead at once. Raises NoSuchInvitation."""
        with writing(session):
            ownership.hold_as_admin(session, actor, organization_id)
            invitation = self._held(session, invitation_id, organization_id)
            invitation.withdrawn_at = self._clock.now()
            self._record(session, invitation, actor, "invitation.withdrawn")
        return invitation

    def list(self, session: Session, organization_id: UUID) -> Sequence[Invitation]:
        """Return the invitations that nobody has answered, by address; expired ones, too."""
        with session.begin():
            return session.scalars(_open(organization_id).order_by(Invitation.email)).all()

    def find(self, session: Session, token: str) -> tuple[Invitation, Organization]:
        """Return what a link offers. Raises LinkOver."""
        with session.begin():
            invitation = self._working(session, token)
            return invitation, session.get_one(Organization, invitation.organization_id)

    def accept(
        self,
        session: Session,
        token: str,
        *,
        name: str,
        password: SecretValue,
        address: str | None = None,
        agent: str | None = None,
    ) -> User:
        """Make the invited person's account; the link is used up.

        Raises LinkOver, BadName, and AccountError for a bad password, or when there is an account
        for the address by now (the invitation stays open then).
        """
        try:
            invitation, _ = self.find(session, token)
            user = self._accounts.new_user(
                invitation.organization_id, invitation.email, name, invitation.role, password
            )
            actor = Actor("user", user.email, str(user.id), address, agent)
            told = f"There is an account for {user.email} already, and an address has only one."
            with unless_taken(told), writing(session):
                # The organization first, as whoever renews or takes back an invitation has it.
                ownership.hold(session, invitation.organization_id)
                invitation = self._working(session, token, for_update=True)
                user.role = invitation.role
                invitation.accepted_at = self._clock.now()
                session.add(user)
                session.flush()
                self._record(session, invitation, actor, "invitation.accepted", user=user.id)
        except LinkOver:
            self._refuse(session, token, address, agent)
            raise
        return user

    def _send(
        self, session: Session, invitation: Invitation, organization: Organization, inviter: str
    ) -> None:
        """Give an invitation a new link, and post it."""
        token, now = generate_link_token(self._random), self._clock.now()
        invitation.digest = token.map(link_digest)
        invitation.sent_at, invitation.expires_at = now, now + LIFETIME
        session.flush()
        letter = letters.invitation(
            organization=organization.name,
            inviter=inviter,
            role=invitation.role,
            link=f"{self._base_url}/invitation/{token.reveal()}/",
            days=LIFETIME.days,
            site=self._base_url,
        )
        self._mails.post(
            session,
            to=invitation.email,
            subject=letter.subject,
            text=letter.text,
            now=now,
            organization_id=invitation.organization_id,
        )

    def _working(self, session: Session, token: str, *, for_update: bool = False) -> Invitation:
        wanted = _with_link(token)
        if for_update:
            wanted = wanted.with_for_update().execution_options(populate_existing=True)
        invitation = session.scalars(wanted).one_or_none()
        if (
            invitation is None
            or invitation.accepted_at is not None
            or invitation.withdrawn_at is not None
            or self._clock.now() >= invitation.expires_at
        ):
            raise LinkOver
        return invitation

    @staticmethod
    def _held(session: Session, invitation_id: UUID, organization_id: UUID) -> Invitation:
        invitation = session.scalars(
            _open(organization_id)
            .where(Invitation.id == invitation_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        ).one_or_none()
        if invitation is None:
            raise NoSuchInvitation
        return invitation

    def _record(
        self,
        session: Session,
        invitation: Invitation,
        actor: Actor,
        action: str,
        **detail: object,
    ) -> None:
        audit.record(
            session,
            self._clock.now(),
            actor,
            action,
            organization_id=invitation.organization_id,
            subject_type="invitation",
            subject_id=invitation.id,
            email=invitation.email,
            role=invitation.role,
            **detail,
        )

    def _refuse(self, session: Session, token: str, address: str | None, agent: str | None) -> None:
        """Put down that somebody has tried a link of ours that is over."""
        with session.begin():
            invitation = session.scalars(_with_link(token)).one_or_none()
        if invitation is None:
            return
        audit.refuse(
            session,
            self._clock.now(),
            Actor("user", invitation.email, address=address, agent=agent),
            "invitation.accepted",
            organization_id=invitation.organization_id,
            subject_type="invitation",
            subject_id=invitation.id,
            reason=LinkOver.__name__,
        )


def _with_link(token: str) -> Select[Invitation]:
    return select(Invitation).where(Invitation.digest == link_digest(token))


def _open(organization_id: UUID) -> Select[Invitation]:
    return select(Invitation).where(
        Invitation.organization_id == organization_id,
        Invitation.accepted_at.is_(None),
        Invitation.withdrawn_at.is_(None),
    )
