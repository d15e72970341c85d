"""Records to rows: new ones many at a time, changed ones by what differs. The caller commits."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import Delete, Table, delete, insert, select
from sqlalchemy.orm import Session

from connector.meetings.fields import fold_email
from connector.meetings.models import (
    AttendeeRow,
    CrmAssociationRow,
    MeetingRow,
    NotesRow,
    TranscriptRow,
)
from connector.meetings.record import Record, transcription_uuid
from connector.meetings.rows import PLAIN
from connector.meetings.sight import Sight
from keystore.db import inserting

_MEETINGS = cast("Table", MeetingRow.__table__)

Child = type[AttendeeRow] | type[CrmAssociationRow] | type[TranscriptRow] | type[NotesRow]


def add_meetings(session: Session, sight: Sight, records: Iterable[Record]) -> set[UUID]:
    """Insert these meetings with all that belongs to them; return the uuids that were free.

    A meeting that another transaction has inserted meanwhile is left alone and not returned.
    """
    by_uuid = {record.meeting.uuid: record for record in records}
    if not by_uuid:
        return set()
    insert = inserting(session.get_bind().dialect, _MEETINGS)
    added = set(
        session.scalars(
            insert.on_conflict_do_nothing().returning(_MEETINGS.c.uuid),
            [_columns(sight, record) for record in by_uuid.values()],
        )
    )
    new = [record for uuid, record in by_uuid.items() if uuid in added]
    _insert(session, AttendeeRow, [row for one in new for row in _attendees(sight, one)])
    _insert(session, CrmAssociationRow, [row for one in new for row in _associations(sight, one)])
    _insert(session, TranscriptRow, [row for one in new for row in _transcript(sight, one)])
    _insert(session, NotesRow, [row for one in new for row in _notes(sight, one, None)])
    return added


def change(session: Session, sight: Sight, row: MeetingRow, old: Record, new: Record) -> None:
    """Write what differs between the stored record and the new one."""
    for column, value in _columns(sight, new).items():
        setattr(row, column, value)
    session.flush()
    if new.meeting.attendees != old.meeting.attendees:
        _replace(session, sight, AttendeeRow, row.uuid, _attendees(sight, new))
    if new.meeting.crm_associations != old.meeting.crm_associations:
        _replace(session, sight, CrmAssociationRow, row.uuid, _associations(sight, new))
    if new.transcript != old.transcript:
        _replace(session, sight, TranscriptRow, row.uuid, _transcript(sight, new))
    if new.notes != old.notes:
        created = session.scalar(
            select(NotesRow.created).where(
                NotesRow.organization_id == sight.organization_id,
                NotesRow.meeting_uuid == row.uuid,
            )
        )
        _replace(session, sight, NotesRow, row.uuid, _notes(sight, new, created))


def _replace(
    session: Session,
    sight: Sight,
    child: Child,
    uuid: UUID,
    rows: Sequence[Mapping[str, Any]],
) -> None:
    session.execute(_without(child, sight, uuid))
    _insert(session, child, rows)


def _without(child: Child, sight: Sight, uuid: UUID) -> Delete:
    return (
        delete(child)
        .where(child.organization_id == sight.organization_id, child.meeting_uuid == uuid)
        .execution_options(synchronize_session=False)
    )


def _insert(session: Session, child: Child, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        session.execute(insert(child), rows)


def _columns(sight: Sight, record: Record) -> dict[str, Any]:
    meeting = record.meeting
    return {
        "organization_id": sight.organization_id,
        **{field: getattr(meeting, field) for field in PLAIN},
        "call": _plain(record.call) if record.call else None,
        "purpose": meeting.purpose.label if meeting.purpose else None,
        "outcome": meeting.outcome.label if meeting.outcome else None,
    }


def _belonging(sight: Sight, record: Record) -> dict[str, Any]:
    return {"organization_id": sight.organization_id, "meeting_uuid": record.meeting.uuid}


def _attendees(sight: Sight, record: Record) -> list[dict[str, Any]]:
    return [
        {
            **_belonging(sight, record),
            "position": position,
            "uuid": one.uuid,
            "email": one.email,
            "email_key": fold_email(one.email),
            "name": one.name,
            "response_status": one.response_status,
        }
        for position, one in enumerate(record.meeting.attendees)
    ]


def _associations(sight: Sight, record: Record) -> list[dict[str, Any]]:
    return [
        {
            **_belonging(sight, record),
            "position": position,
            "crm_obj_id": one.crm_obj_id,
            "crm_obj_type": one.crm_obj_type,
        }
        for position, one in enumerate(record.meeting.crm_associations or ())
    ]


def _transcript(sight: Sight, record: Record) -> list[dict[str, Any]]:
    if record.transcript is None:
        return []
    uuid = transcription_uuid(sight.organization_id, record.meeting.uuid)
    return [{**_belonging(sight, record), "uuid": uuid, "content": _plain(record.transcript)}]


def _notes(sight: Sight, record: Record, created: datetime | None) -> list[dict[str, Any]]:
    if record.notes is None:
        return []
    return [
        {
            **_belonging(sight, record),
            "created": created or record.meeting.modified,
            "modified": record.meeting.modified,
            "sections": [_plain(one) for one in record.notes.sections],
            "action_items": [_plain(one) for one in record.notes.action_items],
        }
    ]


def _plain(content: BaseModel) -> dict[str, Any]:
    return content.model_dump(mode="json")
