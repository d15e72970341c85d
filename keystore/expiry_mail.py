"""The mail about keys that come to their end: one for each person, however many keys."""

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from keystore import expiry
from keystore.errors import BadMail
from keystore.letters import Letter
from keystore.mail import Mails
from keystore.models import Key, Role, User

_EXPIRED = (
    "What has expired works no longer and cannot be brought back. Whatever still needs it needs a "
    "new key."
)
_EXPIRING = (
    "To keep a key, give it a later expiry; its secret stays as it is. Otherwise whatever uses it "
    "is refused from that moment on."
)

log = logging.getLogger(__name__)


def post(
    session: Session,
    mails: Mails,
    organization_id: UUID,
    keys: Sequence[Key],
    *,
    now: datetime,
    page: str,
) -> None:
    """Write to the admins about all these keys of theirs, and to persons about their own.

    In the caller's transaction. page: the address of the list of keys.
    """
    owners = {key.owner_id for key in keys} - {None}
    concerned = select(User).where(
        User.organization_id == organization_id,
        or_(User.role == Role.ADMIN, User.id.in_(owners)),
        User.is_active.is_(True),
    )
    for person in session.scalars(concerned.order_by(User.email)):
        theirs = [key for key in keys if person.role is Role.ADMIN or key.owner_id == person.id]
        letter = digest(theirs, now=now, page=page)
        try:
            mails.post(
                session,
                to=person.email,
                subject=letter.subject,
                text=letter.text,
                now=now,
                organization_id=organization_id,
            )
        except BadMail as error:  # the others are told, and so are the floors above
            log.warning("Somebody is not told of keys that expire. %s", error.detail)


def digest(keys: Iterable[Key], *, now: datetime, page: str) -> Letter:
    """Return the mail about some keys, those that end first before the others."""
    ends = [(key.expires_at, key.name, key.disabled_at) for key in keys if key.expires_at]
    listed = [_line(at, name, disabled_at, now) for at, name, disabled_at in sorted(ends, key=_by)]
    over = sum(expires_at <= now for expires_at, *_ in ends)
    parts = ["\n".join(listed)]
    if over:
        parts.append(_EXPIRED)
    if over < len(ends):
        parts.append(_EXPIRING)
    return Letter(_subject(len(ends), over), "\n\n".join([*parts, page]) + "\n")


def _by(end: tuple[datetime, str, datetime | None]) -> tuple[datetime, str]:
    return end[:2]


def _line(expires_at: datetime, name: str, disabled_at: datetime | None, now: datetime) -> str:
    at = f"{expires_at.day} {expires_at:%b %Y, %H:%M} UTC"
    ends = "expired" if expires_at <= now else f"expires {expiry.in_words(expires_at - now)},"
    return f"- “{name}” {ends} on {at}.{' It is disabled.' if disabled_at else ''}"


def _subject(count: int, over: int) -> str:
    if over == count:
        return "A key has expired" if count == 1 else f"{count} keys have expired"
    if over == 0:
        return "A key is about to expire" if count == 1 else f"{count} keys are about to expire"
    return f"{count} keys have expired or are about to"
