from typing import Any

import pytest

from connector.operations import Item
from connector.platforms.zapier.definition import _item, define, value_at
from connector.shapes import Output
from tests.connector.examples import example_spec

DEFINITION = define(example_spec())


def test_a_connection_is_made_from_the_two_halves_with_a_link_to_where_they_are() -> None:
    key, secret = DEFINITION["authentication"]["fields"]
    assert (key["key"], key["type"]) == ("client_key", "string")
    assert (secret["key"], secret["type"]) == ("client_secret", "password")
    page = "https://meet.northwind.example/settings/organization/developer/"
    for field in (key, secret):
        assert f"[Settings → Organization → Developer]({page})" in field["helpText"]


def test_each_trigger_is_a_hook_with_all_four_of_its_functions() -> None:
    for trigger in DEFINITION["triggers"].values():
        operation = trigger["operation"]
        functions = {name for name, value in operation.items() if value == "$func$2$f$"}
        assert operation["type"] == "hook"
        assert functions == {"performSubscribe", "performUnsubscribe", "perform", "performList"}


def test_the_answers_of_an_invitee_are_fields_to_choose_from() -> None:
    booked = DEFINITION["triggers"]["meeting_booked_via_scheduler"]
    fields = {field["key"]: field for field in booked["operation"]["outputFields"]}
    assert fields["invitee_details__email"]["label"] == "Invitee Details Email"
    assert fields["invitee_responses[]response"]["label"] == "Invitee Responses Response"
    assert fields["event_start_time"]["type"] == "datetime"


@pytest.mark.parametrize("group", ["triggers", "searches", "creates"])
def test_every_item_is_known_by_its_uuid(group: str) -> None:
    for step in DEFINITION[group].values():
        operation = step["operation"]
        assert operation["sample"]["id"] == operation["sample"]["uuid"]
        assert operation["outputFields"][0] == {"key": "id", "label": "ID", "type": "string"}


def test_an_item_that_has_an_id_keeps_it() -> None:
    made = _item(Item((Output("id", "ID", "uuid"),), {"id": "7"}, identity="id"))
    assert made == {
        "sample": {"id": "7"},
        "outputFields": [{"key": "id", "label": "ID", "type": "string"}],
    }


def test_fields_within_fields_have_zapiers_keys_and_labels_that_say_where_they_are() -> None:
    fields = {
        field["key"]: field
        for field in DEFINITION["triggers"]["new_conversation"]["operation"]["outputFields"]
    }
    assert fields["purpose__label"]["label"] == "Purpose Label"
    assert fields["attendees[]email"]["label"] == "Attendees Email"
    assert fields["duration"]["type"] == "number"
    assert fields["start_at"]["type"] == "datetime"


def test_the_outcome_is_set_on_a_meeting_that_a_search_can_find() -> None:
    fields = DEFINITION["creates"]["set_meeting_outcome"]["operation"]["inputFields"]
    assert {field["key"]: field.get("search") for field in fields} == {
        "meeting_uuid": "find_meeting.uuid",
        "outcome": None,
    }


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("subject", ["Demo"]),
        ("purpose__label", ["Sales"]),
        ("attendees[]email", ["a@x.example", "b@x.example"]),
        ("outcome__label", []),
        ("nothing", []),
        ("nothing__label", []),
        ("plain__key", [1]),
    ],
)
def test_a_value_is_found_under_its_fields_key(key: str, values: list[Any]) -> None:
    sample = {
        "subject": "Demo",
        "purpose": {"label": "Sales"},
        "attendees": [{"email": "a@x.example"}, {"email": "b@x.example"}, None],
        "outcome": None,
        "plain__key": 1,
    }
    assert value_at(sample, key) == values
