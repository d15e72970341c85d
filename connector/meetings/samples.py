"""One made-up meeting, from which every sample is built as the real bodies are."""

from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID

from connector.meetings import ingest
from connector.meetings.record import Record, merged, transcription_uuid, with_outcome

ORGANIZATION = UUID("6f1f6a52-0d0b-4f0e-9a55-5a3c1f9a7a10")
MEETING = UUID("0d9f4f5e-7a53-4c27-8d0e-3f0f5a1c2b7d")
ENDED = datetime(2026, 3, 12, 15, 31, 40, tzinfo=UTC)
VTT_URL = (
    "https://keyhook.example/v1/transcriptions/"
    f"{transcription_uuid(ORGANIZATION, MEETING)}/vtt/?expires=1773934300&signature=sample"
)

_GIVEN: dict[str, Any] = {
    "subject": "Product demo: Harbour Logistics",
    "state": "completed",
    "processing_status": "notes_available",
    "recording_state": "enabled",
    "is_private": False,
    "is_internal": False,
    "is_call": False,
    "start_at": "2026-03-12T15:00:00Z",
    "end_at": "2026-03-12T15:30:00Z",
    "duration": 1874.5,
    "organizer_email": "mira.lindqvist@northwind.example",
    "attendees": [
        {
            "email": "mira.lindqvist@northwind.example",
            "name": "Mira Lindqvist",
            "response_status": "accepted",
        },
        {
            "email": "tom.okafor@harbour-logistics.example",
            "name": "Tom Okafor",
            "response_status": "accepted",
        },
    ],
    "crm_associations": [
        {"crm_obj_id": "0018d00000WbT2aAAF", "crm_obj_type": "account"},
        {"crm_obj_id": "0068d00000CqX9zAAF", "crm_obj_type": "oppo"},
    ],
    "purpose": {"label": "Product demo"},
    "audio_ready": True,
    "video_ready": True,
    "url": "https://meet.example/harbour-demo",
    "transcript": {
        "speakers": [
            {
                "id": 0,
                "email": "mira.lindqvist@northwind.example",
                "is_rep": True,
                "name": "Mira Lindqvist",
            },
            {
                "id": 1,
                "email": "tom.okafor@harbour-logistics.example",
                "is_rep": False,
                "name": "Tom Okafor",
            },
        ],
        "transcript": [
            {
                "speaker_id": 0,
                "transcript": "Shall we start with how your dispatchers work today?",
                "timestamps": [1.0, 1.3, 1.5, 1.9, 2.1, 2.3, 2.5, 3.1, 3.4],
            },
            {
                "speaker_id": 1,
                "transcript": "Um, yes. Most of it is a spreadsheet and many phone calls.",
                "timestamps": [4.6, 4.9, 5.3, 5.6, 5.8, 6.0, 6.1, 6.2, 6.9, 7.1, 7.4, 7.8],
            },
        ],
    },
    "notes": [
        {
            "heading": "Situation",
            "text": "Dispatch runs on a spreadsheet and phone calls.\n"
            "- 40 drivers, three depots\n- Changes after 16:00 get lost",
        },
        {"heading": "Next step", "text": "A trial with one depot in April."},
    ],
    "action_items": [
        {
            "action_item": "Send the trial agreement for the northern depot",
            "email": "mira.lindqvist@northwind.example",
        }
    ],
}


@cache
def record() -> Record:
    """Return the made-up meeting, over and with notes."""
    given = ingest.meeting(_GIVEN)
    saved = merged(ORGANIZATION, MEETING, given, None, ENDED)
    return with_outcome(ORGANIZATION, "Next step agreed", saved, ENDED)
