"""What happens to people after they were added: a new password ends what the old one began."""

import logging
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from keystore import (
    audit,
    generations,
    held,
    key_events,
    letters,
    ownership,
    second_factor,
    sessions,
)
from keystore.accounts import Accounts
from keystore.audit import Actor
from keystore.clock import Clock
from keystore.credentials import SecretValue
from keystore.db import writing
from keystore.errors import BadMail, LastAdmin, NoSuchPerson, NotOneself, SignInOver
from keystore.key_events import OnEvent, Revoked
from keystore.letters import Letter
from keystore.mail import Mails
from keystore.models import Key, Role, SignIn, User
from keystore.rotation import KeyState

log = logging.getLogger(__name__)


class People:
    """Changes to people; each is one transaction with its audit event.

    What is done to others is for admins, as they are then; raises BeyondMembers for anybody else.
    """

    def __init__(
        self,
        accounts: Accounts,
        mails: Mails,
        clock: Clock,
        *,
        base_url: str,
        on_event: Sequence[OnEvent] = (),
    ) -> None:
        self._accounts = accounts
        self._mails = mails
        self._clock = clock
        self._base_url = base_url
        self._on_event = on_event

    def change_password(
        self, session: Session, user: User, password: SecretValue, *, kept: SignIn, actor: Actor
    ) -> None:
        """Replace a person's password and end their sign-ins, all but one.

        user: as they were when they showed their present password, which is for the caller to have
        seen. Of two at once who have, the second changes nothing. Raises SignInOver, and
        AccountError for a password that is too short or too long.
        """
        hashed, shown = self._accounts.hash(password), sessions.fingerprint(user)
        with writing(session):
            stored = session.get_one(User, user.id, with_for_update=True, populate_existing=True)
            if sessions.fingerprint(stored) != shown:
                raise SignInOver
            stored.password_hash = hashed
            session.flush()
            ended = sessions.end_all(session, user.id, but=kept.id)
            if not generations.changed_one(
                session,
                update(SignIn)
                .where(SignIn.id == kept.id)
                .values(fingerprint=sessions.fingerprint(stored)),
            ):
                raise SignInOver
            self._record(session, stored, actor, "user.password_changed", sessions_ended=ended)
            self.tell_of_new_password(session, stored, self._clock.now())

    def tell_of_new_password(self, session: Session, user: User, now: datetime) -> None:
        """Post the mail that somebody's password is a new one, in the caller's transaction."""
        at = f"{now:%Y-%m-%d, %H:%M} UTC"
        letter = letters.password_changed(email=user.email, at=at, site=self._base_url)
        self._tell(session, user, letter, now)

    def list(self, session: Session, organization_id: UUID) -> Sequence[User]:
        """Return everybody in an organization by name, those who have left last."""
        with session.begin():
            return session.scalars(
                select(User)
                .where(User.organization_id == organization_id)
                .order_by(User.is_active.desc(), User.name, User.email)
            ).all()

    @audit.refusals("user.role_changed", of="user")
    def change_role(
        self, session: Session, user_id: UUID, role: Role, *, organization_id: UUID, actor: Actor
    ) -> User:
        """Make somebody an admin or a member. Raises NoSuchPerson, and LastAdmin."""
        with writing(session):
            user = self._locked(session, user_id, organization_id, actor)
            if user.role is not role:
                before, user.role = user.role, role
                self._keep_an_admin(session, organization_id)
                self._record(session, user, actor, "user.role_changed", before=before, after=role)
        return user

    @audit.refusals("user.deactivated", of="user")
    def deactivate(
        self, session: Session, user_id: UUID, *, organization_id: UUID, actor: Actor
    ) -> User:
        """Let somebody in no longer, end all their sign-ins, and put their personal keys to sleep.

        These are refused for as long as their person is away; asleep they stay so when the person
        comes back, until somebody wakes each on purpose. Raises as `change_role`.
        """
        with writing(session):
            user = self._locked(session, user_id, organization_id, actor)
            if user.is_active:
                user.is_active = False
                self._keep_an_admin(session, organization_id)
                ended = sessions.end_all(session, user.id)
                self._record(session, user, actor, "user.deactivated", sessions_ended=ended)
                self._put_keys_to_sleep(session, user, actor)
        return user

    @audit.refusals("user.activated", of="user")
    def activate(
        self, session: Session, user_id: UUID, *, organization_id: UUID, actor: Actor
    ) -> User:
        """Let somebody in again, with the password they had. Raises NoSuchPerson."""
        with writing(session):
            user = self._locked(session, user_id, organization_id, actor)
            if not user.is_active:
                user.is_active = True
                self._record(session, user, actor, "user.activated")
        return user

    @audit.refusals("second_factor.reset", of="user")
    def reset_second_factor(
        self, session: Session, user_id: UUID, *, organization_id: UUID, admin: User, actor: Actor
    ) -> bool:
        """Turn off the second factor of somebody who lost it, and tell them; return if it was on.

        Raises NoSuchPerson, and NotOneself: whoever has found a browser open cannot drop the
        factor in it.
        """
        if user_id == admin.id:
            raise NotOneself
        now = self._clock.now()
        with writing(session):
            user = self._locked(session, user_id, organization_id, actor)
            if not second_factor.forget(session, user.id):
                return False
            self._record(session, user, actor, "second_factor.reset")
            at = f"{now:%Y-%m-%d, %H:%M} UTC"
            letter = letters.second_factor_reset(
                email=user.email, admin=admin.name, at=at, site=self._base_url
            )
            self._tell(session, user, letter, now)
        return True

    def _tell(self, session: Session, user: User, letter: Letter, now: datetime) -> None:
        try:
            self._mails.post(
                session,
                to=user.email,
                subject=letter.subject,
                text=letter.text,
                now=now,
                organization_id=user.organization_id,
            )
        except BadMail as error:  # what was done stays done
            log.warning("Somebody is not told of a change. %s", error.detail)

    @staticmethod
    def _locked(session: Session, user_id: UUID, organization_id: UUID, actor: Actor) -> User:
        """Return a person for an admin; one at a time may change who is an admin."""
        ownership.hold_as_admin(session, actor, organization_id)
        user = session.get(User, user_id, populate_existing=True)
        if user is None or user.organization_id != organization_id:
            raise NoSuchPerson
        return user

    @staticmethod
    def _keep_an_admin(session: Session, organization_id: UUID) -> None:
        session.flush()
        admins = session.scalars(
            select(User.id).where(
                User.organization_id == organization_id, User.role == Role.ADMIN, User.is_active
            )
        ).all()
        if not admins:
            raise LastAdmin

    def _put_keys_to_sleep(self, session: Session, user: User, actor: Actor) -> None:
        """Disable a person's keys. All are held first: one may have been woken just now."""
        now = self._clock.now()
        owned = session.scalars(
            select(Key)
            .where(Key.owner_id == user.id, Key.deleted_at.is_(None))
            .order_by(Key.id)
            .with_for_update(key_share=True)
            .execution_options(populate_existing=True)
        ).all()
        for key in owned:
            if generations.life(key).state(now) is KeyState.ACTIVE:
                key.disabled_at, key.disabled_by = now, ownership.id_of(actor)
                held.record(session, now, actor, "key.disabled", key, because="its person left")
                key_events.tell(self._on_event, session, Revoked(key, now, "disabled"))

    def _record(
        self, session: Session, user: User, actor: Actor, action: str, **detail: object
    ) -> None:
        audit.record(
            session,
            self._clock.now(),
            actor,
            action,
            organization_id=user.organization_id,
            subject_type="user",
            subject_id=user.id,
            email=user.email,
            **detail,
        )
