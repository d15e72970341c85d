"""How a measurement is shown: medians with their spread, always beside the reference of its run."""

import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Series:
    """What one candidate reached in each round, per second."""

    name: str
    rounds: Sequence[float]

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)


def show(title: str, method: str, reference: Series, candidates: Sequence[Series]) -> None:
    """Print a Markdown table: how many per second, and the ratio to the reference by round."""
    print(f"\n### {title}\n\n{method} Python {platform.python_version()}.\n")  # noqa: T201
    print("| | per second, median (min to max) | ratio to reference, median (min to max) |")  # noqa: T201
    print("| --- | --- | --- |")  # noqa: T201
    for series in (reference, *candidates):
        ratios = [
            mine / theirs for mine, theirs in zip(series.rounds, reference.rounds, strict=True)
        ]
        print(  # noqa: T201
            f"| {series.name} | {series.median:,.0f} ({min(series.rounds):,.0f} to "
            f"{max(series.rounds):,.0f}) | {statistics.median(ratios):.2f} ({min(ratios):.2f} to "
            f"{max(ratios):.2f}) |"
        )
