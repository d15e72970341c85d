"""The meetings contract as it leaves us: Meeting, Transcript, Note and what they are made of.

Source: the published description of a meeting-intelligence API (Avoma, 1.0.0), which this server
stands in for. Fields that may not be null there, and that we know nothing of, are left out.
"""

from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    model_serializer,
)
from pydantic.json_schema import SkipJsonSchema

from connector.meetings import moments

State = Literal["scheduled", "in_progress", "completed", "not_recorded", "cancelled"]
ProcessingStatus = Literal[
    "processing",
    "silent_recording",
    "recording_error",
    "transcription_available",
    "notes_available",
    "invalid_video",
    "download_failed",
    "bot_denied_entry",
    "bot_invalid_rec_details",
    "not_started",
    "no_transcript",
]
RecordingState = Literal["enabled", "disabled"]
ResponseStatus = Literal["needsaction", "accepted", "declined", "tentativelyaccepted"]
CallDirection = Literal["inbound", "outbound"]
Privacy = Literal["private", "organization"]


def _plain(number: float) -> int | float:
    """Write whole numbers without a fraction: 1800, not 1800.0."""
    return int(number) if number.is_integer() else number


Moment = Annotated[datetime, PlainSerializer(moments.formatted, return_type=str, when_used="json")]
Number = Annotated[float, PlainSerializer(_plain, return_type=int | float, when_used="json")]
Email = Annotated[str, Field(json_schema_extra={"format": "email"})]
Uri = Annotated[str, Field(json_schema_extra={"format": "uri"})]

T = TypeVar("T")
#: Marks a field that is never null: without a value its key is left out.
LEFT_OUT = "left out without a value"
LeftOut = Annotated[T | SkipJsonSchema[None], LEFT_OUT]


class Shape(BaseModel):
    """A JSON object of the contract."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_serializer(mode="wrap")
    def _leave_out(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = serialize(self)
        fields = type(self).model_fields
        return {
            name: value
            for name, value in values.items()
            if value is not None or LEFT_OUT not in fields[name].metadata
        }

    def to_json(self) -> dict[str, Any]:
        """Return the object as plain values that `json.dumps` takes."""
        return self.model_dump(mode="json")


class LabelRef(Shape):
    """A purpose or an outcome. The same label in one organization has the same uuid."""

    uuid: UUID
    label: str


class Attendee(Shape):
    """Somebody who was invited."""

    uuid: UUID
    email: Email
    name: str | None
    response_status: ResponseStatus


class CrmAssociation(Shape):
    """A record in the CRM that the meeting belongs to."""

    crm_obj_id: str
    crm_obj_type: str = Field(description="contact, account, oppo, lead, or the CRM's own word")


class CallDetails(Shape):
    """What the dialer knows of a voice call."""

    external_id: str = Field(description="The dialer's id of the call")
    frm: str = Field(description="Caller's number")
    to: str = Field(description="Callee's number")


class Meeting(Shape):
    """One meeting or call, planned, running or over."""

    uuid: UUID
    subject: str
    created: Moment
    modified: Moment
    start_at: LeftOut[Moment] = Field(default=None, description="Planned start")
    end_at: LeftOut[Moment] = Field(default=None, description="Planned end")
    duration: Number | None = Field(default=None, description="Real length in seconds")
    state: State
    processing_status: ProcessingStatus | None = None
    recording_state: RecordingState | None = None
    disable_reason: str | None = None
    disabled_reason_detail: str | None = None
    is_private: bool = Field(description="Only for those who attend")
    is_internal: bool = Field(description="Nobody from outside takes part")
    is_call: bool = Field(default=False, description="A voice call")
    organizer_email: Email
    attendees: list[Attendee] = Field(default_factory=list)
    call_details: CallDetails | None = None
    crm_associations: LeftOut[list[CrmAssociation]] = None
    purpose: LabelRef | None = None
    type: LabelRef | None = Field(default=None, description="The same as purpose")
    outcome: LabelRef | None = None
    audio_ready: bool = False
    video_ready: bool = False
    transcript_ready: bool = False
    notes_ready: bool = False
    recording_uuid: UUID | None = None
    transcription_uuid: UUID | None = None
    url: LeftOut[Uri] = Field(default=None, description="Link to the conference room")


class Speaker(Shape):
    """A voice in the transcript."""

    id: int = Field(description="Within this meeting; what every speaker_id means")
    email: Email
    is_rep: bool = Field(description="Belongs to the organization")
    name: str | None


class Paragraph(Shape):
    """What one speaker said in one go."""

    speaker_id: int
    transcript: str
    timestamps: list[float] = Field(description="One per word, seconds from the real start")


class Transcript(Shape):
    """Who said what, word by word."""

    uuid: UUID
    meeting_uuid: UUID
    speakers: list[Speaker]
    transcript: list[Paragraph]
    transcription_vtt_url: Uri = Field(description="Signed link to a WebVTT file")


class Note(Shape):
    """The notes of one meeting: an object as JSON, a text as HTML or markdown."""

    created: Moment
    modified: Moment
    data: dict[str, Any] | str
