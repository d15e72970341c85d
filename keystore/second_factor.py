"""A second proof beside the password: codes from an app, and codes on paper for when it is lost."""

import os
from collections.abc import Sequence
from random import SystemRandom
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from keystore import audit, one_time_codes
from keystore.audit import Actor
from keystore.clock import Clock
from keystore.credentials import ALPHABET, SecretValue
from keystore.db import inserting, writing
from keystore.errors import AlreadyDone, WrongCode
from keystore.models import Factor, RecoveryCode, User
from keystore.vault import Vault

RECOVERY_CODES = 10
GROUPS, GROUP_LENGTH = 3, 4  # 62 bits; a keyed digest and slow tries make that plenty


class SecondFactor:
    """Turns the second factor of a person on and off, and checks what they type."""

    def __init__(self, vault: Vault, clock: Clock) -> None:
        self._vault = vault
        self._clock = clock
        self._random = SystemRandom()

    def is_on(self, session: Session, user_id: UUID) -> bool:
        """Tell whether signing in takes a code."""
        with session.begin():
            return self._confirmed(session, user_id) is not None

    def used_by(self, session: Session, organization_id: UUID) -> frozenset[UUID]:
        """Return who of an organization has it on."""
        with session.begin():
            return frozenset(
                session.scalars(
                    select(Factor.user_id)
                    .join(User, User.id == Factor.user_id)
                    .where(
                        User.organization_id == organization_id, Factor.confirmed_at.is_not(None)
                    )
                )
            )

    def recovery_codes_left(self, session: Session, user_id: UUID) -> int:
        """Return how many recovery codes have not been used."""
        with session.begin():
            return session.scalars(
                select(func.count())
                .select_from(RecoveryCode)
                .where(RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None))
            ).one()

    def prepare(self, session: Session, user: User) -> SecretValue:
        """Return the secret for the app; the same one until it is confirmed with a code.

        Raises AlreadyDone when the factor is on: its secret is not shown again.
        """
        with writing(session):
            factor = session.get(Factor, user.id) or self._added(session, user)
            if factor.confirmed_at is not None:
                raise AlreadyDone("The second factor is on already.")
            return self._vault.open(factor.sealed_secret, context(user.id))

    def turn_on(
        self, session: Session, user: User, text: str, actor: Actor
    ) -> Sequence[SecretValue]:
        """Demand codes from now on, if this one is right; return the recovery codes.

        Raises WrongCode, and AlreadyDone when it was turned on before.
        """
        now = self._clock.now()
        with writing(session):
            factor = session.get(Factor, user.id, with_for_update=True)
            if factor is None:
                raise WrongCode
            if factor.confirmed_at is not None:
                raise AlreadyDone("The second factor is on already.")
            if not self._use_code(session, factor, _plain(text)):
                raise WrongCode
            factor.confirmed_at = now
            codes = self._replace_recovery_codes(session, user)
            self._record(session, user, actor, "second_factor.on")
        return codes

    def check(self, session: Session, user: User, text: str, actor: Actor) -> bool:
        """Tell whether a code is right, of the app or of the paper; each is good only once."""
        plain = _plain(text)
        with writing(session):
            factor = self._confirmed(session, user.id)
            if factor is None:
                return False
            if len(plain) == one_time_codes.DIGITS:
                return self._use_code(session, factor, plain)
            if not self._use_recovery_code(session, user, plain):
                return False
            self._record(session, user, actor, "second_factor.recovery_code_used")
            return True

    def renew_recovery_codes(
        self, session: Session, user: User, actor: Actor
    ) -> Sequence[SecretValue]:
        """Make new recovery codes; the old ones are worthless. Raises WrongCode when it is off."""
        with writing(session):
            if self._confirmed(session, user.id) is None:
                raise WrongCode("The second factor is off.")
            codes = self._replace_recovery_codes(session, user)
            self._record(session, user, actor, "second_factor.recovery_codes_renewed")
        return codes

    def turn_off(self, session: Session, user: User, actor: Actor) -> bool:
        """Demand no codes any more; tell whether any were."""
        with writing(session):
            was_on = forget(session, user.id)
            if was_on:
                self._record(session, user, actor, "second_factor.off")
        return was_on

    def _added(self, session: Session, user: User) -> Factor:
        """Give a person a secret, unless one was given in this very moment: a page opened twice."""
        secret = one_time_codes.as_text(os.urandom(one_time_codes.SECRET_BYTES))
        factor = {
            "user_id": user.id,
            "sealed_secret": self._vault.seal(secret, context(user.id)),
            "created_at": self._clock.now(),
            "last_step": 0,
        }
        session.execute(
            inserting(session.get_bind().dialect, Factor).on_conflict_do_nothing(), factor
        )
        return session.get_one(Factor, user.id)

    @staticmethod
    def _confirmed(session: Session, user_id: UUID) -> Factor | None:
        return session.scalars(
            select(Factor).where(Factor.user_id == user_id, Factor.confirmed_at.is_not(None))
        ).one_or_none()

    def _use_code(self, session: Session, factor: Factor, plain: str) -> bool:
        """Use up a code: its period and all before are over for this person (RFC 6238, 5.2)."""
        secret = one_time_codes.as_bytes(
            self._vault.open(factor.sealed_secret, context(factor.user_id))
        )
        number = one_time_codes.matching_step(secret, plain, self._clock.now())
        if number is None:
            return False
        used = session.scalars(
            update(Factor)
            .where(Factor.user_id == factor.user_id, Factor.last_step < number)
            .values(last_step=number)
            .returning(Factor.user_id)
        ).all()
        return len(used) == 1

    def _use_recovery_code(self, session: Session, user: User, plain: str) -> bool:
        rows = session.scalars(
            select(RecoveryCode).where(
                RecoveryCode.user_id == user.id, RecoveryCode.used_at.is_(None)
            )
        ).all()
        fitting = [row.id for row in rows if self._vault.matches(plain, row.digest)]
        used = session.scalars(
            update(RecoveryCode)
            .where(RecoveryCode.id.in_(fitting), RecoveryCode.used_at.is_(None))
            .values(used_at=self._clock.now())
            .returning(RecoveryCode.id)
        ).all()
        return len(used) > 0

    def _replace_recovery_codes(self, session: Session, user: User) -> Sequence[SecretValue]:
        session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
        codes = [self._recovery_code() for _ in range(RECOVERY_CODES)]
        session.add_all(
            RecoveryCode(user_id=user.id, digest=self._vault.digest(code.map(_plain)))
            for code in codes
        )
        return codes

    def _recovery_code(self) -> SecretValue:
        groups = ("".join(self._random.choices(ALPHABET, k=GROUP_LENGTH)) for _ in range(GROUPS))
        return SecretValue("-".join(groups))

    def _record(self, session: Session, user: User, actor: Actor, action: str) -> None:
        audit.record(
            session,
            self._clock.now(),
            actor,
            action,
            organization_id=user.organization_id,
            subject_type="user",
            subject_id=user.id,
            email=user.email,
        )


def forget(session: Session, user_id: UUID) -> bool:
    """Drop a person's factor and codes in the caller's transaction; tell whether it was on."""
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    dropped = delete(Factor).where(Factor.user_id == user_id).returning(Factor.confirmed_at)
    return any(session.scalars(dropped).all())


def context(user_id: UUID) -> str:
    """Return what a person's secret for one-time codes is sealed for."""
    return f"second factor:{user_id}"


def _plain(text: str) -> str:
    """Return a code without what people put in between."""
    return "".join(text.split()).replace("-", "").lower()
