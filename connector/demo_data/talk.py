"""What was said and noted in one made-up meeting, in the shape in which a product sends it."""

from collections.abc import Sequence
from random import Random
from typing import Any

from connector.demo_data.people import Person
from connector.demo_data.words import GUEST, REP, Kind

OPENING = (
    (REP, "Hello {guest}, good to see you. Shall we start?"),
    (GUEST, "Hello {rep}. Yes, please."),
)
CLOSING = (
    (REP, "Thank you. You get my summary today."),
    (GUEST, "Perfect, talk to you soon."),
)


def transcript(
    kind: Kind, reps: Sequence[Person], guests: Sequence[Person], random: Random
) -> dict[str, Any]:
    """Return speakers and paragraphs, with a time for each word."""
    present = [*reps, *guests]
    speakers = [
        {"id": place, "email": one.email, "name": one.name, "is_rep": one in reps}
        for place, one in enumerate(present)
    ]
    names = {"rep": reps[0].first_name, "guest": (guests or reps[1:])[0].first_name}
    said = [*OPENING, *(line for topic in kind.topics for line in topic.said), *CLOSING]
    paragraphs = []
    clock = random.uniform(1, 4)
    before: Person | None = None
    for by_rep, words in said:
        side = reps if by_rep or not guests else guests
        # Colleagues among themselves take turns.
        speaker = random.choice([one for one in side if one is not before] or list(side))
        text = words.format(**names)
        times = []
        for word in text.split():
            times.append(round(clock, 2))
            clock += 0.16 + 0.05 * len(word)
        clock += random.uniform(0.3, 1.6)
        before = speaker
        paragraphs.append(
            {"speaker_id": present.index(speaker), "transcript": text, "timestamps": times}
        )
    return {"speakers": speakers, "transcript": paragraphs}


def notes(kind: Kind) -> list[dict[str, Any]]:
    """Return what the notes keep, topic by topic."""
    return [{"heading": topic.heading, "text": topic.noted} for topic in kind.topics]


def action_items(kind: Kind, owners: Sequence[Person], random: Random) -> list[dict[str, Any]]:
    """Return what is to be done, each by one of Northwind's people."""
    return [
        {
            "action_item": topic.to_do,
            "name": owner.name,
            "email": owner.email,
            "company": "Northwind",
        }
        for topic in kind.topics
        if topic.to_do
        for owner in [random.choice(owners)]
    ]
