"""The kinds of values that may come in, each with its limits and one plain sentence on failure.

Everything here is strict: no number is read from a string, no boolean from a number. What a
database would choke on later (NUL, lone surrogates, infinities) is refused here, by field.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from connector.meetings import moments

M = TypeVar("M", bound=BaseModel)

SUBJECT_LENGTH = 1000
NAME_LENGTH = 300
LABEL_LENGTH = 200
EMAIL_LENGTH = 254  # RFC 5321, section 4.5.3.1
PHONE_LENGTH = 100
ID_LENGTH = 255
URL_LENGTH = 2048
TEXT_LENGTH = 50_000
MANY = 1000
MAX_SECONDS = 366 * 24 * 3600.0
MAX_ID = 2**31 - 1
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)

_EMAIL = re.compile(r"[^\s@<>,;\x00-\x1f\x7f]+@[^\s@<>,;\x00-\x1f\x7f]+")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_URL = re.compile(r"https?://[^\s\x00-\x1f\x7f<>\"\\^`{|}]+", re.IGNORECASE)

MAX_ERRORS = 50
_SHOWN_NAME = 60


def _refused(message: str) -> PydanticCustomError:
    return PydanticCustomError("refused", "{message}", {"message": message})


def storable(text: str) -> str:
    """Return the text, which must not hold a NUL (PostgreSQL has no room for one)."""
    if "\x00" in text:
        raise _refused("Must not contain the NUL character.")
    return text


def is_email(text: str) -> bool:
    """Tell whether this looks like one e-mail address; no promise that somebody reads there."""
    return len(text) <= EMAIL_LENGTH and _EMAIL.fullmatch(text) is not None


def fold_email(email: str) -> str:
    """Return the form in which two spellings of one address are equal."""
    return email.strip().casefold()


def as_uuid(text: str) -> UUID | None:
    """Read a uuid in its usual form of 36 characters; None for anything else."""
    return UUID(text) if _UUID.fullmatch(text) else None


def _email(text: str) -> str:
    if not is_email(text):
        raise _refused("Must be an e-mail address.")
    return text


def _url(text: str) -> str:
    if _URL.fullmatch(text) is None:
        raise _refused("Must be a whole http or https address.")
    return text


def _label(text: str) -> str:
    if not text.strip():
        raise _refused("Must not be empty.")
    return text.strip()


def _moment(value: Any) -> Any:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        raise _refused("Must be a string with a date-time.")
    try:
        moment = moments.parsed(value)
    except ValueError as error:
        raise _refused(str(error)) from None
    if not EARLIEST <= moment < LATEST:
        raise _refused(f"Must lie between the years {EARLIEST.year} and {LATEST.year - 1}.")
    return moment


def _uuid(value: Any) -> Any:
    if isinstance(value, UUID):
        return value
    uuid = as_uuid(value) if isinstance(value, str) else None
    if uuid is None:
        raise _refused("Must be a uuid.")
    return uuid


Text = Annotated[str, Field(max_length=TEXT_LENGTH), AfterValidator(storable)]
Subject = Annotated[str, Field(max_length=SUBJECT_LENGTH), AfterValidator(storable)]
Name = Annotated[str, Field(max_length=NAME_LENGTH), AfterValidator(storable)]
Phone = Annotated[str, Field(max_length=PHONE_LENGTH), AfterValidator(storable)]
ForeignId = Annotated[str, Field(min_length=1, max_length=ID_LENGTH), AfterValidator(storable)]
Label = Annotated[
    str, Field(max_length=LABEL_LENGTH), AfterValidator(storable), AfterValidator(_label)
]
Email = Annotated[str, AfterValidator(_email)]
Url = Annotated[str, Field(max_length=URL_LENGTH), AfterValidator(_url)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
Uuid = Annotated[UUID, BeforeValidator(_uuid)]
Seconds = Annotated[float, Field(ge=0, le=MAX_SECONDS, allow_inf_nan=False)]
LocalId = Annotated[int, Field(ge=0, le=MAX_ID)]
#: Set by the server: allowed on input, so that what was read can be sent back, and ignored.
Ignored = Annotated[None, BeforeValidator(lambda _: None)]

_MESSAGES = {
    "missing": "This field is required.",
    "extra_forbidden": "There is no such field.",
    "invalid_key": "A field's name must be a string.",
    "string_type": "Must be a string.",
    "string_unicode": "Every name and text must be valid Unicode.",
    "string_too_long": "Must have at most {max_length} characters.",
    "string_too_short": "Must not be empty.",
    "bool_type": "Must be true or false.",
    "int_type": "Must be a whole number.",
    "float_type": "Must be a number.",
    "finite_number": "Must be a finite number.",
    "greater_than_equal": "Must be at least {ge}.",
    "less_than_equal": "Must be at most {le}.",
    "literal_error": "Must be {expected}.",
    "list_type": "Must be a list.",
    "too_long": "Must have at most {max_length} items.",
    "too_short": "Must have at least {min_length} item.",
    "model_type": "Must be an object.",
    "refused": "{message}",
}


def read(model: type[M], data: Any, refused: Callable[[dict[str, list[str]]], Exception]) -> M:
    """Read decoded JSON as a model; raises what `refused` makes of the fields that are wrong."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise refused(field_errors(error)) from None


class Identified(BaseModel):
    """Whatever says its own uuid, as a line of an ingest file does."""

    uuid: Uuid


def field_errors(error: ValidationError) -> dict[str, list[str]]:
    """Turn pydantic's report into `{"attendees.0.email": ["Must be an e-mail address."]}`.

    Names and messages are safe to send: no value is repeated, a hostile name is escaped and cut,
    and at most `MAX_ERRORS` fields are named. What concerns the whole is under `body`.
    """
    fields: dict[str, list[str]] = {}
    for detail in error.errors(include_url=False, include_input=False):
        path = ".".join(_shown(part) for part in detail["loc"]) or "body"
        if path not in fields and len(fields) == MAX_ERRORS:
            break
        fields.setdefault(path, []).append(_message(detail))
    return fields


def _message(detail: ErrorDetails) -> str:
    template = _MESSAGES.get(detail["type"])
    return template.format(**detail.get("ctx", {})) if template else f"{detail['msg']}."


def _shown(part: int | str) -> str:
    text = str(part)
    return text.encode("ascii", "backslashreplace").decode().replace("\x00", "\\x00")[:_SHOWN_NAME]
