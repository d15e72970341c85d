"""Bookings to rows and back, many at a time, in the caller's transaction."""

from collections.abc import Collection, Iterable
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Table, select
from sqlalchemy.orm import Session

from connector.bookings.models import BookingRow
from connector.bookings.schemas import Booking
from connector.meetings.models import MeetingRow
from keystore.db import inserting

_BOOKINGS = cast("Table", BookingRow.__table__)


def load(session: Session, organization_id: UUID, uuids: Collection[UUID]) -> list[BookingRow]:
    """Return the rows of these bookings, locked until the transaction ends."""
    return list(
        session.scalars(
            select(BookingRow)
            .where(BookingRow.organization_id == organization_id, BookingRow.uuid.in_(uuids))
            .order_by(BookingRow.uuid)  # one order for all, so that two writers do not deadlock
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    )


def of_meeting(session: Session, organization_id: UUID, meeting_uuid: UUID) -> list[BookingRow]:
    """Return the rows of a meeting's bookings, locked likewise."""
    return list(
        session.scalars(
            select(BookingRow)
            .where(
                BookingRow.organization_id == organization_id,
                BookingRow.meeting_uuid == meeting_uuid,
            )
            .order_by(BookingRow.uuid)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    )


def private_meetings(
    session: Session, organization_id: UUID, uuids: Collection[UUID], *, hold: bool = False
) -> set[UUID]:
    """Return which of these meetings are private, as far as they are known.

    hold: none of them changes until the transaction ends. Take hold before bookings are locked, as
    whoever changes a meeting does.
    """
    query = (
        select(MeetingRow.uuid, MeetingRow.is_private)
        .where(MeetingRow.organization_id == organization_id, MeetingRow.uuid.in_(uuids))
        .order_by(MeetingRow.uuid)
    )
    if hold:
        query = query.with_for_update(read=True)
    return {uuid for uuid, is_private in session.execute(query) if is_private}


def add(session: Session, organization_id: UUID, bookings: Iterable[Booking]) -> set[UUID]:
    """Insert these bookings; return the uuids that were free.

    One that another transaction has inserted meanwhile is left alone and not returned.
    """
    new = [{"organization_id": organization_id, **_columns(one)} for one in bookings]
    if not new:
        return set()
    insert = inserting(session.get_bind().dialect, _BOOKINGS)
    return set(session.scalars(insert.on_conflict_do_nothing().returning(_BOOKINGS.c.uuid), new))


def write(row: BookingRow, booking: Booking) -> None:
    """Write into a row what its booking is now."""
    for column, value in _columns(booking).items():
        setattr(row, column, value)


def to_booking(row: BookingRow) -> Booking:
    """Return the booking in a row."""
    return Booking.model_validate({field: getattr(row, field) for field in Booking.model_fields})


def _columns(booking: Booking) -> dict[str, Any]:
    plain = {field: getattr(booking, field) for field in Booking.model_fields}
    return plain | {
        "invitee_details": booking.invitee_details.to_json(),
        "invitee_responses": [one.to_json() for one in booking.invitee_responses],
    }
