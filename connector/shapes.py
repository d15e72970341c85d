"""From a JSON Schema to the fields that a platform shows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

OutputKind = Literal[
    "text", "email", "uuid", "url", "datetime", "integer", "number", "boolean", "object"
]

_FORMATS: Mapping[str, OutputKind] = {
    "date-time": "datetime",
    "email": "email",
    "uuid": "uuid",
    "uri": "url",
    "url": "url",
}
_TYPES: Mapping[str, OutputKind] = {
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "object": "object",
}
# Parts of names that a person would not read rightly when only capitalized.
_WORDS: Mapping[str, str] = {
    "ai": "AI",
    "crm": "CRM",
    "frm": "From",
    "id": "ID",
    "no": "Number",
    "obj": "Object",
    "ph": "Phone",
    "txt": "Text",
    "url": "URL",
    "uuid": "UUID",
    "vtt": "VTT",
}


@dataclass(frozen=True, slots=True)
class Output:
    """A value that an operation hands on. `many` marks a list; an object's parts are `fields`."""

    name: str
    label: str
    kind: OutputKind = "text"
    many: bool = False
    fields: tuple["Output", ...] = ()


def outputs(schema: Mapping[str, Any]) -> tuple[Output, ...]:
    """Read the properties of an object's JSON Schema (2020-12), in their order.

    Local references are followed; null beside another type is dropped, for any platform shows
    an absent value alike. Of several other alternatives the first is taken.
    """
    return _fields(schema, schema)


def words(name: str) -> str:
    """`start_at` -> `Start At`, `meeting_uuid` -> `Meeting UUID`."""
    return " ".join(_WORDS.get(word, word.capitalize()) for word in name.split("_"))


def _fields(schema: Mapping[str, Any], root: Mapping[str, Any]) -> tuple[Output, ...]:
    return tuple(_output(name, part, root) for name, part in schema.get("properties", {}).items())


def _output(name: str, schema: Mapping[str, Any], root: Mapping[str, Any]) -> Output:
    schema = _plain(schema, root)
    many = _type(schema) == "array"
    if many:
        schema = _plain(schema.get("items", {}), root)
    kind = _FORMATS.get(schema.get("format", "")) or _TYPES.get(_type(schema), "text")
    return Output(name, words(name), kind, many, _fields(schema, root))


def _plain(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow references and leave out null until a schema with a type is reached."""
    while True:
        if "$ref" in schema:
            schema = _at(root, schema["$ref"])
            continue
        choices = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
        choice = next((one for one in choices or () if one.get("type") != "null"), None)
        if choice is None:
            return schema
        schema = choice


def _at(root: Mapping[str, Any], reference: str) -> Mapping[str, Any]:
    if not reference.startswith("#/"):
        raise ValueError(f"Only references within the schema are followed, not {reference!r}.")
    found: Any = root
    for step in reference[2:].split("/"):
        found = found[step.replace("~1", "/").replace("~0", "~")]
    return found  # type: ignore[no-any-return]  # a schema is a JSON object


def _type(schema: Mapping[str, Any]) -> str:
    types = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(types, str):
        return types
    return next((one for one in types if one != "null"), "string")
