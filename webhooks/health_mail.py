"""The mail about a subscription that fails, to an organization's admins."""

import logging
from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.orm import Session

from keystore.errors import BadMail
from keystore.letters import Letter
from keystore.mail import Mails
from keystore.models import Role, User
from webhooks.health import Ailing

log = logging.getLogger(__name__)


def poster(mails: Mails, base_url: str) -> Callable[[Session, Ailing], None]:
    """Return what writes to the admins; a `health.OnAiling`."""
    page = f"{base_url.rstrip('/')}/settings/organization/developer/subscriptions/"

    def post(session: Session, ailing: Ailing) -> None:
        written = letter(ailing, page)
        organization_id = ailing.subscription.organization_id
        admins = select(User).where(
            User.organization_id == organization_id,
            User.role == Role.ADMIN,
            User.is_active.is_(True),
        )
        for admin in session.scalars(admins.order_by(User.email)):
            try:
                mails.post(
                    session,
                    to=admin.email,
                    subject=written.subject,
                    text=written.text,
                    now=ailing.at,
                    organization_id=organization_id,
                )
            except BadMail as error:  # the others are told
                log.warning("Somebody is not told of a subscription. %s", error.detail)

    return post


def letter(ailing: Ailing, page: str) -> Letter:
    """Return the mail. Of the target it names the host alone, as the rest may be a secret."""
    subscription = ailing.subscription
    host = urlsplit(subscription.target_url).hostname
    types = ", ".join(subscription.types)
    facts = (
        f"Every attempt to send {types} to {host} has failed since "
        f"{_moment(ailing.failing_since)}. The last one: {ailing.failure}"
    )
    if ailing.is_switched_off:
        subject = f"Webhooks to {host} are switched off"
        advice = (
            "The subscription is switched off, and nothing more is sent to it. When the receiver "
            "is well again, switch it on there; what was missed can be sent then."
        )
    else:
        subject = f"Webhooks to {host} fail"
        advice = (
            f"{ailing.percent} % of the time for which this may go on has passed. After it the "
            "subscription is switched off. Please see what is wrong with the receiver."
        )
    return Letter(subject, f"{facts}\n\n{advice}\n\n{page}\n")


def _moment(at: datetime) -> str:
    return f"{at.day} {at:%b %Y, %H:%M} UTC"
