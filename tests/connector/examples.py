"""The declaration that the tests emit, built from the real event types."""

from connector.bookings import events as bookings
from connector.meetings import events as meetings
from connector.spec import Shape, Spec, describe

BASE_URL = "https://meet.northwind.example"
MEETING = Shape(meetings.meeting_schema(), meetings.meeting_sample())
EVENT_TYPES = (*meetings.event_types(), *bookings.event_types())


def example_spec(base_url: str = BASE_URL) -> Spec:
    return describe(EVENT_TYPES, meeting=MEETING, base_url=base_url)
