"""The mail that tells those concerned of a secret that was found in the open."""

from contextlib import suppress
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from keystore.errors import BadMail
from keystore.leak_models import Leaked, LeakReport
from keystore.mail import Mails
from keystore.models import Key, Role, User
from keystore.rotation import LeakAction

SUBJECT = "A secret of one of your keys was found in the open"

_WHAT = {Leaked.SECRET: "The Client Secret", Leaked.TOKEN: "An access token"}
_NEXT = {
    (Leaked.SECRET, LeakAction.NONE): "It was not changed. Whoever has found it can use it until "
    "you regenerate the key.",
    (Leaked.SECRET, LeakAction.RETIRED): "It stops working at {until}. Nobody holds its successor: "
    "regenerate the key before then to get a new secret, and put that where the old one was.",
    (Leaked.SECRET, LeakAction.KILLED): "It has stopped working. Nobody holds its successor: "
    "regenerate the key to get a new secret, and put that where the old one was.",
    (Leaked.TOKEN, LeakAction.NONE): "It was not changed. It works for an hour at the most, and "
    "the Client Secret is not in it.",
    (Leaked.TOKEN, LeakAction.KILLED): "It has stopped working. The Client Secret is not in it and "
    "goes on working; whoever uses it gets a new token by themselves.",
}
_ASLEEP = (
    "The key is disabled, so it was left as it is and nothing of it works now. If you enable it "
    "again, regenerate it at once, as compromised."
)


def post(session: Session, mails: Mails, report: LeakReport, key: Key, key_page: str) -> None:
    """Write to all admins of the key's organization, and to the person whose key it is.

    In the caller's transaction.
    """
    concerned = select(User.email).where(
        User.organization_id == key.organization_id,
        or_(User.role == Role.ADMIN, User.id == key.owner_id),
        User.is_active.is_(True),
    )
    for email in session.scalars(concerned.order_by(User.email)):
        # An address that cannot be written to must not keep a leaked secret alive.
        with suppress(BadMail):
            mails.post(
                session,
                to=email,
                subject=SUBJECT,
                text=text(report, key, key_page),
                now=report.reported_at,
                organization_id=key.organization_id,
            )


def text(report: LeakReport, key: Key, key_page: str) -> str:
    """Return what the mail says: what was found, where, what was done, what to do."""
    place = f"Where: {report.url}" if report.url else "The place was not reported."
    follows = _NEXT[report.what, report.action].format(until=_spoken(report.until))
    if key.disabled_at is not None and report.action is LeakAction.NONE:
        follows = _ASLEEP
    return (
        f"{_WHAT[report.what]} of the key “{key.name}” was found where others can read it.\n\n"
        f"{place}\n\n{follows}\n\n{key_page}\n"
    )


def _spoken(at: datetime | None) -> str:
    return "" if at is None else f"{at.day} {at:%b %Y, %H:%M} UTC"
