"""When Northwind's people met, with whom, and what became of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from itertools import count
from random import Random
from typing import Any
from uuid import UUID, uuid5

from connector.demo_data import talk, words
from connector.demo_data.people import COMPANIES, REPS, Company, Person, crm_id
from connector.demo_data.words import Kind
from connector.meetings import ingest
from connector.meetings.ingest import MeetingInput

NAMESPACE = UUID("9c5f2b4e-6d0a-4f0e-8b57-2a1c7f3e9d40")
DAYS_BACK = 60
DAYS_AHEAD = 14
A_DAY = 6  # meetings on each past weekday: at least 42 of these lie in 60 days
A_DAY_AHEAD = 3
FIRST_SLOT = time(8)
SLOTS = 17  # of half an hour
SATURDAY = 5
WITH_VIDEO = 0.9  # of those recorded
WITH_OUTCOME = 0.7  # of those with notes


@dataclass(frozen=True)
class Fate:
    """What became of a meeting."""

    state: str
    processing_status: str | None
    recording_state: str | None = "enabled"
    disable_reason: str | None = None

    @property
    def has_transcript(self) -> bool:
        """Whether it was turned into text."""
        return self.processing_status in {"transcription_available", "notes_available"}

    @property
    def has_notes(self) -> bool:
        """Whether notes were made of the text."""
        return self.processing_status == "notes_available"


WELL = Fate("completed", "notes_available")
RUNNING = Fate("in_progress", "processing")
PLANNED = Fate("scheduled", "not_started")

#: Dealt out to past meetings again and again, so that there are some of each.
FATES = (
    *[WELL] * 18,
    Fate("completed", "transcription_available"),
    Fate("completed", "transcription_available"),
    Fate("completed", "silent_recording"),
    Fate("completed", "no_transcript"),
    Fate("not_recorded", "recording_error"),
    Fate("not_recorded", "bot_denied_entry"),
    Fate("not_recorded", "bot_invalid_rec_details"),
    Fate("not_recorded", "download_failed"),
    Fate("not_recorded", "invalid_video"),
    Fate("not_recorded", None, "disabled", "Recording was switched off by the organizer"),
    Fate("cancelled", None, None),
    Fate("cancelled", "not_started"),
)


def history(now: datetime) -> Iterator[tuple[UUID, MeetingInput]]:
    """Yield more than 240 meetings, oldest first: 60 days back, two weeks ahead, some right now.

    The same moment gives the same meetings; a meeting's uuid goes by its place in the list.
    """
    numbers = count()
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for offset in range(-DAYS_BACK, DAYS_AHEAD + 1):
        day = today + timedelta(days=offset)
        if day.weekday() >= SATURDAY:
            continue
        number_of_slots = A_DAY if offset <= 0 else A_DAY_AHEAD
        slots = _dice(f"slots {offset}").sample(range(SLOTS), number_of_slots)
        for slot in sorted(slots):
            start = day.replace(hour=FIRST_SLOT.hour) + timedelta(minutes=30 * slot)
            yield _numbered(next(numbers), start, now)
    for minutes in (55, 20, 5):  # whatever the day and hour, something is going on
        start = now.replace(second=0, microsecond=0) - timedelta(minutes=minutes)
        yield _numbered(next(numbers), start, now, RUNNING)


def ending_now(now: datetime) -> tuple[UUID, MeetingInput]:
    """Return a meeting that has just ended, with transcript and notes; a new one each moment."""
    name = f"live {now.isoformat()}"
    random = _dice(name)
    kind = random.choice(words.EXTERNAL)
    start = now.replace(microsecond=0) - timedelta(minutes=kind.minutes)
    return uuid5(NAMESPACE, name), _meeting(kind, start, WELL, random)


def _dice(name: str) -> Random:
    """Return chance that falls alike each time, for this one purpose."""
    return Random(name)  # noqa: S311 - nothing here is a secret


def _numbered(
    number: int, start: datetime, now: datetime, fate: Fate | None = None
) -> tuple[UUID, MeetingInput]:
    random = _dice(f"meeting {number}")
    kind = random.choice(words.INTERNAL if number % 5 == 0 else words.EXTERNAL)
    if fate is None:
        fate = _fate(number, start, start + timedelta(minutes=kind.minutes), now)
    return uuid5(NAMESPACE, f"meeting {number}"), _meeting(kind, start, fate, random)


def _fate(number: int, start: datetime, end: datetime, now: datetime) -> Fate:
    if start > now:
        return PLANNED
    if end > now:
        return RUNNING
    turn, place = divmod(number, len(FATES))
    return _dice(f"fates {turn}").sample(FATES, len(FATES))[place]


def _meeting(kind: Kind, start: datetime, fate: Fate, random: Random) -> MeetingInput:
    company = None if kind.is_internal else random.choice(COMPANIES)
    reps = random.sample(REPS, 2 if kind.is_private else random.choice([1, 1, 2]))
    if kind.is_internal and not kind.is_private:
        reps = random.sample(REPS, random.randint(3, 6))
    guests = list(company.people[: random.choice([1, 2])]) if company else []
    is_call = company is not None and random.random() < kind.by_telephone
    given = {
        "subject": kind.subject.format(company=company.name if company else ""),
        "start_at": start.isoformat(),
        "end_at": (start + timedelta(minutes=kind.minutes)).isoformat(),
        "state": fate.state,
        "processing_status": fate.processing_status,
        "recording_state": fate.recording_state,
        "disable_reason": fate.disable_reason,
        "is_private": kind.is_private,
        "is_internal": kind.is_internal,
        "is_call": is_call,
        "organizer_email": reps[0].email,
        "attendees": _attendees(reps, guests, random),
        "purpose": {"label": kind.purpose},
        "crm_associations": _associations(company, guests, kind),
    }
    if is_call:
        given["call_details"] = _call(random)
    else:
        given["url"] = f"https://meet.example/{random.getrandbits(40):010x}"
    given |= _aftermath(kind, fate, reps, guests, random)
    return ingest.meeting(given)


def _aftermath(
    kind: Kind, fate: Fate, reps: list[Person], guests: list[Person], random: Random
) -> dict[str, Any]:
    """Return what there is only once a meeting is over."""
    if fate.state != "completed":
        return {}
    after: dict[str, Any] = {
        "duration": round(kind.minutes * 60 * random.uniform(0.7, 1.15), 1),
        "audio_ready": True,
        "video_ready": random.random() < WITH_VIDEO,
    }
    if fate.has_transcript:
        after["transcript"] = talk.transcript(kind, reps, guests, random)
    if fate.has_notes:
        after["notes"] = talk.notes(kind)
        after["action_items"] = talk.action_items(kind, reps, random)
        if kind.outcomes and random.random() < WITH_OUTCOME:
            after["outcome"] = {"label": random.choice(kind.outcomes)}
    return after


def _attendees(reps: list[Person], guests: list[Person], random: Random) -> list[dict[str, Any]]:
    answers = ["accepted"] * 6 + ["tentativelyaccepted", "needsaction", "declined"]
    return [
        {
            "email": one.email,
            "name": one.name,
            "response_status": "accepted" if one is reps[0] else random.choice(answers),
        }
        for one in [*reps, *guests]
    ]


def _associations(
    company: Company | None, guests: list[Person], kind: Kind
) -> list[dict[str, Any]]:
    if company is None:
        return []
    if kind.purpose == "Discovery call":  # not an account yet
        return [{"crm_obj_id": crm_id("00Q", guests[0].email), "crm_obj_type": "lead"}]
    found = [{"crm_obj_id": company.account_id, "crm_obj_type": "account"}]
    if kind.purpose in {"Product demo", "Renewal"}:
        found.append({"crm_obj_id": company.opportunity_id, "crm_obj_type": "oppo"})
    found += [{"crm_obj_id": crm_id("003", one.email), "crm_obj_type": "contact"} for one in guests]
    return found


def _call(random: Random) -> dict[str, Any]:
    ours, theirs = "+1 202 555 0100", f"+1 202 555 01{random.randint(10, 99)}"
    inbound = random.choice([True, False])
    return {
        "external_id": f"CA{random.getrandbits(64):016x}",
        "frm": theirs if inbound else ours,
        "to": ours if inbound else theirs,
        "call_direction": "inbound" if inbound else "outbound",
        "external_ph_no": theirs,
    }
