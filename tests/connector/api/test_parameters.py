"""Query parameters by themselves; what they do is in the stories of the resources."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from connector.api.parameters import Parameters
from connector.problems import BadRequest


def given_query(*pairs: tuple[str, str]) -> Parameters:
    return Parameters(MultiDict(pairs))


def test_a_list_may_also_come_in_several_parameters() -> None:
    parameters = given_query(
        ("crm_lead_ids", "a, b,"), ("crm_lead_ids", ""), ("crm_lead_ids", "c,a")
    )
    assert parameters.values("crm_lead_ids") == ("a", "b", "c")
    parameters.check()


def test_all_that_is_wrong_is_told_at_once() -> None:
    parameters = given_query(("page", "0"), ("is_call", "x"))
    parameters.window()
    parameters.page()
    parameters.boolean("is_call")
    with pytest.raises(BadRequest) as caught:
        parameters.check()
    assert caught.value.fields == {
        "from_date": ["This parameter is required."],
        "to_date": ["This parameter is required."],
        "page": ["Must be a whole number from 1 to 1000000000."],
        "is_call": ["Must be true or false."],
    }


@given(st.text())
def test_any_text_is_read_or_told(text: str) -> None:
    names = ["page", "number", "boolean", "choice", "uuid", "emails", "from_date", "to_date"]
    parameters = given_query(*((name, text) for name in names))
    parameters.window()
    parameters.page()
    parameters.number("number")
    parameters.boolean("boolean")
    parameters.choice("choice", ("a", "b"), "a")
    parameters.uuid("uuid")
    parameters.emails("emails")
    assert parameters.errors.keys() <= set(names)
    assert {"from_date", "to_date"} & parameters.errors.keys() or text.strip()[:4].isdigit()
