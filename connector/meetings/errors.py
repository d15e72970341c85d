"""What can go wrong with meetings. Each error's text is one sentence that says what to do."""

from collections.abc import Mapping, Sequence

#: Field name (dotted where nested: `attendees.0.email`) -> what is wrong with it.
FieldErrors = Mapping[str, Sequence[str]]


class MeetingsError(Exception):
    """Something the caller asked for cannot be done; nothing was changed."""

    detail = "This cannot be done."

    def __init__(self, detail: str | None = None) -> None:
        if detail is not None:
            self.detail = detail
        super().__init__(self.detail)


class MeetingNotFound(MeetingsError):
    """In the caller's sight is no meeting with this id. Whether another has one is not told."""

    detail = "There is no meeting with this uuid."


class TranscriptNotFound(MeetingsError):
    """In the caller's sight is no transcript with this id."""

    detail = "There is no transcript with this uuid."


class LinkRefused(MeetingsError):
    """A signed link was changed, or its time is over."""

    detail = "This link is not valid or its time is over; fetch the transcript again for a new one."


class InvalidMeeting(MeetingsError):
    """What came in breaks the contract; `fields` says where and how."""

    def __init__(self, fields: FieldErrors) -> None:
        self.fields = fields
        name, messages = next(iter(fields.items()))
        more = f" ({len(fields) - 1} more)" if len(fields) > 1 else ""
        super().__init__(f"{name}: {messages[0]}{more}")
