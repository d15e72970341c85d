"""A transcript as a file of captions (WebVTT) and as plain text."""

from collections.abc import Iterator

from connector.meetings.ingest import ParagraphInput, SpeakerInput, TranscriptInput

LAST_WORD_SECONDS = 0.5  # how long a paragraph's last word is taken to last


def speaker_name(speaker: SpeakerInput) -> str:
    """Return what to call a speaker: the name, else the address."""
    return speaker.name or speaker.email


def as_text(transcript: TranscriptInput) -> str:
    """Return one line per paragraph: `Name: words`."""
    return "\n".join(
        f"{name}: {_one_line(paragraph.transcript)}" for name, paragraph in _named(transcript)
    )


def as_vtt(transcript: TranscriptInput) -> str:
    """Return a WebVTT file (W3C, section 4) with one cue per paragraph and voice spans."""
    cues = ["WEBVTT"]
    start = end = 0.0
    for name, paragraph in _named(transcript):
        start, end = span(paragraph, end)
        # A voice's annotation ends at `>`, and a line with `-->` would be a new cue's times.
        cues.append(
            f"{_clock(start)} --> {_clock(end)}\n"
            f"<v {_escaped(name)}>{_escaped(paragraph.transcript)}</v>"
        )
    return "\n\n".join(cues) + "\n"


def span(paragraph: ParagraphInput, otherwise: float) -> tuple[float, float]:
    """Return from when to when somebody speaks, in seconds; one without times has no length."""
    if not paragraph.timestamps:
        return otherwise, otherwise
    return min(paragraph.timestamps), max(paragraph.timestamps) + LAST_WORD_SECONDS


def _named(transcript: TranscriptInput) -> Iterator[tuple[str, ParagraphInput]]:
    names = {speaker.id: speaker_name(speaker) for speaker in transcript.speakers}
    for paragraph in transcript.transcript:
        yield names[paragraph.speaker_id], paragraph


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _escaped(text: str) -> str:
    text = _one_line(text).replace("&", "&amp;")
    return text.replace("<", "&lt;").replace(">", "&gt;")


def _clock(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}.{milliseconds % 1000:03}"
