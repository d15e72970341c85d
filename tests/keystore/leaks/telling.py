"""What can be seen afterwards: of keys, of reports, of the mails, of the record."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select, text

from keystore import audit, mail
from keystore.audit import Actor
from keystore.db import Database
from keystore.keys import Issued
from keystore.leak_models import LeakReport
from keystore.mail_models import Mail
from keystore.models import AuditEvent
from keystore.rotation import LeakPolicy, SecretState
from keystore.vault import Vault
from keystore.verification import Verification

GITHUB = Actor("system", "GitHub secret scanning")
URL = "https://github.com/octocat/hello/blob/1/.env"
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
CURRENT, RETIRING, DEAD = SecretState
NOTIFY, RETIRE, KILL = LeakPolicy

Report = Callable[..., bool]
Regenerate = Callable[..., Issued]


def secret_of(issued: Issued) -> str:
    return issued.client_secret.reveal()


def works(verification: Verification, issued: Issued) -> bool:
    return verification.by_secret(issued.key.client_key, secret_of(issued)) is not None


def reports(database: Database) -> list[LeakReport]:
    with database.session() as session, session.begin():
        return list(session.scalars(select(LeakReport).order_by(LeakReport.id)))


def letters(database: Database) -> list[str]:
    with database.session() as session, session.begin():
        return sorted(session.scalars(select(Mail.to)))


def opened(database: Database, vault: Vault) -> list[str]:
    """What the letters say."""
    with database.session() as session, session.begin():
        sealed = {one.id: one.sealed_text for one in session.scalars(select(Mail))}
    return [
        vault.open(text, mail.context(mail_id)).reveal()
        for mail_id, text in sealed.items()
        if text is not None
    ]


def rows(database: Database) -> list[tuple[object, ...]]:
    """Everything that says how keys and secrets are."""
    with database.reader.connect() as connection:
        return [
            tuple(row)
            for table in ("keys", "secrets", "access_tokens")
            for row in connection.execute(text(f"SELECT * FROM {table} ORDER BY id"))
        ]


def told(database: Database, organization_id: UUID, action: str) -> list[AuditEvent]:
    with database.session() as session:
        return [one for one in audit.events(session, organization_id) if one.action == action]
