"""How people talked, worked out from a transcript's word times: the `insights` of AINOTE.

The contract names the figures and their types; what they measure is said here. There is no
sentiment, as nothing here reads moods.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from connector.meetings.ingest import SpeakerInput, TranscriptInput
from connector.meetings.transcripts import span, speaker_name

FILLERS = frozenset({"ah", "eh", "er", "hm", "hmm", "mhm", "uh", "uhm", "um"})
REP, CUSTOMER = "rep", "customer"


@dataclass
class _Talk:
    """What one speaker did."""

    speaker: SpeakerInput
    seconds: float = 0.0
    words: int = 0
    fillers: int = 0
    waits: list[float] = field(default_factory=list)
    monologues: list[tuple[float, float]] = field(default_factory=list)

    def per_minute(self, count: int) -> float:
        return round(count * 60 / self.seconds, 1) if self.seconds else 0.0

    def longest(self) -> tuple[float, float]:
        return max(self.monologues, key=_length)

    def named(self, figure: str, value: float) -> dict[str, Any]:
        designation = REP if self.speaker.is_rep else CUSTOMER
        return {"speaker_id": str(self.speaker.id), "designation": designation, figure: value}


def insights(transcript: TranscriptInput) -> dict[str, Any]:
    """Return the figures of one conversation, in the payload's shape.

    `wpm`, `filler_wpm`: words and filler words per minute of talking. `patience`: mean seconds of
    silence before somebody takes over. `longest_monologue`: of the rep who talked longest without
    a break, as [start, end]. `talk_stats`: of all reps together, in percent of all talking and
    seconds. `speaker_mapping`: the rep who talked most.
    """
    talks = list(_talks(transcript).values())
    reps = [talk for talk in talks if talk.speaker.is_rep]
    total = sum(talk.seconds for talk in talks)
    of_reps = sum(talk.seconds for talk in reps)
    figures: dict[str, Any] = {
        "wpm": [talk.named("wpm", talk.per_minute(talk.words)) for talk in talks],
        "filler_wpm": [talk.named("filler_wpm", talk.per_minute(talk.fillers)) for talk in talks],
        "patience": [
            talk.named("patience", round(sum(talk.waits) / len(talk.waits), 2))
            for talk in talks
            if talk.waits
        ],
        "talk_stats": {
            "talk_percentage": round(100 * of_reps / total, 1) if total else 0.0,
            "total_talk_time": round(of_reps, 1),
        },
    }
    return figures | _of_reps(reps)


def _of_reps(reps: Sequence[_Talk]) -> dict[str, Any]:
    """Return the two figures that there are only where a rep spoke."""
    if not reps:
        return {}
    longest = max(reps, key=lambda talk: _length(talk.longest()))
    first = max(reps, key=lambda talk: talk.seconds).speaker
    return {
        "longest_monologue": {
            "rep": {
                "speaker_id": str(longest.speaker.id),
                "segments": [list(longest.longest())],
            }
        },
        "speaker_mapping": {"id": first.id, "email": first.email, "name": speaker_name(first)},
    }


def _talks(transcript: TranscriptInput) -> dict[int, _Talk]:
    """Go through the conversation once; return those who spoke, in order of their first word."""
    speakers = {speaker.id: speaker for speaker in transcript.speakers}
    talks: dict[int, _Talk] = {}
    before: int | None = None
    end = 0.0
    for paragraph in transcript.transcript:
        talk = talks.setdefault(paragraph.speaker_id, _Talk(speakers[paragraph.speaker_id]))
        silence_from = end
        start, end = span(paragraph, end)
        words = paragraph.transcript.split()
        talk.seconds += end - start
        talk.words += len(words)
        talk.fillers += sum(word.strip(".,!?…").lower() in FILLERS for word in words)
        if before == paragraph.speaker_id:
            talk.monologues[-1] = (talk.monologues[-1][0], end)
        else:
            talk.monologues.append((start, end))
            if before is not None:
                talk.waits.append(max(0.0, start - silence_from))
        before = paragraph.speaker_id
    return talks


def _length(monologue: tuple[float, float]) -> float:
    return monologue[1] - monologue[0]
