import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.platforms.javascript import Code, literal, member
from tests.platforms.node import Node

# Every character there is, halves of surrogate pairs too, and what means something in JavaScript.
TEXTS = (
    st.text()
    | st.text(st.characters(exclude_categories=()))
    | st.sampled_from(
        [
            "`${process.exit()}`",
            '"); process.exit(); ("',
            "'\\",
            "</script><!--",
            "*/ /* //",
            "\u2028\u2029\ufeff\u202e",
            "__proto__",
            "constructor",
            "{{ 7 * 7 }}{% raw %}",
            "😀",
        ]
    )
)
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=20,
)


@given(value=VALUES)
def test_javascript_reads_the_very_value_that_was_written(node: Node, value: Any) -> None:
    assert node.ask(source=literal(value)) == value


@given(name=TEXTS)
def test_a_member_is_read_whatever_its_name(node: Node, name: str) -> None:
    assert node.ask(source=member(literal({name: 7}).join("()"), name)) == 7


@given(value=VALUES, indent=st.integers(0, 8))
def test_the_source_holds_nothing_that_cannot_be_seen(value: Any, indent: int) -> None:
    source = literal(value, indent)
    assert not {unicodedata.category(one) for one in source if one != "\n"} & {
        *("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")
    }


def test_what_fits_stays_on_a_line_and_what_does_not_is_broken() -> None:
    assert literal({"key": "uuid", "a-b": [1, 2.5, None]}) == (
        '{ key: "uuid", "a-b": [1, 2.5, null] }'
    )
    assert literal({"help": "x" * 80, "more": {}}, 2) == (
        f'{{\n    help: "{"x" * 80}",\n    more: {{}},\n  }}'
    )


def test_code_is_written_as_it_is() -> None:
    assert literal({"body": Code("bundle.targetUrl")}) == "{ body: bundle.targetUrl }"


@pytest.mark.parametrize("value", [object(), float("nan"), float("inf"), b"bytes"])
def test_what_json_cannot_say_is_refused(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        literal(value)
