"""What happened to a meeting, as the bytes that are pushed, and the event types for the catalogue.

Pure: a record in, a body out.
"""

import json
from functools import cache
from typing import Any

from connector.meetings import notes, payloads, samples, transcripts
from connector.meetings.fields import fold_email
from connector.meetings.insights import insights
from connector.meetings.payloads import schema
from connector.meetings.record import Happening, Record
from connector.meetings.schemas import Meeting, Shape
from webhooks.catalog import EventType

PAYLOADS: dict[Happening, type[Shape]] = {
    "AINOTE": payloads.AINote,
    "new_conversation": payloads.NewConversation,
    "meeting.ended": payloads.MeetingEnded,
}


@cache
def event_types() -> tuple[EventType, ...]:
    """Return the event types of meetings, each with its schema and a made-up sample.

    A body that holds the notes, the transcript or what is worked out from it (the link to it, too)
    needs the scope under which the API shows the same.
    """
    return (
        _event_type(
            "AINOTE",
            "AI Notes",
            "Sent when the notes of a meeting or call are ready.",
            {"meetings:read", "notes:read", "transcripts:read"},
        ),
        _event_type(
            "new_conversation",
            "New Conversation",
            "Sent to automation platforms when the notes of a meeting or call are ready.",
            {"meetings:read", "notes:read", "transcripts:read"},
        ),
        _event_type(
            "meeting.ended",
            "Meeting Ended",
            "Sent when a meeting or call is over, recorded or not; its notes may follow.",
            {"meetings:read"},
        ),
    )


def event_type(happening: Happening) -> EventType:
    """Return one of them."""
    return next(one for one in event_types() if one.name == happening)


def meeting_schema() -> dict[str, Any]:
    """Return the JSON Schema of the contract's Meeting."""
    return schema(Meeting)


def meeting_sample() -> dict[str, Any]:
    """Return a made-up Meeting as the API answers with it, its CRM associations included."""
    return samples.record().meeting.to_json()


def body(happening: Happening, record: Record, vtt_url: str | None) -> bytes:
    """Return the body of an event as compact JSON in UTF-8.

    `vtt_url`: signed link to the transcript's WebVTT file, None without a transcript.
    """
    if happening == "meeting.ended":
        payload: Shape = payloads.MeetingEnded(**dict(record.meeting))
    elif happening == "AINOTE":
        payload = _ai_note(record, vtt_url)
    else:
        payload = _new_conversation(record, vtt_url)
    return json.dumps(payload.to_json(), ensure_ascii=False, separators=(",", ":")).encode()


def _ai_note(record: Record, vtt_url: str | None) -> payloads.AINote:
    call = record.call
    return payloads.AINote(
        **_conversation(record, vtt_url),
        call_details=payloads.CallWithDirection(**dict(call)) if call else None,
        insights=(
            payloads.Insights.model_validate(insights(record.transcript))
            if record.transcript
            else None
        ),
    )


def _new_conversation(record: Record, vtt_url: str | None) -> payloads.NewConversation:
    call = record.call
    return payloads.NewConversation(
        **_conversation(record, vtt_url),
        call_direction=call.call_direction if call else None,
        call_frm=call.frm if call else None,
        call_to=call.to if call else None,
        call_external_ph_no=call.external_ph_no if call else None,
        transcription_text=transcripts.as_text(record.transcript) if record.transcript else None,
    )


def _conversation(record: Record, vtt_url: str | None) -> dict[str, Any]:
    meeting, content = record.meeting, record.notes
    names = {fold_email(one.email): one.name for one in meeting.attendees}
    alike = Meeting.model_fields.keys() & payloads.Conversation.model_fields.keys()
    return {
        **{field: getattr(meeting, field) for field in alike},
        "privacy": "private" if meeting.is_private else "organization",
        "transcription_vtt_url": vtt_url,
        "meeting_url": None,
        "organizer_name": names.get(fold_email(meeting.organizer_email)),
        "ai_notes": notes.as_html(meeting, content) if content else None,
        "ai_notes_txt": notes.as_markdown(meeting, content) if content else None,
        "action_items": notes.action_items(meeting, content),
    }


def _event_type(name: Happening, title: str, summary: str, scopes: set[str]) -> EventType:
    made_up = body(name, samples.record(), samples.VTT_URL)
    return EventType(
        name=name,
        title=title,
        summary=summary,
        schema=schema(PAYLOADS[name]),
        sample=json.loads(made_up),
        scopes=frozenset(scopes),
    )
