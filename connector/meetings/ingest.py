"""What a product sends us about a meeting: the contract's Meeting object, strictly read.

Three things may come along that the contract serves by other addresses: `transcript`, `notes` and
`action_items`. These three, `outcome` (somebody else may have set it) and `crm_associations` (not
every reading shows them) stay as they are when their key is absent; null takes them away, except
that `crm_associations` is emptied by an empty list. All other fields are replaced.
"""

from collections.abc import Iterator
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from connector.meetings import fields
from connector.meetings.errors import InvalidMeeting
from connector.meetings.schemas import (
    CallDirection,
    ProcessingStatus,
    RecordingState,
    ResponseStatus,
    State,
)

MAX_SPEAKERS = 200
MAX_PARAGRAPHS = 20_000
MAX_WORDS = 20_000  # in one paragraph


class Input(BaseModel):
    """A JSON object that comes in: strict, and a field we do not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class LabelInput(Input):
    """A purpose or an outcome: the label counts, its uuid is ours to give."""

    label: fields.Label
    uuid: fields.Ignored = None


class AttendeeInput(Input):
    """Somebody who was invited."""

    email: fields.Email
    response_status: ResponseStatus
    name: fields.Name | None = None
    uuid: fields.Uuid | None = None


class CrmAssociationInput(Input):
    """A record in the CRM that the meeting belongs to."""

    crm_obj_id: fields.ForeignId
    crm_obj_type: fields.ForeignId


class CallInput(Input):
    """A linked call. The last two are shown in events only."""

    external_id: fields.ForeignId
    frm: fields.Phone
    to: fields.Phone
    call_direction: CallDirection | None = None
    external_ph_no: fields.Phone | None = None


class SpeakerInput(Input):
    """A voice in the transcript."""

    id: fields.LocalId
    email: fields.Email
    is_rep: bool
    name: fields.Name | None = None


class ParagraphInput(Input):
    """What one speaker said in one go; one timestamp per word, seconds from the real start."""

    speaker_id: fields.LocalId
    transcript: fields.Text
    timestamps: Annotated[list[fields.Seconds], Field(max_length=MAX_WORDS)]


class TranscriptInput(Input):
    """Who said what."""

    speakers: Annotated[list[SpeakerInput], Field(min_length=1, max_length=MAX_SPEAKERS)]
    transcript: Annotated[list[ParagraphInput], Field(min_length=1, max_length=MAX_PARAGRAPHS)]


class SectionInput(Input):
    """One part of the notes. A line that starts with `- ` is an item of a list."""

    heading: fields.Name
    text: fields.Text
    category: fields.Uuid | None = None


class ActionItemInput(Input):
    """Something to do. Without an owner it is the organizer's."""

    action_item: fields.Text
    name: fields.Name | None = None
    email: fields.Email | None = None
    company: fields.Name | None = None


class MeetingInput(Input):
    """The contract's Meeting object as a product sends it, with what may come along."""

    subject: fields.Subject
    state: State
    is_private: bool
    is_internal: bool
    organizer_email: fields.Email
    start_at: fields.Moment | None = None
    end_at: fields.Moment | None = None
    duration: fields.Seconds | None = None
    processing_status: ProcessingStatus | None = None
    recording_state: RecordingState | None = None
    disable_reason: fields.Name | None = None
    disabled_reason_detail: fields.Subject | None = None
    is_call: bool = False
    attendees: Annotated[list[AttendeeInput], Field(max_length=fields.MANY)] = []
    call_details: CallInput | None = None
    crm_associations: Annotated[list[CrmAssociationInput], Field(max_length=fields.MANY)] = []
    purpose: LabelInput | None = None
    type: LabelInput | None = None
    outcome: LabelInput | None = None
    audio_ready: bool = False
    video_ready: bool = False
    transcript_ready: bool = False
    notes_ready: bool = False
    url: fields.Url | None = None

    transcript: TranscriptInput | None = None
    notes: Annotated[list[SectionInput], Field(max_length=fields.MANY)] | None = None
    action_items: Annotated[list[ActionItemInput], Field(max_length=fields.MANY)] | None = None

    uuid: fields.Ignored = None
    created: fields.Ignored = None
    modified: fields.Ignored = None
    recording_uuid: fields.Ignored = None
    transcription_uuid: fields.Ignored = None

    def says(self, field: str) -> bool:
        """Tell whether the sender gave this field at all, null included."""
        return field in self.model_fields_set


class OutcomeInput(Input):
    """The body that sets or clears a meeting's outcome."""

    outcome: LabelInput | None


def meeting(data: Any) -> MeetingInput:
    """Read a meeting from decoded JSON. Raises InvalidMeeting with every field that is wrong."""
    given = fields.read(MeetingInput, data, InvalidMeeting)
    broken: dict[str, list[str]] = {}
    for path, message in _broken_rules(given):
        if path in broken or len(broken) < fields.MAX_ERRORS:
            broken.setdefault(path, []).append(message)
    if broken:
        raise InvalidMeeting(broken)
    return given


def record(data: Any) -> tuple[UUID, MeetingInput]:
    """Read a meeting that says its own uuid, as a line of an ingest file does.

    Raises InvalidMeeting.
    """
    given = meeting(data)
    return fields.read(fields.Identified, data, InvalidMeeting).uuid, given


def outcome(data: Any) -> str | None:
    """Read the label from `{"outcome": {"label": ...}}`, None from `{"outcome": null}`.

    Raises InvalidMeeting; all that is wrong inside the outcome is told under `outcome`.
    """
    try:
        given = OutcomeInput.model_validate(data)
    except ValidationError as error:
        told: dict[str, list[str]] = {}
        for path, messages in fields.field_errors(error).items():
            told.setdefault("outcome" if path.startswith("outcome.") else path, []).extend(messages)
        raise InvalidMeeting(told) from None
    return given.outcome.label if given.outcome else None


def _broken_rules(given: MeetingInput) -> Iterator[tuple[str, str]]:
    """Yield what no single field can tell: (path, message)."""
    if given.start_at and given.end_at and given.end_at < given.start_at:
        yield "end_at", "Must not be before start_at."
    if given.purpose and given.type and given.purpose.label != given.type.label:
        yield "type", "Means the same as purpose: send equal labels, or only one of the two."
    emails = set[str]()
    for place, attendee in enumerate(given.attendees):
        email = fields.fold_email(attendee.email)
        if email in emails:
            yield f"attendees.{place}.email", "This address is in the list already."
        emails.add(email)
    associations = set[tuple[str, str]]()
    for place, association in enumerate(given.crm_associations):
        pair = (association.crm_obj_type, association.crm_obj_id)
        if pair in associations:
            yield f"crm_associations.{place}", "This record is in the list already."
        associations.add(pair)
    if given.transcript:
        yield from _broken_transcript(given.transcript)


def _broken_transcript(transcript: TranscriptInput) -> Iterator[tuple[str, str]]:
    ids = set[int]()
    for place, speaker in enumerate(transcript.speakers):
        if speaker.id in ids:
            yield f"transcript.speakers.{place}.id", "Another speaker has this id."
        ids.add(speaker.id)
    for place, paragraph in enumerate(transcript.transcript):
        if paragraph.speaker_id not in ids:
            yield f"transcript.transcript.{place}.speaker_id", "No speaker has this id."
