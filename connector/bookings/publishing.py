"""What a change of a booking tells to subscribers, and to whom; in the caller's transaction."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from connector.bookings import events, rows
from connector.bookings.record import happened, people
from connector.bookings.schemas import Booking
from connector.meetings.fields import fold_email
from webhooks import audiences, outbox


def publish(
    session: Session,
    organization_id: UUID,
    old: Booking | None,
    new: Booking,
    *,
    private: bool,
    now: datetime,
    silent: bool,
) -> None:
    """Publish what happened to a booking, unless silent; and keep earlier events' audience right.

    private: whether it is now, or the meeting that was booked.
    """
    happening = None if silent else happened(old, new)
    if happening is None and old is None:
        return
    audience = _show(session, organization_id, new, private=private)
    if happening is not None:
        outbox.publish(
            session,
            organization_id=organization_id,
            event_type=events.event_type(happening),
            body=events.body(happening, new),
            subject=_subject(new),
            audience=audience,
            now=now,
        )


def follow(session: Session, organization_id: UUID, meeting_uuid: UUID, is_private: bool) -> None:
    """Let a meeting that turns private, or is so no longer, take its bookings along.

    As a `connector.meetings.store.OnPrivacy`: in the transaction in which that happens.
    """
    for row in rows.of_meeting(session, organization_id, meeting_uuid):
        booking = rows.to_booking(row)
        _show(session, organization_id, booking, private=is_private or booking.is_private)


def _show(session: Session, organization_id: UUID, booking: Booking, *, private: bool) -> int:
    """Say who may see what was and will be told of a booking; return the audience's id.

    People are there as they sign in and, if it differs, folded; the organizer, whose team counts,
    as they sign in.
    """
    emails = people(booking)
    return audiences.show_to(
        session,
        organization_id=organization_id,
        subject=_subject(booking),
        people={email.lower() for email in emails} | {fold_email(email) for email in emails},
        private=private,
        attributed=booking.organizer_email.strip().lower(),
    )


def _subject(booking: Booking) -> str:
    # Not the bare uuid: products choose those of their meetings, which are subjects, too.
    return f"booking:{booking.uuid}"
