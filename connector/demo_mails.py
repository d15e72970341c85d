"""The demo's mails: carried as anywhere else, only to a page instead of an SMTP server."""

import threading
from datetime import datetime
from email.message import EmailMessage
from uuid import UUID

from flask import Blueprint, Flask, current_app, render_template
from flask.typing import ResponseReturnValue
from sqlalchemy import LargeBinary, String, Uuid, select
from sqlalchemy.orm import Mapped, mapped_column

from connector.app import Parts
from keystore.access import public
from keystore.credentials import SecretValue
from keystore.db import Base, UtcDateTime, writing
from keystore.mail_models import ADDRESS_LENGTH, SUBJECT_LENGTH
from keystore.pages import MAILS_PAGE, NavItem
from keystore.resealing import Sealed

SHOWN = 50  # the newest ones
blueprint = Blueprint("demo_mails", __name__, url_prefix="/demo/mails", template_folder="templates")


class DemoMail(Base):
    """A mail as it would have gone out. Sealed as ever: it may hold a link that opens a door."""

    __tablename__ = "demo_mails"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    sender: Mapped[str] = mapped_column(String(ADDRESS_LENGTH))
    to: Mapped[str] = mapped_column(String(ADDRESS_LENGTH))
    subject: Mapped[str] = mapped_column(String(SUBJECT_LENGTH))
    sealed_text: Mapped[bytes] = mapped_column(LargeBinary)


class Sink:
    """A transport that ends in a table."""

    def __init__(self, parts: Parts) -> None:
        self._services = parts.services

    def send(self, message: EmailMessage, to: str) -> None:
        """Keep a mail; one that comes a second time is the same."""
        services = self._services
        mail_id = UUID(message["Message-ID"].strip("<>").partition("@")[0])
        text = SecretValue(message.get_content())
        with services.db.session() as session, writing(session):
            session.merge(
                DemoMail(
                    id=mail_id,
                    at=services.clock.now(),
                    sender=message["From"],
                    to=to,
                    subject=message["Subject"],
                    sealed_text=services.vault.seal(text, _context(mail_id)),
                )
            )

    def close(self) -> None:
        """There is no connection."""


def carry(parts: Parts, stop: threading.Event) -> None:
    """Carry mails to the page."""
    parts.carrier(Sink(parts)).run_forever(stop)


def init_app(app: Flask, parts: Parts) -> None:
    """Put the page into the demo's app, and into its navigation."""
    app.extensions["keyhook_demo"] = parts
    app.extensions["keyhook_nav"].append(NavItem("Mails", "demo_mails.index"))
    app.extensions[MAILS_PAGE] = "demo_mails.index"
    app.register_blueprint(blueprint)


@blueprint.get("/")
@public
def index() -> ResponseReturnValue:
    """Show the newest mails. To everybody: who forgot their password cannot sign in."""
    services = current_app.extensions["keyhook_demo"].services
    with services.db.session() as session, session.begin():
        found = session.scalars(
            select(DemoMail).order_by(DemoMail.at.desc(), DemoMail.id).limit(SHOWN)
        ).all()
    mails = [(mail, services.vault.open(mail.sealed_text, _context(mail.id))) for mail in found]
    return render_template("demo/mails.html", mails=mails)


def _context(mail_id: UUID) -> str:
    return f"demo mail:{mail_id}"


#: For whoever replaces the secret key.
SEALED = (Sealed("mails of the demo", DemoMail.sealed_text, DemoMail.id, _context),)
