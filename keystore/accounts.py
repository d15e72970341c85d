"""Organizations, the people in them, and their passwords."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Final
from uuid import UUID, uuid4

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from keystore import audit
from keystore.audit import Actor
from keystore.clock import Clock
from keystore.credentials import SecretValue
from keystore.db import writing
from keystore.errors import AccountError
from keystore.keys import clean_name
from keystore.models import Organization, Role, User

MIN_PASSWORD_LENGTH = 12
MAX_PASSWORD_LENGTH = 1024
# As much of RFC 5321 as keeps nonsense out; whether it works, only a mail can tell.
EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f]{1,189}\Z")


class Accounts:
    """Who there is and whether they are who they say."""

    def __init__(self, clock: Clock, hasher: PasswordHasher | None = None) -> None:
        self._clock = clock
        self._hasher: Final = hasher or PasswordHasher()  # argon2id, RFC 9106's second choice

    @cached_property
    def _dummy_hash(self) -> str:
        return self._hasher.hash("nobody has this password")

    def create_organization(self, session: Session, *, name: str, actor: Actor) -> Organization:
        """Add an organization. Raises BadName, and AccountError when there is one of this name."""
        organization = Organization(id=uuid4(), name=clean_name(name), created_at=self._clock.now())
        taken = f"There is an organization named {organization.name!r} already."
        with unless_taken(taken), writing(session):
            self._add_organization(session, organization, actor)
        return organization

    @audit.refusals("user.created", of="user")
    def create_user(
        self,
        session: Session,
        *,
        organization_id: UUID,
        email: str,
        name: str,
        role: Role,
        password: SecretValue,
        actor: Actor,
    ) -> User:
        """Add a person. Raises BadName, and AccountError for a bad or taken e-mail or password."""
        user = self.new_user(organization_id, email, name, role, password)
        with unless_taken(f"There is an account for {user.email} already."), writing(session):
            self._add_user(session, user, actor)
        return user

    def found(
        self,
        session: Session,
        *,
        name: str,
        email: str,
        password: SecretValue,
        actor: Actor,
        admin: str | None = None,
    ) -> Organization:
        """Add an organization and its first admin, both or neither. Raises as the two above.

        The admin is called what their address begins with, unless a name is given.
        """
        organization = Organization(id=uuid4(), name=clean_name(name), created_at=self._clock.now())
        user = self.new_user(
            organization.id, email, admin or email.partition("@")[0], Role.ADMIN, password
        )
        taken = "There is such an organization, or such an account, already."
        with unless_taken(taken), writing(session):
            self._add_organization(session, organization, actor)
            self._add_user(session, user, actor)
        return organization

    def new_user(
        self, organization_id: UUID, email: str, name: str, role: Role, password: SecretValue
    ) -> User:
        """Return a person who is in no table yet. Raises BadName and AccountError."""
        return User(
            id=uuid4(),
            organization_id=organization_id,
            email=clean_email(email),
            name=clean_name(name),
            role=role,
            password_hash=self.hash(password),
            is_active=True,
            created_at=self._clock.now(),
        )

    def _add_organization(self, session: Session, organization: Organization, actor: Actor) -> None:
        session.add(organization)
        session.flush()
        audit.record(
            session,
            organization.created_at,
            actor,
            "organization.created",
            organization_id=organization.id,
            subject_type="organization",
            subject_id=organization.id,
            after={"name": organization.name},
        )

    def _add_user(self, session: Session, user: User, actor: Actor) -> None:
        session.add(user)
        session.flush()
        audit.record(
            session,
            user.created_at,
            actor,
            "user.created",
            organization_id=user.organization_id,
            subject_type="user",
            subject_id=user.id,
            after={"email": user.email, "role": user.role},
        )

    def authenticate(self, session: Session, email: str, password: SecretValue) -> User | None:
        """Return the person with this e-mail address and password, or None.

        An unknown address costs the same hash as a wrong password, so that time tells nothing.
        """
        dummy_hash = self._dummy_hash  # before anything is known, as its first use takes time
        user = self.by_email(session, email)
        stored = dummy_hash if user is None else user.password_hash
        text = password.reveal()[:MAX_PASSWORD_LENGTH]
        try:
            self._hasher.verify(stored, text.encode("utf-8", "surrogatepass"))
        except (VerificationError, InvalidHashError):
            return None
        return user if user is not None and user.is_active else None

    def by_email(self, session: Session, email: str) -> User | None:
        """Return the person with this address, whether or not they may sign in."""
        with session.begin():
            return session.scalars(
                select(User).where(User.email == _storable(email.strip().lower()))
            ).one_or_none()

    def get(self, session: Session, user_id: UUID) -> User | None:
        """Return a person who may sign in, or None."""
        with session.begin():
            user = session.get(User, user_id)
        return user if user is not None and user.is_active else None

    def organization(self, session: Session, organization_id: UUID) -> Organization:
        """Return an organization that is known to exist."""
        with session.begin():
            return session.get_one(Organization, organization_id)

    def organizations(self, session: Session) -> Sequence[Organization]:
        """Return all organizations by name."""
        with session.begin():
            return session.scalars(select(Organization).order_by(Organization.name)).all()

    def admins(self, session: Session, organization_id: UUID) -> Sequence[User]:
        """Return the people who may manage an organization's keys, by name."""
        with session.begin():
            return session.scalars(
                select(User)
                .where(
                    User.organization_id == organization_id,
                    User.role == Role.ADMIN,
                    User.is_active,
                )
                .order_by(User.name)
            ).all()

    def hash(self, password: SecretValue) -> str:
        """Return what is kept of a password. Raises AccountError when it is too short or long."""
        if not MIN_PASSWORD_LENGTH <= password.map(len) <= MAX_PASSWORD_LENGTH:
            raise AccountError(
                f"Choose a password of {MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH} characters."
            )
        return self._hasher.hash(password.reveal().encode("utf-8", "surrogatepass"))


@contextmanager
def unless_taken(detail: str) -> Iterator[None]:
    """Say in our words that a name or an address is in use."""
    try:
        yield
    except IntegrityError as error:
        raise AccountError(detail) from error


def clean_email(email: str) -> str:
    """Return an e-mail address in lower case; raises AccountError unless it looks like one."""
    email = email.strip().lower()
    if EMAIL.match(email) is None:
        raise AccountError(f"{email!r} is not an e-mail address.")
    return email


def _storable(text: str) -> str:
    """Return a text that every database takes as a parameter; nobody's address is changed."""
    return text.encode("utf-8", "replace").decode().replace("\x00", "?")
