from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import pytest

from connector.operations import Spec
from connector.platforms.zapier.checks import RULES
from connector.platforms.zapier.definition import Definition, define
from connector.platforms.zapier.draft import Draft
from connector.platforms.zapier.lint import check, lint
from tests.connector.examples import example_spec

SPEC = example_spec()

Change = Callable[[Definition], object]


def found(change: Change, spec: Spec = SPEC) -> set[str]:
    """The ids of what is found once a definition was changed."""
    definition = deepcopy(define(spec))
    change(definition)
    return {finding.check for finding in check(Draft(spec, definition))}


def trigger(definition: Definition) -> Definition:
    made: Definition = definition["triggers"]["new_conversation"]
    return made


def search(definition: Definition) -> Definition:
    made: Definition = definition["searches"]["find_meeting"]
    return made


def create(definition: Definition) -> Definition:
    made: Definition = definition["creates"]["set_meeting_outcome"]
    return made


def operation(step: Definition) -> Definition:
    made: Definition = step["operation"]
    return made


def field(step: Definition, **changed: object) -> None:
    """Change the first input field of a step."""
    operation(step)["inputFields"][0].update(changed)


def output(step: Definition, **made: object) -> None:
    """Add an output field to a step."""
    operation(step)["outputFields"].append(made)


def polls(definition: Definition, **changed: object) -> None:
    """Make the trigger a polling one."""
    hook = operation(trigger(definition))
    for name in ("performSubscribe", "performUnsubscribe", "performList"):
        del hook[name]
    hook.update({"type": "polling"} | changed)


def test_the_emitted_connector_has_no_findings() -> None:
    assert lint(SPEC) == []


BAD: list[tuple[str, Change]] = [
    ("D001", lambda it: field(search(it), key="api_token")),
    ("D001", lambda it: field(search(it), key="client_secret")),
    ("D002", lambda it: it["authentication"]["fields"][0].update(helpText="Look in Settings.")),
    ("D002", lambda it: it["authentication"]["fields"][1].pop("helpText")),
    ("D004", lambda it: operation(create(it))["inputFields"][0].pop("search")),
    ("D005", lambda it: field(create(it), dynamic="meetings.uuid.subject")),
    ("D006", lambda it: operation(trigger(it)).pop("performList")),
    ("D007", lambda it: field(search(it), helpText="See [here](http://a.example).")),
    ("D008", lambda it: field(search(it), helpText="See https://a.example")),
    ("D008", lambda it: field(search(it), helpText="See [here(https://a.example)")),
    ("D008", lambda it: search(it)["display"].update(description="See [here](a.example).")),
    ("D009", lambda it: operation(search(it)).update(inputFields=[])),
    ("D010", lambda it: polls(it, sample={"uuid": "1"})),
    ("D010", lambda it: polls(it, outputFields=[{"key": "number", "primary": True}])),
    ("D011", lambda it: field(search(it), label="Attendee Email", helpText="attendee email.")),
    ("D012", lambda it: operation(search(it)).pop("sample")),
    ("D012", lambda it: operation(create(it)).update(sample={})),
    ("D013", lambda it: field(create(it), search="find_person.uuid")),
    ("D014", lambda it: field(create(it), type="datetime")),
    ("D014", lambda it: field(create(it), list=True)),
    ("D015", lambda it: it.update(searchOrCreates={"a": {"search": "no", "create": "no"}})),
    ("D017", lambda it: operation(trigger(it)).pop("performSubscribe")),
    ("D017", lambda it: operation(trigger(it)).pop("performUnsubscribe")),
    ("D018", lambda it: trigger(it)["display"].update(label="New conversation")),
    ("D018", lambda it: trigger(it)["display"].update(label="of the Conversation")),
    ("D021", lambda it: trigger(it)["display"].update(description="Triggers when it rains")),
    ("D021", lambda it: trigger(it)["display"].update(description="Triggers whenever it rains.")),
    ("D022", lambda it: operation(create(it)).update(inputFields=["$func$2$f$"])),
    ("D023", lambda it: operation(trigger(it))["sample"].update(start_at="2026-08-01T06:50:30")),
    ("D023", lambda it: operation(trigger(it))["sample"].update(start_at="yesterday")),
    ("D023", lambda it: operation(search(it))["sample"].update(subject="01 Aug 2026 06:50:30")),
    ("D024", lambda it: operation(trigger(it))["sample"].update(duration="long")),
    ("D024", lambda it: operation(trigger(it))["sample"].update(duration=True)),
    ("D024", lambda it: operation(trigger(it))["sample"]["purpose"].update(label=7)),
    ("D024", lambda it: operation(search(it))["sample"]["attendees"][1].update(email=7)),
    ("D024", lambda it: output(create(it), key="missing", required=True)),
    ("D025", lambda it: operation(search(it))["sample"].update(url="javascript:alert(1)//")),
    ("D025", lambda it: field(search(it), helpText="See [here](data:text/html,x).")),
    ("D026", lambda it: it["authentication"]["fields"][0].update(key="subdomain")),
    ("D026", lambda it: it["authentication"]["fields"][0].update(inputFormat="https://{{input}}")),
    ("D027", lambda it: it.update(platformVersion="18.0.0")),
    ("D028", lambda it: it["flags"].update(cleanInputData=True)),
    ("D028", lambda it: operation(create(it)).update(cleanInputData=True)),
]


@pytest.mark.parametrize(("name", "change"), BAD)
def test_a_bad_definition_is_found(name: str, change: Change) -> None:
    assert name in found(change)


def test_a_single_static_hook_is_found() -> None:
    def only_a_static_hook(it: Definition) -> None:
        it.update(searches={}, creates={}, triggers={"new_conversation": trigger(it)})
        del operation(trigger(it))["performSubscribe"]

    assert found(only_a_static_hook) == {"D016", "D017"}


BAD_SPECS = [
    ("D003", replace(SPEC, auth=replace(SPEC.auth, label="Keyhook"))),
    ("D003", replace(SPEC, auth=replace(SPEC.auth, label="{client_secret}"))),
    ("D003", replace(SPEC, auth=replace(SPEC.auth, label="{client_key}"))),
    ("D007", example_spec("http://meet.northwind.example")),
    ("M002", replace(SPEC, description="Meetings for teams that use many tools every day.")),
    ("M002", replace(SPEC, description="Keyhook is a service.")),
    ("M002", replace(SPEC, description=f"Keyhook is a {'very ' * 40}long description.")),
    ("M002", replace(SPEC, description="Keyhook is a service that connects Zapier to meetings.")),
]


@pytest.mark.parametrize(("name", "spec"), BAD_SPECS)
def test_a_bad_declaration_is_found(name: str, spec: Spec) -> None:
    assert {finding.check for finding in lint(spec)} == {name}


GOOD: list[Change] = [
    lambda it: field(search(it), key="user_email_address"),
    lambda it: field(search(it), helpText="See [here](https://a.example/x) or `https://...`."),
    lambda it: field(create(it), dynamic="new_conversation.uuid.subject"),
    lambda it: polls(it, outputFields=[{"key": "uuid", "primary": True}]),
    lambda it: trigger(it)["display"].update(label="End of a Call to the Team"),
    lambda it: operation(trigger(it))["sample"].update(start_at="2026-08-01T06:50:30-0500"),
    lambda it: operation(trigger(it))["sample"].update(start_at="2026-08-01"),
    lambda it: operation(trigger(it))["sample"].update(duration=None),
    lambda it: operation(trigger(it))["sample"].update(duration=7),
    lambda it: output(create(it), key="tags", type="string", list=True),
    lambda it: it.update(
        searchOrCreates={"a": {"search": "find_meeting", "create": "set_meeting_outcome"}}
    ),
]


@pytest.mark.parametrize("change", GOOD)
def test_what_is_right_is_left_alone(change: Change) -> None:
    assert found(change) == set()


def test_what_people_cannot_see_is_not_judged() -> None:
    def hidden(it: Definition) -> None:
        trigger(it)["display"] = {"hidden": True}
        del operation(trigger(it))["sample"]

    assert found(hidden) == set()


def test_every_check_is_shown_to_find_something() -> None:
    shown = {name for name, _ in BAD} | {name for name, _ in BAD_SPECS} | {"D016"}
    assert shown == set(RULES)


def test_a_finding_says_what_and_where() -> None:
    (finding,) = lint(example_spec("http://meet.northwind.example"))
    assert str(finding) == "D007 base URL: http://meet.northwind.example is not https"
