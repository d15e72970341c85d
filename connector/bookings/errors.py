"""What can go wrong with bookings. Each error's text is one sentence that says what to do."""

from connector.meetings.errors import InvalidMeeting, MeetingsError


class BookingNotFound(MeetingsError):
    """In the caller's sight is no booking with this id. Whether another has one is not told."""

    detail = "There is no booking with this uuid."


class InvalidBooking(InvalidMeeting):
    """What came in is no booking; `fields` says where and how."""
