"""The secrets that deliveries are signed with: replacing one, and the one of a whole organization.

A subscription has a secret of its own, shown when it is made. The contract's header is keyed with
one that an organization has for all its subscriptions, which can be read again (meetings API,
section 3.6); an organization without one gets no such header.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import SystemRandom
from uuid import UUID

from sqlalchemy.orm import Session

from keystore import audit, ownership
from keystore.audit import Actor
from keystore.clock import Clock
from keystore.credentials import SecretValue
from keystore.db import writing
from keystore.scopes import Rights
from keystore.vault import Vault
from webhooks import held, signing
from webhooks.errors import BadChoice, WebhooksError
from webhooks.models import SigningSecret, Subscription
from webhooks.seals import organization_context, secret_context
from webhooks.signing import Random

OVERLAP = timedelta(days=1)
LONGEST_OVERLAP = timedelta(days=7)
NO_OVERLAP = timedelta(0)
LEAST_LENGTH, MOST_LENGTH = 16, 256

_CHOSEN = re.compile(rf"[!-~]{{{LEAST_LENGTH},{MOST_LENGTH}}}")


@dataclass(frozen=True)
class Rotated:
    """A subscription with its new secret, which can be read at this moment only.

    In scheme v1a it is the public key. former_until: until when the former one signs as well.
    """

    subscription: Subscription
    signing_secret: SecretValue
    former_until: datetime | None


class SigningSecrets:
    """Replaces secrets; one call is one transaction with its audit event."""

    def __init__(self, vault: Vault, clock: Clock, random: Random | None = None) -> None:
        self._vault = vault
        self._clock = clock
        self._random = random or SystemRandom()

    @audit.refusals("subscription.secret_rotated", of="subscription", errors=WebhooksError)
    def rotate(
        self,
        session: Session,
        subscription_id: UUID,
        *,
        organization_id: UUID,
        caller: Rights,
        actor: Actor,
        only_of: UUID | None = None,
        overlap: timedelta = OVERLAP,
    ) -> Rotated:
        """Replace a subscription's secret by a new one of the same scheme.

        For the time of the overlap, 0 to 7 days, deliveries are signed with both; then with the
        new one alone, with nothing running that would have to see to it. A former one of an
        earlier rotation stops at once. Raises BadChoice, KeyEnded, SubscriptionNotFound,
        SubscriptionEnded, RightsLacking.
        """
        if not NO_OVERLAP <= overlap <= LONGEST_OVERLAP:
            raise BadChoice("overlap_seconds", "The former secret can sign for 0 to 7 days.")
        now = self._clock.now()
        with writing(session):
            subscription = held.hold(session, subscription_id, organization_id, actor, only_of)
            held.cover(session, subscription, caller)
            exchanged = subscription.public_key is not None
            new = signing.new_private_key if exchanged else signing.new_secret
            secret = new(self._random)
            until = now + overlap if overlap else None
            subscription.former_secret_sealed = subscription.secret_sealed if until else None
            subscription.former_until = until
            subscription.secret_sealed = self._vault.seal(secret, secret_context(subscription.id))
            if exchanged:
                subscription.public_key = signing.public_key(secret)
            audit.record(
                session,
                now,
                actor,
                "subscription.secret_rotated",
                organization_id=organization_id,
                subject_type="subscription",
                subject_id=subscription.id,
                former_until=until,
            )
        public_key = subscription.public_key
        return Rotated(subscription, SecretValue(public_key) if public_key else secret, until)

    def of_organization(self, session: Session, organization_id: UUID) -> SecretValue | None:
        """Return the secret that keys the contract's header, None when there is none."""
        with session.begin():
            stored = session.get(SigningSecret, organization_id, populate_existing=True)
            if stored is None:
                return None
            return self._vault.open(stored.sealed, organization_context(organization_id))

    @audit.refusals("signing_secret.set", errors=WebhooksError)
    def set_for_organization(
        self, session: Session, text: str, *, organization_id: UUID, actor: Actor
    ) -> SecretValue:
        """Key the contract's header with a chosen text from now on.

        The contract leaves the limits open: 16 to 256 characters of printable ASCII without
        blanks. Raises BadChoice, KeyEnded.
        """
        if not _CHOSEN.fullmatch(text):
            raise BadChoice(
                "signing_secret",
                f"Choose {LEAST_LENGTH} to {MOST_LENGTH} printable ASCII characters, no blanks.",
            )
        return self._set(session, SecretValue(text), "signing_secret.set", organization_id, actor)

    @audit.refusals("signing_secret.rotated", errors=WebhooksError)
    def renew_for_organization(
        self, session: Session, *, organization_id: UUID, actor: Actor
    ) -> SecretValue:
        """Replace whatever keyed the contract's header by a new secret, at once; return it.

        Raises KeyEnded.
        """
        secret = signing.new_contract_secret(self._random)
        return self._set(session, secret, "signing_secret.rotated", organization_id, actor)

    @audit.refusals("signing_secret.removed", errors=WebhooksError)
    def remove_from_organization(
        self, session: Session, *, organization_id: UUID, actor: Actor
    ) -> None:
        """Send the contract's header no longer; once more is the same as once. Raises KeyEnded."""
        with writing(session):
            held.admit(session, actor, organization_id)
            stored = self._held(session, organization_id)
            if stored is not None:
                session.delete(stored)
                self._record(session, actor, "signing_secret.removed", organization_id)

    def _set(
        self,
        session: Session,
        secret: SecretValue,
        action: str,
        organization_id: UUID,
        actor: Actor,
    ) -> SecretValue:
        sealed = self._vault.seal(secret, organization_context(organization_id))
        with writing(session):
            held.admit(session, actor, organization_id)
            stored = self._held(session, organization_id)
            if stored is None:
                stored = SigningSecret(organization_id=organization_id)
                session.add(stored)
            stored.sealed, stored.set_at = sealed, self._clock.now()
            self._record(session, actor, action, organization_id)
        return secret

    @staticmethod
    def _held(session: Session, organization_id: UUID) -> SigningSecret | None:
        """Return what there is; whoever else wants to change it waits, also for a first one."""
        ownership.hold(session, organization_id)
        return session.get(SigningSecret, organization_id, populate_existing=True)

    def _record(self, session: Session, actor: Actor, action: str, organization_id: UUID) -> None:
        audit.record(
            session,
            self._clock.now(),
            actor,
            action,
            organization_id=organization_id,
            subject_type="organization",
            subject_id=organization_id,
        )
