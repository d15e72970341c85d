"""What Zapier calls the definition: the whole connector as JSON, with a marker for each function.

It has the form in which `zapier-platform-core` 19.1.0 itself serializes an app, so that a test can
hold the two against each other, and the linter reads what the platform will read.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from connector.operations import Action, Auth, Input, Item, Search, Spec, Trigger
from connector.shapes import Output

CORE_VERSION = "19.1.0"
PROJECT_VERSION = "1.0.0"

Definition = dict[str, Any]

_FUNCTION = "$func$2$f$"  # core's marker: two parameters (z, bundle), no use of `arguments`
_MIDDLEWARE = {"beforeRequest": ["$func$3$f$"], "afterResponse": ["$func$2$f$"]}

# Kinds that Zapier has no word for are plain strings; an object without known parts has no type.
_INPUT_TYPES = {"datetime": "datetime", "secret": "password"}
_OUTPUT_TYPES = {
    "datetime": "datetime",
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "object": None,
}
_NESTED = re.compile(r"(?P<head>.+?)(?:\[\]|__)(?P<rest>.+)")


def define(spec: Spec) -> Definition:
    """Return the definition of a spec's connector."""
    return {
        "version": PROJECT_VERSION,
        "platformVersion": CORE_VERSION,
        # Else empty values vanish before our code sees them, also from within lists (D028).
        "flags": {"cleanInputData": False},
        "authentication": authentication(spec.auth),
        **_MIDDLEWARE,
        "triggers": {one.key: trigger(one) for one in spec.triggers},
        "searches": {one.key: search(one) for one in spec.searches},
        "creates": {one.key: create(one) for one in spec.actions},
    }


def authentication(auth: Auth) -> Definition:
    """Return a custom authentication with the spec's fields."""
    where = f"You find it under [{auth.found_at.text}]({auth.found_at.url})."
    return {
        "type": "custom",
        "fields": [_input(field) | {"helpText": f"{field.help} {where}"} for field in auth.fields],
        "test": _FUNCTION,
        "connectionLabel": _FUNCTION,
    }


def trigger(one: Trigger) -> Definition:
    """Return a REST hook: subscribed, unsubscribed, pushed, listed for the editor's test."""
    return {
        "key": one.key,
        "noun": one.noun,
        "display": {"label": one.title, "description": f"Triggers when {one.when}."},
        "operation": {
            "type": "hook",
            "performSubscribe": _FUNCTION,
            "performUnsubscribe": _FUNCTION,
            "perform": _FUNCTION,
            "performList": _FUNCTION,
            **_item(one.item),
        },
    }


def search(one: Search) -> Definition:
    """Return a search step."""
    return _step(one)


def create(one: Action) -> Definition:
    """Return an action step; Zapier calls each of them a create."""
    return _step(one)


def _step(one: Search | Action) -> Definition:
    return {
        "key": one.key,
        "noun": one.noun,
        "display": {"label": one.title, "description": one.summary},
        "operation": {
            "inputFields": [_input(field) for field in one.inputs],
            "perform": _FUNCTION,
            **_item(one.item),
        },
    }


def _input(field: Input) -> Definition:
    made = {
        "key": field.name,
        "label": field.label,
        "type": _INPUT_TYPES.get(field.kind, "string"),
        "required": field.required,
        "helpText": field.help,
    }
    if field.found_by:
        made["search"] = ".".join(field.found_by)
    return made


def _item(item: Item) -> Definition:
    """Sample and output fields, both led by the `id` that Zapier knows an item by."""
    fields = [field for output in item.outputs for field in _output(output)]
    if not any(field["key"] == "id" for field in fields):
        fields.insert(0, {"key": "id", "label": "ID", "type": "string"})
    return {
        "sample": {"id": item.sample[item.identity], **item.sample},
        "outputFields": fields,
    }


def _output(output: Output, key: str = "", label: str = "") -> Iterator[Definition]:
    """Flatten into Zapier's keys: `purpose__label` in an object, `attendees[]email` in a list."""
    key, label = f"{key}{output.name}", f"{label} {output.label}".strip()
    if output.fields:
        for field in output.fields:
            yield from _output(field, key + ("[]" if output.many else "__"), label)
        return
    made: Definition = {"key": key, "label": label}
    kind = _OUTPUT_TYPES.get(output.kind, "string")
    if kind:
        made["type"] = kind
    if output.many:
        made["list"] = True
    yield made


def value_at(sample: Mapping[str, Any], key: str) -> list[Any]:
    """Look up what a sample holds under an output field's key; several values for a list's."""
    if key in sample:
        return [sample[key]]
    nested = _NESTED.match(key)
    if nested is None or nested["head"] not in sample:
        return []
    found = sample[nested["head"]]
    parts = found if isinstance(found, list) else [found]
    return [
        one for part in parts if isinstance(part, dict) for one in value_at(part, nested["rest"])
    ]
