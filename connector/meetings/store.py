"""Meetings, transcripts and notes: every query within a Sight, every call one transaction."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from connector.meetings import notes, publishing, rows, transcripts, writes
from connector.meetings.batches import Totals, save_all
from connector.meetings.errors import MeetingNotFound, TranscriptNotFound
from connector.meetings.ingest import MeetingInput, TranscriptInput
from connector.meetings.links import Links
from connector.meetings.models import MeetingRow, NotesRow, TranscriptRow
from connector.meetings.queries import (
    MeetingsQuery,
    NotesQuery,
    matching,
    notes_matching,
    of_meeting,
    paged,
    visible,
)
from connector.meetings.record import Record, merged, with_outcome
from connector.meetings.schemas import Meeting, Note, Paragraph, Speaker, Transcript
from connector.meetings.sight import Sight
from keystore import callers
from keystore.audit import Actor
from keystore.clock import Clock
from keystore.db import writing
from keystore.scopes import READING, Reach, Rights

T = TypeVar("T")
#: Told of a meeting that is private or not, from now on: session, organization, meeting, which.
OnPrivacy = Callable[[Session, UUID, UUID, bool], None]


@dataclass(frozen=True)
class Saved:
    """A meeting as it is now, and whether this call made or changed it."""

    meeting: Meeting
    created: bool
    changed: bool


@dataclass(frozen=True)
class Listed(Generic[T]):
    """One page of results, and how many there are on all pages."""

    count: int
    results: Sequence[T]


class Meetings:
    """The meetings of all organizations, each seen through a Sight."""

    def __init__(self, clock: Clock, links: Links, on_privacy: Sequence[OnPrivacy] = ()) -> None:
        """`on_privacy`: called in the transaction in which a meeting becomes private, or not."""
        self._clock = clock
        self._links = links
        self._on_privacy = on_privacy

    def save(
        self,
        session: Session,
        sight: Sight,
        uuid: UUID,
        given: MeetingInput,
        actor: Actor,
    ) -> Saved:
        """Add a meeting or replace it, and publish what happened to it.

        The same input again changes nothing: `modified` stays, and no event is published. Who does
        not see the whole organization changes what is in sight and adds nothing, as otherwise the
        answer would tell whether a meeting out of sight has this uuid. Raises MeetingNotFound;
        CallerOver for a key whose credential has ended meanwhile.
        """
        with writing(session):
            callers.check_credential(session, actor, sight.organization_id)
            return self._save(session, sight, [(uuid, given)], publish=True)[0]

    def save_many(
        self,
        session: Session,
        sight: Sight,
        records: Iterable[tuple[UUID, MeetingInput]],
        *,
        publish: bool = True,
        progress: Callable[[Totals], None] = lambda _: None,
    ) -> Totals:
        """Save all of these or, when an exception comes up (from the iterable too), none.

        `progress` is called now and then with what was done so far. With publish=False no events
        are published: for history that nobody wants to hear of. Raises MeetingNotFound as `save`.
        """
        save = partial(self._save, session, sight, publish=publish)
        return save_all(session, records, save, progress)

    def set_outcome(
        self,
        session: Session,
        sight: Sight,
        uuid: UUID,
        label: str | None,
        actor: Actor,
    ) -> Saved:
        """Set a meeting's outcome, or clear it with None. Raises as `save`."""
        with writing(session):
            callers.check_credential(session, actor, sight.organization_id)
            stored = rows.load(session, sight, [uuid]).get(uuid)
            if stored is None:
                raise MeetingNotFound
            row, old = stored
            new = with_outcome(sight.organization_id, label, old, self._clock.now())
            if new is not old:
                writes.change(session, sight, row, old, new)
        return Saved(new.meeting, created=False, changed=new is not old)

    def get(
        self,
        session: Session,
        sight: Sight,
        uuid: UUID,
        *,
        include_crm_associations: bool = False,
    ) -> Meeting:
        """Return one meeting. Raises MeetingNotFound."""
        with session.begin():
            row = session.scalar(select(MeetingRow).where(visible(sight), MeetingRow.uuid == uuid))
            if row is None:
                raise MeetingNotFound
            return rows.to_meetings(
                session, sight, [row], with_associations=include_crm_associations
            )[0]

    def list(self, session: Session, sight: Sight, query: MeetingsQuery) -> Listed[Meeting]:
        """Return one page of the meetings asked for."""
        condition = matching(sight, query)
        with session.begin():
            count = session.scalar(select(func.count()).select_from(MeetingRow).where(condition))
            found = session.scalars(
                paged(select(MeetingRow).where(condition), query.order, query.page, query.page_size)
            ).all()
            meetings = rows.to_meetings(
                session, sight, found, with_associations=query.include_crm_associations
            )
        return Listed(count or 0, meetings)

    def reach(self, session: Session, organization_id: UUID, rights: Rights) -> Reach:
        """Return how many meetings somebody with these rights sees in an organization."""
        if not rights.operations & READING:
            return Reach(0, 0)
        sight = Sight.of(organization_id, rights)
        counts = select(func.count(), func.count().filter(MeetingRow.is_private.is_(True))).where(
            visible(sight)
        )
        with session.begin():
            return Reach(*session.execute(counts).one())

    def transcript(self, session: Session, sight: Sight, uuid: UUID) -> Transcript:
        """Return a transcript by its own uuid. Raises TranscriptNotFound."""
        row = self._transcript(session, sight, uuid)
        content = row.content
        return Transcript(
            uuid=uuid,
            meeting_uuid=row.meeting_uuid,
            speakers=[Speaker.model_validate(one) for one in content["speakers"]],
            transcript=[Paragraph.model_validate(one) for one in content["transcript"]],
            transcription_vtt_url=self._links.vtt_url(
                sight.organization_id, uuid, self._clock.now()
            ),
        )

    def captions(
        self,
        session: Session,
        organization_id: UUID,
        uuid: UUID,
        *,
        expires: int,
        signature: str,
    ) -> str:
        """Return the WebVTT file that a signed link leads to.

        Raises LinkRefused, TranscriptNotFound.
        """
        self._links.check(
            organization_id, uuid, expires=expires, signature=signature, now=self._clock.now()
        )
        row = self._transcript(session, Sight(organization_id), uuid)
        return transcripts.as_vtt(TranscriptInput.model_validate(row.content))

    def notes(self, session: Session, sight: Sight, query: NotesQuery) -> Listed[Note]:
        """Return one page of the notes asked for, rendered."""
        condition = notes_matching(sight, query)
        joined = select(MeetingRow, NotesRow).join(NotesRow, of_meeting(NotesRow)).where(condition)
        with session.begin():
            count = session.scalar(select(func.count()).select_from(joined.subquery()))
            found = session.execute(paged(joined, query.order, query.page, query.page_size)).all()
            meetings = rows.to_meetings(
                session, sight, [row for row, _ in found], with_associations=False
            )
        pairs = zip(meetings, (row for _, row in found), strict=True)
        return Listed(count or 0, [_note(meeting, row, query) for meeting, row in pairs])

    def _save(
        self,
        session: Session,
        sight: Sight,
        chunk: Sequence[tuple[UUID, MeetingInput]],
        *,
        publish: bool,
    ) -> Sequence[Saved]:
        """Save meetings with different uuids, in the caller's transaction."""
        now = self._clock.now()
        organization_id = sight.organization_id
        stored = rows.load(session, sight, [uuid for uuid, _ in chunk])
        if len(stored) < len(chunk) and not sight.is_whole:
            raise MeetingNotFound
        fresh = [
            merged(organization_id, uuid, given, None, now)
            for uuid, given in chunk
            if uuid not in stored
        ]
        added = writes.add_meetings(session, sight, fresh)
        if late := [one.meeting.uuid for one in fresh if one.meeting.uuid not in added]:
            # Another transaction added these since we looked; they are ours to change now.
            stored |= rows.load(session, sight, late)
        new = {record.meeting.uuid: record for record in fresh}
        results = []
        for uuid, given in chunk:
            row, old = (None, None) if uuid in added else stored[uuid]
            record = new[uuid] if old is None else merged(organization_id, uuid, given, old, now)
            if row is not None and old is not None and record is not old:
                writes.change(session, sight, row, old, record)
            if record is not old:
                publishing.publish(
                    session,
                    organization_id,
                    old,
                    record,
                    links=self._links,
                    now=now,
                    silent=not publish,
                )
                self._tell_privacy(session, organization_id, old, record)
            results.append(Saved(record.meeting, created=old is None, changed=record is not old))
        return results

    def _tell_privacy(
        self, session: Session, organization_id: UUID, old: Record | None, new: Record
    ) -> None:
        """Tell of a change. A meeting counts as not private until it is known."""
        was_private = old is not None and old.meeting.is_private
        if new.meeting.is_private != was_private:
            for tell in self._on_privacy:
                tell(session, organization_id, new.meeting.uuid, new.meeting.is_private)

    @staticmethod
    def _transcript(session: Session, sight: Sight, uuid: UUID) -> TranscriptRow:
        with session.begin():
            row = session.scalar(
                select(TranscriptRow)
                .join(MeetingRow, of_meeting(TranscriptRow))
                .where(visible(sight), TranscriptRow.uuid == uuid)
            )
        if row is None:
            raise TranscriptNotFound
        return row


def _note(meeting: Meeting, row: NotesRow, query: NotesQuery) -> Note:
    content = rows.notes_content(row)
    if query.custom_category is not None:
        content = notes.in_category(content, query.custom_category)
    data = notes.rendered(meeting, content, query.output_format)
    return Note(created=row.created, modified=row.modified, data=data)
