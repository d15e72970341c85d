"""What a change of a meeting tells to subscribers, and to whom; in the caller's transaction."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from connector.meetings import events
from connector.meetings.fields import fold_email
from connector.meetings.links import Links
from connector.meetings.record import Record, happened
from connector.meetings.schemas import Meeting
from webhooks import audiences, outbox


def publish(
    session: Session,
    organization_id: UUID,
    old: Record | None,
    new: Record,
    *,
    links: Links,
    now: datetime,
    silent: bool,
) -> None:
    """Publish what happened to a meeting, unless silent; and keep earlier events' audience right.

    A meeting that turns private, or that somebody leaves, takes along what was told of it before.
    """
    happenings = () if silent else happened(old, new)
    same = old is not None and _audience(old.meeting) == _audience(new.meeting)
    if not happenings and (old is None or same):
        return
    people, private, organizer = _audience(new.meeting)
    subject = str(new.meeting.uuid)
    audience = audiences.show_to(
        session,
        organization_id=organization_id,
        subject=subject,
        people=people,
        private=private,
        attributed=organizer,
    )
    vtt_url, uuid = None, new.meeting.transcription_uuid
    if happenings and new.transcript is not None and uuid is not None:
        vtt_url = links.vtt_url(organization_id, uuid, now)
    for happening in happenings:
        outbox.publish(
            session,
            organization_id=organization_id,
            event_type=events.event_type(happening),
            body=events.body(happening, new, vtt_url, old),
            subject=subject,
            audience=audience,
            now=now,
        )


def _audience(meeting: Meeting) -> tuple[frozenset[str], bool, str]:
    """Return (people, private, organizer, to whom the meeting is put down).

    People are there as they sign in and, if it differs, folded; the organizer as they sign in.
    """
    emails = [one.email.strip() for one in meeting.attendees]  # the organizer's is one of them
    people = {email.lower() for email in emails} | {fold_email(email) for email in emails}
    return frozenset(people), meeting.is_private, meeting.organizer_email.strip().lower()
