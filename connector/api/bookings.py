"""Bookings: put by whatever holds the scheduling pages. They are told in events, not listed."""

from http import HTTPStatus
from typing import Any

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from connector import auth
from connector.api import body, context
from connector.bookings import ingest
from connector.bookings.errors import BookingNotFound, InvalidBooking
from connector.bookings.schemas import Booking
from connector.meetings.fields import as_uuid
from connector.problems import BadRequest, NotFound, Unprocessable

bp = Blueprint("bookings", __name__)


@bp.put("/bookings/<booking_uuid>/", strict_slashes=False)
@auth.scoped("meetings:write")
def put(booking_uuid: str) -> ResponseReturnValue:
    """Add or replace a booking: 201 when it is new, else 200. Events follow what changed.

    404 for a key that does not see the whole organization, unless it sees this booking.
    """
    uuid = as_uuid(booking_uuid)
    if uuid is None:
        raise BadRequest(fields={"uuid": ["Must be a uuid, at the end of the address."]})
    try:
        given = ingest.booking(body.decoded())
    except InvalidBooking as error:
        raise Unprocessable(fields=error.fields) from error
    with context.changing() as session:
        try:
            saved = context.bookings().save(session, context.sight(), uuid, given, auth.actor())
        except BookingNotFound as error:
            raise NotFound(error.detail) from error
    answer = jsonify(_readable(saved.booking))
    if saved.created:
        answer.status_code = HTTPStatus.CREATED
    return answer


def _readable(booking: Booking) -> dict[str, Any]:
    """Return what the caller may read of a booking it has written: perhaps only which one."""
    may_read = "meetings:read" in auth.principal().scopes
    return booking.to_json() if may_read else {"uuid": str(booking.uuid)}
