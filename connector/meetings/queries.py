"""Which meetings or notes somebody asks for, and the SQL for it. All of it within a Sight."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, select

from connector.meetings.models import (
    AttendeeRow,
    CrmAssociationRow,
    MeetingRow,
    NotesRow,
    TranscriptRow,
)
from connector.meetings.sight import Sight

#: Query parameter -> the types its ids may have in an association. A deal is `oppo` there in the
#: contract, and `opportunity` in other places of it; products send either.
CRM_TYPES = {
    "crm_account_ids": ("account",),
    "crm_opportunity_ids": ("oppo", "opportunity"),
    "crm_contact_ids": ("contact",),
    "crm_lead_ids": ("lead",),
}

MeetingOrder = Literal["start_at", "-start_at"]
NotesOrder = Literal["start_at", "-start_at", "modified", "-modified"]


@dataclass(frozen=True)
class MeetingsQuery:
    """A page of the meetings that start within a window, both ends included.

    Filters narrow one another; within one filter any match is enough. `attendee_emails` are
    folded (`fields.fold_email`); `crm_ids` are by query parameter, see `CRM_TYPES`.
    """

    from_date: datetime
    to_date: datetime
    page: int = 1
    page_size: int = 10
    order: MeetingOrder = "-start_at"
    is_call: bool | None = None
    is_internal: bool | None = None
    min_recording_duration: float | None = None
    attendee_emails: tuple[str, ...] = ()
    crm_ids: tuple[tuple[str, tuple[str, ...]], ...] = ()
    include_crm_associations: bool = False


@dataclass(frozen=True)
class NotesQuery:
    """A page of the notes of meetings that start within a window, both ends included."""

    from_date: datetime
    to_date: datetime
    page: int = 1
    page_size: int = 5
    order: NotesOrder = "-start_at"
    output_format: Literal["json", "html", "markdown"] = "json"
    meeting_uuid: UUID | None = None
    custom_category: UUID | None = None


S = TypeVar("S", Select[MeetingRow], Select[MeetingRow, NotesRow])


def visible(sight: Sight) -> ColumnElement[bool]:
    """Return the condition that every query on meetings starts from."""
    conditions = [MeetingRow.organization_id == sight.organization_id]
    if not sight.private:
        conditions.append(MeetingRow.is_private.is_(False))
    if sight.person is not None:
        conditions.append(_with_any_of(sight.organization_id, (sight.person,)))
    return and_(*conditions)


def matching(sight: Sight, query: MeetingsQuery) -> ColumnElement[bool]:
    """Return the condition for the meetings asked for, whatever the page."""
    conditions = [
        visible(sight),
        MeetingRow.start_at >= query.from_date,
        MeetingRow.start_at <= query.to_date,
    ]
    if query.is_call is not None:
        conditions.append(MeetingRow.is_call.is_(query.is_call))
    if query.is_internal is not None:
        conditions.append(MeetingRow.is_internal.is_(query.is_internal))
    if query.min_recording_duration is not None:
        # Without a recording there is no length of one, however long the meeting was.
        conditions.append(MeetingRow.recording_uuid.is_not(None))
        conditions.append(MeetingRow.duration >= query.min_recording_duration)
    if query.attendee_emails:
        conditions.append(_with_any_of(sight.organization_id, query.attendee_emails))
    for parameter, ids in query.crm_ids:
        associated = select(CrmAssociationRow.meeting_uuid).where(
            CrmAssociationRow.organization_id == sight.organization_id,
            CrmAssociationRow.crm_obj_id.in_(ids),
            CrmAssociationRow.crm_obj_type.in_(CRM_TYPES[parameter]),
        )
        conditions.append(MeetingRow.uuid.in_(associated))
    return and_(*conditions)


def notes_matching(sight: Sight, query: NotesQuery) -> ColumnElement[bool]:
    """Return the condition for the notes asked for, joined with their meetings."""
    conditions = [
        visible(sight),
        MeetingRow.start_at >= query.from_date,
        MeetingRow.start_at <= query.to_date,
    ]
    if query.meeting_uuid is not None:
        conditions.append(MeetingRow.uuid == query.meeting_uuid)
    return and_(*conditions)


def of_meeting(
    child: type[AttendeeRow | CrmAssociationRow | NotesRow | TranscriptRow],
) -> ColumnElement[bool]:
    """Return the condition that joins a child table with its meeting."""
    return and_(
        child.organization_id == MeetingRow.organization_id,
        child.meeting_uuid == MeetingRow.uuid,
    )


def paged(select_: S, order: MeetingOrder | NotesOrder, page: int, page_size: int) -> S:
    """Cut one page out of a select. Equal moments are told apart by uuid: pages never overlap."""
    column = NotesRow.modified if order.endswith("modified") else MeetingRow.start_at
    columns: tuple[ColumnElement[Any], ...] = (column, MeetingRow.uuid)  # type: ignore[assignment]
    if order.startswith("-"):
        columns = tuple(one.desc() for one in columns)
    return select_.order_by(*columns).limit(page_size).offset((page - 1) * page_size)


def _with_any_of(organization_id: UUID, people: tuple[str, ...]) -> ColumnElement[bool]:
    """Return the condition for meetings in which one of these (folded addresses) takes part."""
    attended = select(AttendeeRow.meeting_uuid).where(
        AttendeeRow.organization_id == organization_id, AttendeeRow.email_key.in_(people)
    )
    return MeetingRow.uuid.in_(attended)
