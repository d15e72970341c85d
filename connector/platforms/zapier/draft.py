"""What is linted, and the ways to walk through it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from connector.operations import Spec
from connector.platforms.zapier.definition import Definition

GROUPS = ("triggers", "searches", "creates")


@dataclass(frozen=True, slots=True)
class Draft:
    """The definition, and the declaration behind it."""

    spec: Spec
    definition: Definition


@dataclass(frozen=True, slots=True)
class Step:
    """One trigger, search or create of a definition."""

    where: str
    body: Definition

    @property
    def operation(self) -> Definition:
        operation: Definition = self.body["operation"]
        return operation

    @property
    def is_hook(self) -> bool:
        return self.operation.get("type") == "hook"

    @property
    def sample(self) -> Definition:
        sample: Definition = self.operation.get("sample", {})
        return sample

    @property
    def inputs(self) -> list[Definition]:
        """The input fields that are written down; others are functions that find fields."""
        return [one for one in self.operation.get("inputFields", []) if isinstance(one, dict)]

    @property
    def outputs(self) -> list[Definition]:
        """The output fields that are written down."""
        return [one for one in self.operation.get("outputFields", []) if isinstance(one, dict)]


def steps(draft: Draft, *groups: str) -> Iterator[Step]:
    """All steps of the groups that a person can see; of all groups when none is named."""
    for group in groups or GROUPS:
        for key, body in draft.definition.get(group, {}).items():
            if not body.get("display", {}).get("hidden"):
                yield Step(f"{group}.{key}", body)


def inputs(draft: Draft) -> Iterator[tuple[str, Definition]]:
    """All input fields of all steps, with their places."""
    for step in steps(draft):
        for field in step.inputs:
            yield f"{step.where}.{field['key']}", field


def credentials(draft: Draft) -> Iterator[tuple[str, Definition]]:
    """All fields of the authentication, with their places."""
    for field in draft.definition["authentication"].get("fields", []):
        yield f"authentication.{field['key']}", field


def texts(value: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """All texts in a JSON value, with their places."""
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from texts(part, f"{where}.{name}".lstrip("."))
    elif isinstance(value, list):
        for at, part in enumerate(value):
            yield from texts(part, f"{where}[{at}]")
