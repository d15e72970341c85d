"""The declaration that the tests emit, built from the real event types."""

from connector.meetings.events import event_types, meeting_sample, meeting_schema
from connector.spec import Shape, Spec, describe

BASE_URL = "https://meet.northwind.example"
MEETING = Shape(meeting_schema(), meeting_sample())


def example_spec(base_url: str = BASE_URL) -> Spec:
    return describe(event_types(), meeting=MEETING, base_url=base_url)
