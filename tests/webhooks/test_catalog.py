import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.webhooks.conftest import NOTE_GONE, NOTE_READY
from webhooks.catalog import Catalog, EventType
from webhooks.errors import UnknownEventType


def test_lists_event_types_in_the_order_of_their_registration(catalog: Catalog) -> None:
    assert catalog.names == ("note.ready", "note.gone")
    assert list(catalog) == [NOTE_READY, NOTE_GONE]
    assert len(catalog) == 2
    assert "note.gone" in catalog
    assert "note" not in catalog


def test_gets_an_event_type_by_its_exact_name(catalog: Catalog) -> None:
    assert catalog.get("note.ready") is NOTE_READY
    for name in ("NOTE.READY", "note.ready ", ""):
        with pytest.raises(UnknownEventType):
            catalog.get(name)


def test_an_unknown_name_is_answered_with_the_known_ones(catalog: Catalog) -> None:
    with pytest.raises(UnknownEventType) as caught:
        catalog.get("note.raedy" * 1000)
    assert caught.value.detail.endswith("is not an event type; use one of note.ready, note.gone.")
    assert len(caught.value.detail) < 200


def test_a_name_cannot_mean_two_things(catalog: Catalog) -> None:
    with pytest.raises(ValueError, match="registered twice"):
        catalog.register(NOTE_READY)


CALL = EventType(
    "call",
    "",
    "",
    {},
    {},
    frozenset(),
    {"notes": frozenset({"html", "text"}), "people": frozenset({"people"})},
)
FIELDS = ("html", "text", "people", "subject")
TEXTS = st.text().map(lambda text: f"<{text}>")
BODIES = st.dictionaries(st.sampled_from(FIELDS), st.one_of(TEXTS, st.lists(TEXTS), st.none()))
PARTS = st.lists(st.sampled_from(["notes", "people", "of another type"]), unique=True)


@given(BODIES, PARTS)
def test_a_body_without_parts_lacks_their_fields_and_nothing_else(
    body: dict[str, Any], parts: list[str]
) -> None:
    fields = {field for part in parts for field in CALL.parts.get(part, ())}
    left = {name: value for name, value in body.items() if name not in fields}

    cut = CALL.cut(json.dumps(body).encode(), " ".join(parts))

    if left == body:
        assert cut is None
    else:
        assert cut is not None
        assert list(json.loads(cut).items()) == list(left.items())
