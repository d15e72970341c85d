"""Notes: a page of what was written down about meetings, as data, HTML or markdown."""

from http import HTTPStatus
from typing import get_args

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from connector import auth
from connector.api import context, paging
from connector.api.parameters import Parameters
from connector.meetings.notes import OutputFormat
from connector.meetings.queries import NotesOrder, NotesQuery

DEFAULT_PAGE_SIZE = 5
MAX_PAGE_SIZE = 20

bp = Blueprint("notes", __name__)


@bp.get("/notes/", strict_slashes=False)
@auth.scoped("notes:read")
def index() -> ResponseReturnValue:
    """List the notes of meetings that start within a window; 204 when there are none at all."""
    query = _query(Parameters(request.args))
    with context.session() as session:
        found = context.meetings().notes(session, context.sight(), query)
    if not found.count:
        return "", HTTPStatus.NO_CONTENT
    page = paging.envelope(
        found.results, count=found.count, page=query.page, page_size=query.page_size
    )
    return jsonify(page)


def _query(parameters: Parameters) -> NotesQuery:
    from_date, to_date = parameters.window()
    query = NotesQuery(
        from_date=from_date,
        to_date=to_date,
        page=parameters.page(),
        page_size=parameters.page_size(DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE),
        order=parameters.choice("o", get_args(NotesOrder), "-start_at"),
        output_format=parameters.choice("output_format", get_args(OutputFormat), "json"),
        meeting_uuid=parameters.uuid("meeting_uuid"),
        custom_category=parameters.uuid("custom_category"),
    )
    parameters.check()
    return query
