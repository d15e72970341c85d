"""The bodies of the events. AINOTE and new_conversation are the contract's, all others are ours.

Where the published description forbids null in a payload and allows it in the API, the API's
value is sent (duration, processing status, ids, attendees' names). Media links that it forbids to
be null in AINOTE are left out there.
"""

from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from connector.meetings.schemas import (
    Attendee,
    CallDirection,
    Email,
    LabelRef,
    LeftOut,
    Meeting,
    Moment,
    Number,
    Privacy,
    ProcessingStatus,
    Shape,
    State,
    Uri,
)


class Event(Shape):
    """What every body starts with."""

    event_type: str
    event_label: str | None


class AboutMeeting(Meeting, Event):
    """The contract's Meeting object, under its own names, with the event's name before it."""


class MeetingStarted(AboutMeeting):
    """The body of meeting.started."""

    event_type: Literal["meeting.started"] = "meeting.started"
    event_label: str | None = "Meeting started"


class MeetingEnded(AboutMeeting):
    """The body of meeting.ended."""

    event_type: Literal["meeting.ended"] = "meeting.ended"
    event_label: str | None = "Meeting ended"


class RecordingReady(AboutMeeting):
    """The body of recording.ready."""

    event_type: Literal["recording.ready"] = "recording.ready"
    event_label: str | None = "Recording ready"


class TranscriptReady(AboutMeeting):
    """The body of transcript.ready."""

    event_type: Literal["transcript.ready"] = "transcript.ready"
    event_label: str | None = "Transcript ready"


class NotesReady(AboutMeeting):
    """The body of notes.ready."""

    event_type: Literal["notes.ready"] = "notes.ready"
    event_label: str | None = "Notes ready"


class OutcomeChanged(AboutMeeting):
    """The body of outcome.changed."""

    event_type: Literal["outcome.changed"] = "outcome.changed"
    event_label: str | None = "Outcome changed"
    previous_outcome: LabelRef | None = Field(description="What it was before; null: none")


class PrivacyChanged(AboutMeeting):
    """The body of privacy.changed."""

    event_type: Literal["privacy.changed"] = "privacy.changed"
    event_label: str | None = "Privacy changed"
    was_private: bool = Field(description="Whether it was private before")


class ProcessingFailed(AboutMeeting):
    """The body of meeting.processing_failed; `processing_status` says what went wrong."""

    event_type: Literal["meeting.processing_failed"] = "meeting.processing_failed"
    event_label: str | None = "Meeting processing failed"


class ActionItem(Shape):
    """Something to do, and who promised it."""

    action_item: str
    name: str
    email: Email
    company: str


class Conversation(Event):
    """What AINOTE and new_conversation have in common."""

    uuid: UUID = Field(description="The meeting")
    subject: str
    state: State
    processing_status: ProcessingStatus | None
    privacy: Privacy
    start_at: LeftOut[Moment] = None
    end_at: LeftOut[Moment] = None
    created: Moment
    modified: Moment
    duration: Number | None = Field(description="Real length in seconds")
    is_call: bool
    is_internal: bool
    audio_ready: bool
    video_ready: bool
    transcript_ready: bool
    notes_ready: bool
    audio_url: LeftOut[Uri] = None
    video_url: LeftOut[Uri] = None
    recording_uuid: UUID | None
    transcription_uuid: UUID | None
    transcription_vtt_url: LeftOut[Uri] = Field(
        default=None, description="Signed link to a WebVTT file"
    )
    meeting_url: Uri | None = Field(description="Page of the meeting in the product")
    organizer_email: Email
    organizer_name: LeftOut[str] = None
    purpose: LabelRef | None
    outcome: LabelRef | None
    attendees: list[Attendee]
    ai_notes: str | None = Field(description="The notes as HTML")
    ai_notes_txt: str | None = Field(description="The notes as markdown")
    action_items: list[ActionItem]


class CallWithDirection(Shape):
    """A linked call, with what a payload tells beyond the API."""

    external_id: str
    frm: str
    to: str
    call_direction: LeftOut[CallDirection] = None
    external_ph_no: str | None = Field(description="The prospect's number")


class WordsPerMinute(Shape):
    """How fast somebody talks."""

    speaker_id: str
    designation: str
    wpm: float


class FillersPerMinute(Shape):
    """How often somebody says `um` and the like."""

    speaker_id: str
    designation: str
    filler_wpm: float


class Patience(Shape):
    """How many seconds somebody waits before speaking."""

    speaker_id: str
    designation: str
    patience: float


class Monologue(Shape):
    """When somebody spoke without a break: a list of [start, end] in seconds."""

    speaker_id: str
    segments: list[list[float]]


class LongestMonologue(Shape):
    """The longest monologue of the organization's side."""

    rep: Monologue


class TalkStats(Shape):
    """How much the organization's side talks."""

    talk_percentage: float
    total_talk_time: float


class SentimentRange(Shape):
    """The mood in a part of the meeting."""

    range: str
    sentiment_value: float


class Sentiment(Shape):
    """The mood of the meeting."""

    sentiment: float
    sentiment_ranges: list[SentimentRange]


class SpeakerMapping(Shape):
    """Who a speaker_id is."""

    id: int
    email: Email
    name: str


class Insights(Shape):
    """Figures on how people talked."""

    wpm: list[WordsPerMinute]
    filler_wpm: list[FillersPerMinute]
    patience: list[Patience]
    longest_monologue: LeftOut[LongestMonologue] = None
    talk_stats: TalkStats
    sentiment: LeftOut[Sentiment] = None
    speaker_mapping: LeftOut[SpeakerMapping] = None


class AINote(Conversation):
    """The body of AINOTE."""

    event_type: Literal["AINOTE"] = "AINOTE"
    event_label: str | None = "Notes are ready"
    call_details: CallWithDirection | None = Field(description="Null for video meetings")
    insights: LeftOut[Insights] = None


class NewConversation(Conversation):
    """The body of new_conversation."""

    event_type: Literal["new_conversation"] = "new_conversation"
    event_label: str | None = "New conversation"
    audio_url: Uri | None = None
    video_url: Uri | None = None
    call_direction: CallDirection | None
    call_frm: str | None
    call_to: str | None
    call_external_ph_no: str | None
    transcription_text: str | None


def schema(payload: type[Shape]) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a payload or another shape."""
    cleaned: dict[str, Any] = _without_null_defaults(payload.model_json_schema())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **cleaned}


def _without_null_defaults(part: Any) -> Any:
    """Drop `"default": null`, which says nothing, or what is not so where a key is left out."""
    if isinstance(part, dict):
        return {
            name: _without_null_defaults(value)
            for name, value in part.items()
            if not (name == "default" and value is None)
        }
    return [_without_null_defaults(one) for one in part] if isinstance(part, list) else part
