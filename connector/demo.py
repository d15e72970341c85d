"""Northwind: the made-up organization that `keyhook demo` shows.

Its passwords and its Client Secret are not stored: they are worked out from the installation's own
secret key at each start, so that they can be printed again and still rest nowhere but as hashes.
"""

import logging
import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from random import Random
from uuid import UUID

from connector import demo_data
from connector.app import Parts
from connector.meetings.queries import MeetingsQuery
from connector.meetings.sight import Sight
from keystore import credentials
from keystore.audit import SYSTEM
from keystore.credentials import ALPHABET, SecretValue
from keystore.errors import AccountError, AlreadyDone, NameTaken
from keystore.keys import Keys
from keystore.models import Organization, Role
from keystore.vault import Vault

ORGANIZATION = "Northwind"
ADMIN = "admin@northwind.example"
MEMBER = "member@northwind.example"
PASSWORD_LENGTH = 20
RATE_LIMIT = 6000  # so that whoever tries things out does not run into it
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Credentials:
    """What a visitor needs to look around."""

    client_key: str
    client_secret: SecretValue
    passwords: dict[str, SecretValue]  # by e-mail address


def prepare(parts: Parts) -> Credentials:
    """Bring the demo's data into being, or find it as it was left; return how to get in."""
    services = parts.services
    services.db.upgrade()
    organization = _organization(parts)
    _history(parts, organization)
    client_key, client_secret = _key(parts, organization)
    return Credentials(
        client_key,
        client_secret,
        {email: _password(services.vault, email) for email in (ADMIN, MEMBER)},
    )


def live(parts: Parts, stop: threading.Event, *, every: float) -> None:
    """Let a meeting end every so many seconds, so that there is something to see."""
    sight = Sight(_organization(parts).id)
    while not stop.wait(every):
        now = parts.services.clock.now()
        uuid, meeting = demo_data.ending_now(now)
        with parts.services.db.session() as session:
            parts.meetings.save(session, sight, uuid, meeting, SYSTEM)
        log.info("A meeting has ended: %s", meeting.subject)


def _organization(parts: Parts) -> Organization:
    """Return Northwind, with its two people; what an interrupted start left is completed."""
    services = parts.services
    with services.db.session() as session:
        found = services.accounts.organizations(session)
    organization = next((one for one in found if one.name == ORGANIZATION), None)
    if organization is None:
        with services.db.session() as session:
            organization = services.accounts.found(
                session,
                name=ORGANIZATION,
                email=ADMIN,
                password=_password(services.vault, ADMIN),
                actor=SYSTEM,
                admin="Ada Lindqvist",
            )
    with services.db.session() as session, suppress(AccountError):
        services.accounts.create_user(
            session,
            organization_id=organization.id,
            email=MEMBER,
            name="Mel Osei",
            role=Role.MEMBER,
            password=_password(services.vault, MEMBER),
            actor=SYSTEM,
        )
    return organization


def _history(parts: Parts, organization: Organization) -> None:
    """Bring the last two months' meetings into being, once, and what was booked before them."""
    sight, now = Sight(organization.id), parts.services.clock.now()
    always = MeetingsQuery(from_date=now - timedelta(days=36500), to_date=now, page_size=1)
    with parts.services.db.session() as session:
        if parts.meetings.list(session, sight, always).count:
            return
    with parts.services.db.session() as session:
        parts.bookings.save_many(session, sight, demo_data.booked(now))
    with parts.services.db.session() as session:
        parts.meetings.save_many(session, sight, demo_data.history(now))


def _password(vault: Vault, email: str) -> SecretValue:
    source = Random(vault.derive(f"demo password {email}"))  # noqa: S311 - seeded with a secret
    return SecretValue("".join(source.choices(ALPHABET, k=PASSWORD_LENGTH)))


def _key(parts: Parts, organization: Organization) -> tuple[str, SecretValue]:
    """Return the demo's key, made at the first start.

    When a visitor has regenerated or deleted it, their doing stands: the next one is made.
    """
    services = parts.services
    for number in count(1):
        seed = services.vault.derive(f"demo key {number}")
        source = Random(seed)  # noqa: S311 - as above
        client_key = credentials.generate_client_key(source)
        client_secret = credentials.generate_client_secret(client_key, source)
        if services.verification.by_secret(client_key, client_secret.reveal()):
            return client_key, client_secret
        with services.db.session() as session, suppress(AlreadyDone, NameTaken):
            # The same seed makes the same pair, so what is created here is what was tried above.
            Keys(services.vault, services.clock, random=Random(seed)).create(  # noqa: S311
                session,
                organization_id=organization.id,
                name="Demo" if number == 1 else f"Demo {number}",
                rate_limit=RATE_LIMIT,
                actor=SYSTEM,
                key_id=UUID(bytes=services.vault.derive(f"demo key id {number}")[:16], version=4),
            )
            return client_key, client_secret
    raise AssertionError("numbers never end")
