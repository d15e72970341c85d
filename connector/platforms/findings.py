"""What a platform's linter says."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a platform's review would object to.

    `check` is the platform's own name of the rule, `where` the place in the definition.
    """

    check: str
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.check} {self.where}: {self.message}"
