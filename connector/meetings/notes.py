"""The notes of a meeting as structured data, as HTML and as markdown.

What is in them came from outside: the HTML holds no markup but ours, and neither does what a
markdown renderer makes of the markdown.
"""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import groupby
from typing import Any, Literal
from uuid import UUID

from connector.meetings.fields import fold_email
from connector.meetings.ingest import ActionItemInput, SectionInput
from connector.meetings.record import NotesContent
from connector.meetings.schemas import Meeting

OutputFormat = Literal["json", "html", "markdown"]
BULLET = "- "
ACTION_ITEMS = "Action items"


def rendered(
    meeting: Meeting, notes: NotesContent, output_format: OutputFormat
) -> dict[str, Any] | str:
    """Return a note's `data` in one of the contract's three formats."""
    if output_format == "html":
        return as_html(meeting, notes)
    if output_format == "markdown":
        return as_markdown(meeting, notes)
    return as_data(meeting, notes)


def in_category(notes: NotesContent, category: UUID) -> NotesContent:
    """Return only the parts under this category; action items are under none."""
    sections = tuple(section for section in notes.sections if section.category == category)
    return NotesContent(sections, ())


def as_data(meeting: Meeting, notes: NotesContent) -> dict[str, Any]:
    """Return `{"notes": [{"heading", "text", "category"}], "action_items": [...]}`."""
    return {
        "notes": [section.model_dump(mode="json") for section in notes.sections],
        "action_items": action_items(meeting, notes),
    }


def action_items(meeting: Meeting, notes: NotesContent | None) -> list[dict[str, str]]:
    """Return the action items with all four fields, which the AINOTE event demands in each.

    An item without an owner is the organizer's; a name that was not sent is looked up among the
    attendees; a company that was not sent is told by the address's domain.
    """
    names = {fold_email(one.email): one.name for one in meeting.attendees if one.name}
    return [_owned(item, meeting, names) for item in (notes.action_items if notes else ())]


def _owned(item: ActionItemInput, meeting: Meeting, names: dict[str, str]) -> dict[str, str]:
    email = item.email or meeting.organizer_email
    return {
        "action_item": item.action_item,
        "name": item.name or names.get(fold_email(email), email),
        "email": email,
        "company": item.company or email.rpartition("@")[2],
    }


def as_html(meeting: Meeting, notes: NotesContent) -> str:
    """Return headings, paragraphs and lists; every text in them is escaped."""
    return _html(_with_actions(action_items(meeting, notes), notes.sections))


def as_markdown(meeting: Meeting, notes: NotesContent) -> str:
    """Return the same as markdown (CommonMark), readable as it stands."""
    return _markdown(_with_actions(action_items(meeting, notes), notes.sections))


def html_before(html: str, owed: Sequence[Mapping[str, str]]) -> str | None:
    """Return `as_html` without these action items at its end; None if it does not end with them."""
    return _before(html, _html(_with_actions(owed, ())))


def markdown_before(markdown: str, owed: Sequence[Mapping[str, str]]) -> str | None:
    """Return `as_markdown` without these action items; None if it does not end with them."""
    return _before(markdown, _markdown(_with_actions(owed, ())))


def _before(text: str, end: str) -> str | None:
    return text.removesuffix(end).rstrip("\n") if text.endswith(end) else None


def _html(sections: Sequence[SectionInput]) -> str:
    parts: list[str] = []
    for section in sections:
        parts.append(f"<h3>{escape(section.heading)}</h3>")
        for is_list, lines in _blocks(section.text):
            if is_list:
                items = "".join(f"<li>{escape(line)}</li>" for line in lines)
                parts.append(f"<ul>{items}</ul>")
            else:
                parts.append(f"<p>{'<br>'.join(map(escape, lines))}</p>")
    return "\n".join(parts)


def _markdown(sections: Sequence[SectionInput]) -> str:
    parts: list[str] = []
    for section in sections:
        parts.append(f"### {_unmarked(' '.join(section.heading.split()))}")
        for is_list, lines in _blocks(section.text):
            mark = BULLET if is_list else ""
            parts.append("\n".join(f"{mark}{_unmarked(line)}" for line in lines))
    return "\n\n".join(parts)


def _with_actions(
    owed: Sequence[Mapping[str, str]], sections: Sequence[SectionInput]
) -> Sequence[SectionInput]:
    """Return the sections, and the action items as one more at the end."""
    if not owed:
        return sections
    text = "\n".join(
        f"{BULLET}{' '.join(item['action_item'].split())} ({item['name']})" for item in owed
    )
    return (*sections, SectionInput.model_construct(heading=ACTION_ITEMS, text=text))


def _blocks(text: str) -> Iterator[tuple[bool, list[str]]]:
    """Yield (is a list, its lines without bullets); blank lines part paragraphs."""
    lines = [line.strip() for line in text.splitlines()]
    for kind, group in groupby(lines, key=lambda line: line.startswith(BULLET) if line else None):
        if kind is not None:
            yield kind, [line.removeprefix(BULLET).strip() if kind else line for line in group]


def _unmarked(text: str) -> str:
    """Keep a text from being read as an HTML tag, or as a link that might run a script."""
    return text.replace("<", "\\<").replace("[", "\\[")
