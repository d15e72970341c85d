import json
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from connector.operations import Action, Call, Input, Item, Link, Search, Spec, Trigger
from connector.platforms import PLATFORMS
from connector.platforms.zapier.definition import define
from connector.platforms.zapier.emit import emit
from connector.shapes import Output
from tests.connector.examples import example_spec
from tests.connector.platforms.test_javascript import TEXTS, VALUES
from tests.platforms.node import Node

SPEC = example_spec()
FILES = emit(SPEC)


def read_back(node: Node, files: dict[str, str]) -> Any:
    """Load an emitted project, and tell its definition as Zapier's core would."""
    return node.ask(files=files, main="index")


def test_a_project_has_all_that_zapiers_tool_and_a_person_look_for() -> None:
    assert sorted(FILES) == [
        ".gitignore",
        "README.md",
        "authentication.js",
        "creates/set_meeting_outcome.js",
        "index.js",
        "lib/address.js",
        "lib/authorization.js",
        "lib/dates.js",
        "lib/inputs.js",
        "lib/items.js",
        "lib/problems.js",
        "lib/webhook.js",
        "package.json",
        "searches/find_meeting.js",
        "test/connector.test.js",
        "triggers/meeting_booked_via_scheduler.js",
        "triggers/meeting_booked_via_scheduler_canceled.js",
        "triggers/meeting_booked_via_scheduler_rescheduled.js",
        "triggers/new_conversation.js",
    ]


def test_the_package_is_pinned_to_the_core_it_was_proved_with_and_is_never_published() -> None:
    package = json.loads(FILES["package.json"])
    assert package["dependencies"] == {"zapier-platform-core": "19.1.0"}
    assert package["engines"] == {"node": ">=22"}
    assert package["private"] is True


def test_the_same_spec_makes_the_same_project() -> None:
    assert emit(example_spec()) == FILES


def test_every_file_ends_with_one_line_end_and_has_no_blanks_before_it() -> None:
    for path, text in FILES.items():
        assert text.endswith("\n"), path
        assert not text.endswith("\n\n"), path
        assert not [line for line in text.splitlines() if line != line.rstrip()], path


def test_the_platform_is_listed() -> None:
    assert PLATFORMS["zapier"].emit(SPEC) == FILES
    assert PLATFORMS["zapier"].lint(SPEC) == []


def test_the_project_is_what_the_definition_says(node: Node) -> None:
    assert read_back(node, FILES) == define(SPEC)


def test_the_readme_speaks_of_every_operation_and_of_where_to_push() -> None:
    readme = FILES["README.md"]
    for said in ("New Conversation", "Find Meeting", "Set Meeting Outcome", SPEC.base_url):
        assert said in readme
    assert "zapier-platform push" in readme


ITEMS = st.builds(
    Item,
    outputs=st.lists(st.builds(Output, name=TEXTS.filter(bool), label=TEXTS)).map(tuple),
    sample=st.dictionaries(TEXTS, VALUES, max_size=3).map(lambda one: one | {"uuid": "u"}),
)
INPUTS = st.builds(
    Input, name=st.just("one"), label=TEXTS, help=TEXTS, pattern=st.none() | TEXTS
).map(lambda one: (one,))
TRIGGERS = st.builds(
    Trigger,
    key=st.just("happened"),
    title=TEXTS,
    noun=TEXTS,
    when=TEXTS,
    item=ITEMS,
    subscribe=st.builds(
        Call, st.just("POST"), TEXTS.map(lambda path: f"/{path}".replace("{", "")), body=st.just({})
    ),
    unsubscribe=st.just(Call("DELETE", "/")),
    samples=st.builds(
        Call,
        st.just("GET"),
        st.just("/{name}"),
        segments=st.fixed_dictionaries({"name": TEXTS}),
        query=st.dictionaries(TEXTS, TEXTS, max_size=2),
    ),
)
SEARCHES = st.builds(
    Search,
    key=st.just("search"),
    title=TEXTS,
    noun=TEXTS,
    summary=TEXTS,
    inputs=INPUTS,
    call=st.just(Call("GET", "/")),
    item=ITEMS,
    results=TEXTS,
)
ACTIONS = st.builds(
    Action,
    key=st.just("act"),
    title=TEXTS,
    noun=TEXTS,
    summary=TEXTS,
    inputs=INPUTS,
    call=st.builds(Call, st.just("PATCH"), st.just("/"), body=st.dictionaries(TEXTS, TEXTS)),
    item=ITEMS,
)


@st.composite
def hostile_specs(draw: st.DrawFn) -> Spec:
    """A spec in which every text that may be free is anything at all."""
    auth = replace(
        SPEC.auth,
        fields=draw(INPUTS),
        found_at=Link(draw(TEXTS), draw(TEXTS)),
        authorization=draw(TEXTS),
        label=draw(TEXTS),
    )
    return replace(
        SPEC,
        name=draw(TEXTS),
        description=draw(TEXTS),
        auth=auth,
        triggers=(draw(TRIGGERS),),
        searches=(draw(SEARCHES),),
        actions=(draw(ACTIONS),),
        signing_secret=draw(TEXTS),
    )


@settings(max_examples=50)
@given(spec=hostile_specs())
def test_no_text_of_a_spec_can_become_code(node: Node, spec: Spec) -> None:
    files = emit(spec)
    assert read_back(node, files) == define(spec)
    for path, text in files.items():
        assert not PurePosixPath(path).is_absolute()
        assert text.encode().decode() == text
    outline = [line for line in files["README.md"].splitlines() if line.startswith("#")]
    assert outline[1:] == ["## Try it", "## Publish it", "## Emit it again"]
