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

TALK = frozenset({"meetings:read", "notes:read", "transcripts:read"})
MEETING = frozenset({"meetings:read"})

#: Body, title, when it is sent, and the scopes under which the API shows what is in it. A body that
#: holds the notes, the transcript or what is worked out from it (the link to it, too) takes more.
_KINDS: dict[Happening, tuple[type[Shape], str, str, frozenset[str]]] = {
    "AINOTE": (
        payloads.AINote,
        "AI Notes",
        "Sent when the notes of a meeting or call are ready.",
        TALK,
    ),
    "new_conversation": (
        payloads.NewConversation,
        "New Conversation",
        "Sent to automation platforms when the notes of a meeting or call are ready.",
        TALK,
    ),
    "meeting.started": (
        payloads.MeetingStarted,
        "Meeting Started",
        "Sent when a meeting or call begins.",
        MEETING,
    ),
    "meeting.ended": (
        payloads.MeetingEnded,
        "Meeting Ended",
        "Sent when a meeting or call is over, recorded or not; its notes may follow.",
        MEETING,
    ),
    "recording.ready": (
        payloads.RecordingReady,
        "Recording Ready",
        "Sent when the audio or video of a meeting or call is there.",
        MEETING,
    ),
    "transcript.ready": (
        payloads.TranscriptReady,
        "Transcript Ready",
        "Sent when the transcript of a meeting or call is there; it is fetched over the API.",
        MEETING,
    ),
    "notes.ready": (
        payloads.NotesReady,
        "Notes Ready",
        "Sent when the notes of a meeting or call are there, without them.",
        MEETING,
    ),
    "outcome.changed": (
        payloads.OutcomeChanged,
        "Outcome Changed",
        "Sent when the outcome of a meeting or call is set to another, or taken away.",
        MEETING,
    ),
    "privacy.changed": (
        payloads.PrivacyChanged,
        "Privacy Changed",
        "Sent when a meeting or call turns private, or is private no longer.",
        MEETING,
    ),
    "meeting.processing_failed": (
        payloads.ProcessingFailed,
        "Meeting Processing Failed",
        "Sent when a meeting or call could not be recorded, or nothing can be made of it.",
        MEETING,
    ),
}

#: What a subscription may do without, and the fields that it is made of.
_PARTS = {
    "action_items": {"action_items"},
    "attendees": {"attendees"},
    "call": {"call_details", "call_direction", "call_frm", "call_to", "call_external_ph_no"},
    "crm": {"crm_associations"},
    "insights": {"insights"},
    "media": {"audio_url", "video_url"},
    "notes": {"ai_notes", "ai_notes_txt"},
    "transcript": {"transcription_vtt_url", "transcription_text"},
}


@cache
def event_types() -> tuple[EventType, ...]:
    """Return the event types of meetings, each with its schema and a made-up sample."""
    made_up = samples.record()
    return tuple(
        EventType(
            name=name,
            title=title,
            summary=summary,
            schema=schema(payload),
            sample=json.loads(body(name, made_up, samples.VTT_URL)),
            scopes=scopes,
            parts=_parts(payload),
            retold={"action_items": _notes_without_actions},
        )
        for name, (payload, title, summary, scopes) in _KINDS.items()
    )


def _parts(payload: type[Shape]) -> dict[str, frozenset[str]]:
    """Return the parts of a body, each with its fields there."""
    there = {
        part: frozenset(fields & payload.model_fields.keys()) for part, fields in _PARTS.items()
    }
    return {part: fields for part, fields in there.items() if fields}


def _notes_without_actions(body: dict[str, Any]) -> dict[str, Any]:
    """Return the notes of a body without what they repeat: the action items, at their end."""
    html, markdown, owed = map(body.get, ("ai_notes", "ai_notes_txt", "action_items"))
    return {
        "ai_notes": html and notes.html_before(html, owed or ()),
        "ai_notes_txt": markdown and notes.markdown_before(markdown, owed or ()),
    }


def event_type(happening: Happening) -> EventType:
    """Return one of them."""
    return next(one for one in event_types() if one.name == happening)


def meeting_schema() -> dict[str, Any]:
    """Return the JSON Schema of the contract's Meeting."""
    return schema(Meeting)


def meeting_sample() -> dict[str, Any]:
    """Return a made-up Meeting as the API answers with it, its CRM associations included."""
    return samples.record().meeting.to_json()


def body(
    happening: Happening, record: Record, vtt_url: str | None, old: Record | None = None
) -> bytes:
    """Return the body of an event as compact JSON in UTF-8.

    `vtt_url`: signed link to the transcript's WebVTT file, None without a transcript. `old`: the
    record as it was before.
    """
    if happening == "AINOTE":
        payload: Shape = _ai_note(record, vtt_url)
    elif happening == "new_conversation":
        payload = _new_conversation(record, vtt_url)
    else:
        kind, *_ = _KINDS[happening]
        payload = kind(**dict(record.meeting), **_before(happening, record, old))
    return json.dumps(payload.to_json(), ensure_ascii=False, separators=(",", ":")).encode()


def _before(happening: Happening, new: Record, old: Record | None) -> dict[str, Any]:
    """Return what an event tells of how the meeting was before."""
    if happening == "outcome.changed":
        return {"previous_outcome": old.meeting.outcome if old else None}
    if happening == "privacy.changed":
        return {"was_private": not new.meeting.is_private}
    return {}


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
