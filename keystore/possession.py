"""Whose secret is this? Told to whoever shows the whole of it, and to nobody else.

A text is looked for by its digest among those of all secrets there ever were: current, retiring and
dead. No identifier in it is believed.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from keystore import credentials, generations, rotation
from keystore.leak_models import Leaked
from keystore.models import AccessToken, Key, Secret
from keystore.rotation import SecretState
from keystore.vault import Vault


@dataclass(frozen=True)
class Match:
    """Whose a text is, proved by its digest."""

    organization_id: UUID
    key_id: UUID
    secret_id: int  # for a token, the secret that obtained it
    token_id: int | None

    @property
    def what(self) -> Leaked:
        """Return what kind of text it is."""
        return Leaked.SECRET if self.token_id is None else Leaked.TOKEN


def find(session: Session, vault: Vault, text: str) -> Match | None:
    """Find whose text this is; one read transaction. The right text alone has the right digest."""
    keys = select(Key.organization_id, Key.id, Secret.id.label("secret_id")).join(
        Secret, Secret.key_id == Key.id
    )
    public_part = credentials.public_part(text)
    with session.begin():
        if public_part is None:
            secret = session.execute(
                keys.where(Secret.digest.in_(vault.digests(text)))
            ).one_or_none()
            return secret and Match(secret.organization_id, secret.id, secret.secret_id, None)
        token = session.execute(
            keys.join(AccessToken, AccessToken.secret_id == Secret.id)
            .add_columns(AccessToken.id.label("token_id"), AccessToken.digest)
            .where(AccessToken.public_part == public_part)
        ).one_or_none()
    if token is None or not vault.matches(text, token.digest):
        return None
    return Match(token.organization_id, token.id, token.secret_id, token.token_id)


def worth(session: Session, match: Match, key: Key, secret: Secret, now: datetime) -> SecretState:
    """Say what a text opens at this moment, were its key awake: for a token, CURRENT or DEAD."""
    if rotation.lapsed(secret.state, secret.until, generations.life(key), now):
        return SecretState.DEAD
    if match.token_id is None:
        return secret.state
    token = session.get_one(AccessToken, match.token_id, populate_existing=True)
    over = token.revoked_at is not None or now >= token.expires_at
    return SecretState.DEAD if over else SecretState.CURRENT
