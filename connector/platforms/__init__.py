"""The platforms that the connector is emitted for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from connector.platforms.files import OutputRefused, write
from connector.platforms.findings import Finding
from connector.platforms.zapier.emit import emit as emit_zapier
from connector.platforms.zapier.lint import lint as lint_zapier
from connector.spec import Spec

__all__ = ["PLATFORMS", "Finding", "OutputRefused", "Platform", "write"]


@dataclass(frozen=True, slots=True)
class Platform:
    """One platform: `emit` makes a project of {path: text}, `lint` what its review would say."""

    name: str
    emit: Callable[[Spec], dict[str, str]]
    lint: Callable[[Spec], list[Finding]]


PLATFORMS: Mapping[str, Platform] = MappingProxyType(
    {"zapier": Platform("Zapier", emit_zapier, lint_zapier)}
)
