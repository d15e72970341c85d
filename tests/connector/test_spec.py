from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.operations import Action, Call, Given, Held, Input, Item, Search, SpecError, Trigger
from connector.spec import describe
from tests.connector.examples import EVENT_TYPES, MEETING, example_spec

SPEC = example_spec()
STEPS: tuple[Search | Action, ...] = (*SPEC.searches, *SPEC.actions)
OFFERED = [
    "new_conversation",
    "MEETING_BOOKED_VIA_SCHEDULER",
    "MEETING_BOOKED_VIA_SCHEDULER_CANCELED",
    "MEETING_BOOKED_VIA_SCHEDULER_RESCHEDULED",
]

triggers = pytest.mark.parametrize(
    ("trigger", "event_type"), list(zip(SPEC.triggers, OFFERED, strict=True)), ids=OFFERED
)


def slots(value: object) -> Iterator[object]:
    if isinstance(value, Mapping):
        for part in value.values():
            yield from slots(part)
    else:
        yield value


def asked(call: Call) -> set[str]:
    values = [*slots(call.segments), *slots(call.query), *slots(call.body)]
    return {value.name for value in values if isinstance(value, Given)}


def test_what_the_main_job_needs_is_offered() -> None:
    assert [(one.key, one.title) for one in SPEC.triggers] == [
        ("new_conversation", "New Conversation"),
        ("meeting_booked_via_scheduler", "Meeting Booked"),
        ("meeting_booked_via_scheduler_canceled", "Booking Canceled"),
        ("meeting_booked_via_scheduler_rescheduled", "Booking Rescheduled"),
    ]
    assert [one.title for one in SPEC.searches] == ["Find Meeting"]
    assert [one.title for one in SPEC.actions] == ["Set Meeting Outcome"]


def test_people_connect_with_the_two_halves_of_a_key_and_are_told_where_they_are() -> None:
    key, secret = SPEC.auth.fields
    assert (key.label, key.kind) == ("Client Key", "text")
    assert (secret.label, secret.kind) == ("Client Secret", "secret")
    assert SPEC.auth.authorization == "Bearer {client_key}:{client_secret}"
    assert SPEC.auth.found_at.text == "Settings → Organization → Developer"
    assert SPEC.auth.found_at.url.startswith(f"{SPEC.base_url}/settings/organization/developer")
    assert SPEC.auth.test == Call("GET", "/v1/me/")
    assert SPEC.auth.label == "{organization_name} — {key_name}"


@triggers
def test_a_trigger_is_subscribed_listed_and_unsubscribed(trigger: Trigger, event_type: str) -> None:
    assert trigger.subscribe.method == "POST"
    assert trigger.subscribe.path == "/v1/webhooks/"
    assert trigger.subscribe.body["event_type"] == event_type
    assert trigger.samples.segments == {"event_type": event_type}
    assert trigger.unsubscribe == Call("DELETE", "/v1/webhooks/{id}/", {"id": Held("id")})


@triggers
def test_a_trigger_hands_on_what_the_catalogue_says(trigger: Trigger, event_type: str) -> None:
    known = {one.name: one for one in EVENT_TYPES}[event_type]
    assert [one.name for one in trigger.item.outputs] == list(known.schema["properties"])
    assert trigger.item.sample == known.sample


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.key)
def test_every_input_is_used_and_every_slot_is_an_input(step: Search | Action) -> None:
    assert asked(step.call) == {one.name for one in step.inputs}


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.key)
def test_an_input_that_a_search_fills_names_a_field_of_that_search(step: Search | Action) -> None:
    found = {(one.key, output.name) for one in SPEC.searches for output in one.item.outputs}
    assert {one.found_by for one in step.inputs if one.found_by} <= found


def test_no_platform_is_spoken_of() -> None:
    said = repr((SPEC.auth, SPEC.searches, SPEC.actions, SPEC.triggers)).lower()
    assert "find_meeting" in said
    assert not [word for word in ("zap", "n8n", "bundle", "iml", "$json") if word in said]


@pytest.mark.parametrize("name", OFFERED)
def test_a_catalogue_without_an_offered_event_is_refused(name: str) -> None:
    others = [one for one in EVENT_TYPES if one.name != name]
    with pytest.raises(SpecError, match=f"no event type {name}"):
        describe(others, meeting=MEETING, base_url="https://a.example")


@pytest.mark.parametrize(
    "base_url",
    [
        "https://meet.example.com",
        "http://127.0.0.1:8400",
        "http://[::1]:8400",
        "https://example.com/keyhook",
    ],
)
def test_a_base_url_may_have_a_port_and_a_path_and_loses_its_last_slash(base_url: str) -> None:
    assert example_spec(base_url).base_url == base_url
    assert example_spec(f"{base_url}/").base_url == base_url


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "meet.example.com",
        "ftp://meet.example.com",
        "javascript:alert(1)",
        "https://",
        "https:///v1",
        "https://a.example?x=1",
        "https://a.example/#top",
        "https://user:secret@a.example",
        "https://a.example/\n",
        "https://a.example/`",
        "https://a.example:port",
        "https://bücher.example",
    ],
)
def test_any_other_base_url_is_refused(base_url: str) -> None:
    with pytest.raises(SpecError, match="base URL"):
        example_spec(base_url)


@given(st.text())
def test_a_base_url_that_is_accepted_cannot_break_out_of_where_it_is_written(text: str) -> None:
    try:
        made = example_spec(f"https://a.example{text}")
    except SpecError:
        return
    assert made.base_url.isascii()
    assert not set(made.base_url) & set(" \"'`<>()[]{}\\\n$")


def test_a_path_and_its_segments_belong_together() -> None:
    with pytest.raises(SpecError, match="braces"):
        Call("GET", "/v1/meetings/{uuid}/")
    with pytest.raises(SpecError, match="braces"):
        Call("GET", "/v1/meetings/", segments={"uuid": Given("uuid")})
    with pytest.raises(SpecError, match="slash"):
        Call("GET", "v1/meetings/")


@pytest.mark.parametrize("name", ["", "../up", "a/b", "Name", "1st", "a b", "é", "a\n"])
def test_a_name_that_could_not_be_a_file_or_a_member_is_refused(name: str) -> None:
    with pytest.raises(SpecError, match="name"):
        Input(name, "Label", "Help.")


@pytest.mark.parametrize("sample", [{}, {"uuid": None}, {"uuid": 7}])
def test_a_sample_without_what_names_it_is_refused(sample: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match="names it"):
        Item((), sample)
