from html.parser import HTMLParser
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from connector.meetings import ingest, notes
from connector.meetings.ingest import ActionItemInput
from connector.meetings.record import NotesContent, merged
from connector.meetings.samples import ENDED, MEETING, ORGANIZATION, record
from tests.connector.meetings.support import sent

OURS = {"h3", "p", "br", "ul", "li"}
TEXT = st.text() | st.text("<>&\"'[]()`*_-:!# \n/abjavscript=", max_size=60)

CLEAN = TEXT.map(lambda text: text.replace("\x00", ""))


def written(heading: str, text: str, category: UUID | None = None) -> NotesContent:
    section = {"heading": heading, "text": text, "category": category and str(category)}
    action_items = [{"action_item": text}]
    given = ingest.meeting(sent(notes=[section], action_items=action_items))
    content = merged(ORGANIZATION, MEETING, given, None, ENDED).notes
    assert content is not None
    return content


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.attributes: list[object] = []
        self.words = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.words += data


def test_text_becomes_paragraphs_and_lists() -> None:
    content = written("Next & last", "Two lines\nof one paragraph.\n\n- a\n- b <c>\nEnd.")
    html = notes.as_html(record().meeting, NotesContent(content.sections, ()))
    assert html == (
        "<h3>Next &amp; last</h3>\n<p>Two lines<br>of one paragraph.</p>\n"
        "<ul><li>a</li><li>b &lt;c&gt;</li></ul>\n<p>End.</p>"
    )
    markdown = notes.as_markdown(record().meeting, NotesContent(content.sections, ()))
    assert markdown == ("### Next & last\n\nTwo lines\nof one paragraph.\n\n- a\n- b \\<c>\n\nEnd.")


def test_action_items_follow_with_their_owners() -> None:
    content = written("H", "Call back")
    html = notes.as_html(record().meeting, content)
    assert html.endswith("<h3>Action items</h3>\n<ul><li>Call back (Mira Lindqvist)</li></ul>")
    assert notes.as_data(record().meeting, content)["action_items"] == [
        {
            "action_item": "Call back",
            "name": "Mira Lindqvist",
            "email": "mira.lindqvist@northwind.example",
            "company": "northwind.example",
        }
    ]


@given(CLEAN, CLEAN, CLEAN)
def test_action_items_can_be_taken_off_again(heading: str, text: str, item: str) -> None:
    meeting, whole = record().meeting, written(heading[:300], text)
    owing = ActionItemInput.model_construct(action_item=item, name=None, email=None, company=None)
    whole = NotesContent(whole.sections, (*whole.action_items, owing))
    less = NotesContent(whole.sections, ())
    owed = notes.action_items(meeting, whole)
    assert notes.html_before(notes.as_html(meeting, whole), owed) == notes.as_html(meeting, less)
    markdown = notes.markdown_before(notes.as_markdown(meeting, whole), owed)
    assert markdown == notes.as_markdown(meeting, less)


def test_notes_that_do_not_end_with_these_action_items_are_none() -> None:
    owed = notes.action_items(record().meeting, written("H", "Call back"))
    assert notes.html_before("<h3>H</h3>", owed) is None
    assert notes.markdown_before("### H", owed) is None


def test_a_category_keeps_only_its_parts() -> None:
    category = uuid4()
    content = written("H", "text", category)
    assert notes.in_category(content, category) == NotesContent(content.sections, ())
    assert notes.in_category(content, uuid4()) == NotesContent((), ())


@given(TEXT.filter(lambda text: "\x00" not in text), TEXT)
def test_html_holds_no_markup_but_ours(heading: str, text: str) -> None:
    content = written(heading[:300], text.replace("\x00", ""))
    tags = Tags(notes.as_html(record().meeting, content))
    assert tags.seen <= OURS
    assert tags.attributes == []
    assert "".join(heading.split()) in "".join(tags.words.split())


@given(TEXT.filter(lambda text: "\x00" not in text), TEXT)
def test_markdown_renders_to_no_tag_and_no_link_of_theirs(heading: str, text: str) -> None:
    content = written(heading[:300], text.replace("\x00", ""))
    markdown = notes.as_markdown(record().meeting, content)
    tokens = MarkdownIt("commonmark", {"html": True}).parse(markdown)
    inline = [child for token in tokens for child in token.children or ()]
    kinds = {token.type for token in [*tokens, *inline]}
    assert not kinds & {"html_block", "html_inline", "link_open", "image"}
