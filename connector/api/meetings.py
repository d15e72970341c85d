"""Meetings: list, get, put (a product's ingest), and the outcome that somebody sets."""

from http import HTTPStatus
from typing import Any, get_args
from uuid import UUID

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from connector import auth
from connector.api import body, context, paging
from connector.api.parameters import Parameters
from connector.meetings import ingest
from connector.meetings.errors import InvalidMeeting, MeetingNotFound
from connector.meetings.fields import as_uuid
from connector.meetings.queries import CRM_TYPES, MeetingOrder, MeetingsQuery
from connector.meetings.schemas import Meeting
from connector.problems import BadRequest, NotFound, Unprocessable

DEFAULT_PAGE_SIZE = 10
MAX_PAGE_SIZE = 100

bp = Blueprint("meetings", __name__)


@bp.get("/meetings/", strict_slashes=False)
@auth.scoped("meetings:read")
def index() -> ResponseReturnValue:
    """List the meetings that start within a window, a page at a time."""
    query = _query(Parameters(request.args))
    with context.session() as session:
        found = context.meetings().list(session, context.sight(), query)
    page = paging.envelope(
        found.results, count=found.count, page=query.page, page_size=query.page_size
    )
    return jsonify(page)


@bp.get("/meetings/<meeting_uuid>/", strict_slashes=False)
@auth.scoped("meetings:read")
def show(meeting_uuid: str) -> ResponseReturnValue:
    """Return one meeting."""
    parameters = Parameters(request.args)
    with_associations = parameters.boolean("include_crm_associations") or False
    parameters.check()
    with context.session() as session:
        try:
            meeting = context.meetings().get(
                session,
                context.sight(),
                _existing(meeting_uuid),
                include_crm_associations=with_associations,
            )
        except MeetingNotFound as error:
            raise NotFound(error.detail) from error
    return jsonify(meeting.to_json())


@bp.put("/meetings/<meeting_uuid>/", strict_slashes=False)
@auth.scoped("meetings:write")
def put(meeting_uuid: str) -> ResponseReturnValue:
    """Add or replace a meeting: 201 when it is new, else 200. Events follow what changed.

    404 for a key that does not see the whole organization, unless it sees this meeting.
    """
    uuid = as_uuid(meeting_uuid)
    if uuid is None:
        raise BadRequest(fields={"uuid": ["Must be a uuid, at the end of the address."]})
    try:
        given = ingest.meeting(body.decoded())
    except InvalidMeeting as error:
        raise Unprocessable(fields=error.fields) from error
    with context.changing() as session:
        try:
            saved = context.meetings().save(session, context.sight(), uuid, given, auth.actor())
        except MeetingNotFound as error:
            raise NotFound(error.detail) from error
    answer = jsonify(_readable(saved.meeting))
    if saved.created:
        answer.status_code = HTTPStatus.CREATED
        answer.headers["Location"] = context.whole_url(f"/v1/meetings/{uuid}/")
    return answer


@bp.patch("/meetings/<meeting_uuid>/", strict_slashes=False)
@auth.scoped("meetings:write")
def patch(meeting_uuid: str) -> ResponseReturnValue:
    """Set the outcome with `{"outcome": {"label": "Won"}}`, clear it with `{"outcome": null}`."""
    uuid = _existing(meeting_uuid)
    try:
        label = ingest.outcome(body.decoded())
        with context.changing() as session:
            saved = context.meetings().set_outcome(
                session, context.sight(), uuid, label, auth.actor()
            )
    except InvalidMeeting as error:
        raise Unprocessable(fields=error.fields) from error
    except MeetingNotFound as error:
        raise NotFound(error.detail) from error
    return jsonify(_readable(saved.meeting))


def _readable(meeting: Meeting) -> dict[str, Any]:
    """Return what the caller may read of a meeting it has written: perhaps only which one."""
    may_read = "meetings:read" in auth.principal().scopes
    return meeting.to_json() if may_read else {"uuid": str(meeting.uuid)}


def _existing(meeting_uuid: str) -> UUID:
    """Read the uuid in an address; what is none cannot be found."""
    uuid = as_uuid(meeting_uuid)
    if uuid is None:
        raise NotFound(MeetingNotFound.detail)
    return uuid


def _query(parameters: Parameters) -> MeetingsQuery:
    from_date, to_date = parameters.window()
    query = MeetingsQuery(
        from_date=from_date,
        to_date=to_date,
        page=parameters.page(),
        page_size=parameters.page_size(DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE),
        order=parameters.choice("o", get_args(MeetingOrder), "-start_at"),
        is_call=parameters.boolean("is_call"),
        is_internal=parameters.boolean("is_internal"),
        min_recording_duration=parameters.number("recording_duration__gte"),
        attendee_emails=parameters.emails("attendee_emails"),
        crm_ids=tuple((name, ids) for name in CRM_TYPES if (ids := parameters.values(name))),
        include_crm_associations=parameters.boolean("include_crm_associations") or False,
    )
    parameters.check()
    return query
