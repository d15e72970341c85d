"""Bookings: every write within a Sight, every call one transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from sqlalchemy.orm import Session

from connector.bookings import publishing, rows
from connector.bookings.errors import BookingNotFound
from connector.bookings.ingest import BookingInput
from connector.bookings.models import BookingRow
from connector.bookings.record import merged, shows
from connector.bookings.schemas import Booking
from connector.meetings.batches import Totals, save_all
from connector.meetings.sight import Sight
from keystore import callers
from keystore.audit import Actor
from keystore.clock import Clock
from keystore.db import writing


@dataclass(frozen=True)
class Saved:
    """A booking as it is now, and whether this call made or changed it."""

    booking: Booking
    created: bool
    changed: bool


class Bookings:
    """The bookings of all organizations, each seen through a Sight."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def save(
        self,
        session: Session,
        sight: Sight,
        uuid: UUID,
        given: BookingInput,
        actor: Actor,
    ) -> Saved:
        """Add a booking or replace it, and publish what happened to it.

        The same input again changes nothing, and nothing is published. Who does not see the whole
        organization changes what is in sight and adds nothing, as with meetings. Raises
        BookingNotFound; CallerOver for a key whose credential has ended meanwhile.
        """
        with writing(session):
            callers.check_credential(session, actor, sight.organization_id)
            return self._save(session, sight, [(uuid, given)], publish=True)[0]

    def save_many(
        self,
        session: Session,
        sight: Sight,
        records: Iterable[tuple[UUID, BookingInput]],
        *,
        publish: bool = True,
    ) -> Totals:
        """Save all of these or, when an exception comes up (from the iterable too), none.

        With publish=False no events are published: for history. Raises BookingNotFound as `save`.
        """
        save = partial(self._save, session, sight, publish=publish)
        return save_all(session, records, save)

    def _save(
        self,
        session: Session,
        sight: Sight,
        chunk: Sequence[tuple[UUID, BookingInput]],
        *,
        publish: bool,
    ) -> Sequence[Saved]:
        """Save bookings with different uuids, in the caller's transaction."""
        now, organization_id = self._clock.now(), sight.organization_id
        meetings = {given.meeting_uuid for _, given in chunk}
        private = rows.private_meetings(session, organization_id, meetings, hold=True)
        stored = _stored(session, sight, [uuid for uuid, _ in chunk])
        if len(stored) < len(chunk) and not sight.is_whole:
            raise BookingNotFound
        fresh = [merged(uuid, given, None, now) for uuid, given in chunk if uuid not in stored]
        added = rows.add(session, organization_id, fresh)
        if late := [one.uuid for one in fresh if one.uuid not in added]:
            # Another transaction added these since we looked; they are ours to change now.
            stored |= _stored(session, sight, late)
        saved = []
        for uuid, given in chunk:
            row, old = (None, None) if uuid in added else stored[uuid]
            booking = merged(uuid, given, old, now)
            if row is not None and booking is not old:
                rows.write(row, booking)
            if booking is not old:
                publishing.publish(
                    session,
                    organization_id,
                    old,
                    booking,
                    private=booking.is_private or booking.meeting_uuid in private,
                    now=now,
                    silent=not publish,
                )
            saved.append(Saved(booking, created=old is None, changed=booking is not old))
        return saved


Stored = dict[UUID, tuple[BookingRow, Booking]]


def _stored(session: Session, sight: Sight, uuids: Sequence[UUID]) -> Stored:
    """Return those of the bookings that there are and that are in sight, locked."""
    found = [
        (row, rows.to_booking(row)) for row in rows.load(session, sight.organization_id, uuids)
    ]
    meetings = {booking.meeting_uuid for _, booking in found}
    private = rows.private_meetings(session, sight.organization_id, meetings)
    return {
        booking.uuid: (row, booking)
        for row, booking in found
        if shows(sight, booking, private=booking.is_private or booking.meeting_uuid in private)
    }
