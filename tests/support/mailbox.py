"""What people would find in their mailboxes, read from the mails that wait to be sent."""

import re
from dataclasses import dataclass

from sqlalchemy import select

from keystore.db import Database
from keystore.mail_models import Mail
from keystore.vault import Vault


@dataclass(frozen=True)
class Letter:
    """One mail that waits to be sent."""

    to: str
    subject: str
    text: str

    @property
    def link(self) -> str:
        """The path of the link into our site."""
        [path] = re.findall(r"^http://127\.0\.0\.1:8400(/\S+/)$", self.text, re.MULTILINE)
        return str(path)

    @property
    def token(self) -> str:
        return self.link.strip("/").rpartition("/")[2]


def letters(database: Database, vault: Vault) -> list[Letter]:
    """Return all mails that wait, oldest first; those of one moment in any order."""
    with database.session() as session:
        waiting = session.scalars(
            select(Mail).where(Mail.sealed_text.is_not(None)).order_by(Mail.created_at)
        ).all()
    return [
        Letter(mail.to, mail.subject, vault.open(mail.sealed_text, f"mail:{mail.id}").reveal())
        for mail in waiting
        if mail.sealed_text is not None
    ]
