from collections.abc import Mapping
from typing import Any

import pytest

from connector.shapes import Output, outputs, words


def only(schema: Mapping[str, Any], **more: Any) -> Output:
    (output,) = outputs({"type": "object", "properties": {"one": schema}} | more)
    return output


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({"type": "string"}, "text"),
        ({"enum": ["a", "b"]}, "text"),
        ({}, "text"),
        ({"type": "string", "format": "date-time"}, "datetime"),
        ({"type": "string", "format": "uuid"}, "uuid"),
        ({"type": "string", "format": "email"}, "email"),
        ({"type": "string", "format": "uri"}, "url"),
        ({"type": "string", "format": "some-other"}, "text"),
        ({"type": "integer"}, "integer"),
        ({"type": "number", "format": "float"}, "number"),
        ({"type": "boolean"}, "boolean"),
        ({"type": "object"}, "object"),
        ({"type": ["null", "integer"]}, "integer"),
        ({"type": ["null"]}, "text"),
        ({"anyOf": [{"type": "null"}, {"type": "boolean"}]}, "boolean"),
        ({"oneOf": [{"type": "number"}, {"type": "string"}]}, "number"),
    ],
)
def test_every_type_has_a_kind(schema: Mapping[str, Any], kind: str) -> None:
    assert only(schema) == Output("one", "One", kind)  # type: ignore[arg-type]


def test_a_list_of_values_is_marked() -> None:
    schema = {"type": "array", "items": {"type": "string", "format": "email"}}
    assert only(schema) == Output("one", "One", "email", many=True)


def test_an_object_has_fields_and_a_list_of_objects_has_them_too() -> None:
    label = {"type": "object", "properties": {"label": {"type": "string"}}}
    fields = (Output("label", "Label"),)
    assert only(label) == Output("one", "One", "object", fields=fields)
    assert only({"type": "array", "items": label}) == Output(
        "one", "One", "object", many=True, fields=fields
    )


def test_references_are_followed_also_through_alternatives() -> None:
    definitions = {"a/b": {"$ref": "#/$defs/Label"}, "Label": {"type": "integer"}}
    schema = {"anyOf": [{"$ref": "#/$defs/a~1b"}, {"type": "null"}]}
    assert only(schema, **{"$defs": definitions}).kind == "integer"


def test_a_reference_to_elsewhere_is_refused() -> None:
    with pytest.raises(ValueError, match="within the schema"):
        only({"$ref": "https://schemas.example/label.json"})


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("start_at", "Start At"),
        ("meeting_uuid", "Meeting UUID"),
        ("transcription_vtt_url", "Transcription VTT URL"),
        ("call_external_ph_no", "Call External Phone Number"),
    ],
)
def test_names_become_words(name: str, label: str) -> None:
    assert words(name) == label
