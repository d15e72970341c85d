"""What products send, for stories about meetings."""

from typing import Any
from uuid import UUID

from sqlalchemy import select

from connector.meetings import ingest
from connector.meetings.ingest import MeetingInput
from connector.meetings.schemas import Transcript
from connector.meetings.sight import Sight
from connector.meetings.store import Meetings, Saved
from keystore.audit import SYSTEM
from keystore.db import Database
from webhooks.models import Event

MEETING = UUID("b7f1a2c3-0000-4000-8000-000000000001")
ANA = "ana@northwind.example"
BEN = "ben@customer.example"

TRANSCRIPT: dict[str, Any] = {
    "speakers": [
        {"id": 0, "email": ANA, "is_rep": True, "name": "Ana Rep"},
        {"id": 1, "email": BEN, "is_rep": False, "name": None},
    ],
    "transcript": [
        {"speaker_id": 0, "transcript": "Hello Ben.", "timestamps": [1.0, 1.5]},
        {"speaker_id": 1, "transcript": "Um, hello.", "timestamps": [3.0, 3.5]},
    ],
}
NOTES: list[dict[str, Any]] = [{"heading": "Next", "text": "A trial.\n- In May"}]


def sent(**changes: Any) -> dict[str, Any]:
    """Return a meeting as a product sends it: over, recorded, nothing written yet."""
    return {
        "subject": "Demo",
        "state": "completed",
        "is_private": False,
        "is_internal": False,
        "organizer_email": ANA,
        "start_at": "2026-01-10T09:00:00Z",
        "end_at": "2026-01-10T09:30:00Z",
        "attendees": [
            {"email": ANA, "name": "Ana Rep", "response_status": "accepted"},
            {"email": BEN, "name": None, "response_status": "needsaction"},
        ],
    } | changes


def read(**changes: Any) -> MeetingInput:
    """Return the same, read."""
    return ingest.meeting(sent(**changes))


class Product:
    """A product that writes into one organization; every call is a transaction of its own."""

    def __init__(self, database: Database, meetings: Meetings, organization_id: UUID) -> None:
        self.database = database
        self.meetings = meetings
        self.sight = Sight(organization_id)

    def put(self, uuid: UUID = MEETING, /, **changes: Any) -> Saved:
        with self.database.session() as session:
            return self.meetings.save(session, self.sight, uuid, read(**changes), SYSTEM)

    def set_outcome(self, label: str | None, uuid: UUID = MEETING) -> Saved:
        with self.database.session() as session:
            return self.meetings.set_outcome(session, self.sight, uuid, label, SYSTEM)

    def get(self, uuid: UUID = MEETING) -> Any:
        with self.database.session() as session:
            return self.meetings.get(session, self.sight, uuid, include_crm_associations=True)

    def transcript(self, uuid: UUID | None) -> Transcript:
        assert uuid is not None
        with self.database.session() as session:
            return self.meetings.transcript(session, self.sight, uuid)

    def events(self) -> list[tuple[str, str]]:
        """Return (type, subject) of all events of this organization, oldest first."""
        with self.database.session() as session, session.begin():
            found = session.execute(
                select(Event.created_at, Event.type, Event.subject).where(
                    Event.organization_id == self.sight.organization_id
                )
            ).all()
        return [(kind, subject) for _, kind, subject in sorted(found)]

    def bodies(self, kind: str) -> list[bytes]:
        with self.database.session() as session, session.begin():
            return list(
                session.scalars(
                    select(Event.body).where(
                        Event.organization_id == self.sight.organization_id, Event.type == kind
                    )
                )
            )
