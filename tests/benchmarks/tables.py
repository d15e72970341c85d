"""How a measurement is shown: medians with their spread, always beside the reference of its run."""

import platform
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Series:
    """What one candidate reached in each round."""

    name: str
    rounds: list[float] = field(default_factory=list)  # per second
    costs: list[float] = field(default_factory=list)  # microseconds of processor time; may be none

    def ratios(self, reference: "Series") -> list[float]:
        """Return the ratio of its rate to the reference's, round by round."""
        pairs = zip(self.rounds, reference.rounds, strict=True)
        return [mine / theirs for mine, theirs in pairs]

    def added(self, reference: "Series") -> list[float]:
        """Return what it cost beyond the reference, round by round, in microseconds."""
        pairs = zip(self.costs, reference.costs, strict=True)
        return [mine - theirs for mine, theirs in pairs]


def show(title: str, method: str, reference: Series, candidates: Sequence[Series]) -> None:
    """Print a Markdown table: rates, their ratio to the reference and, if known, the costs."""
    columns = ["", "per second", "ratio to the first"]
    if reference.costs:
        columns += ["processor time, µs each", "more than the first, µs"]
    end = f"Medians (from least to most). Python {platform.python_version()}."
    lines = [
        f"\n#### {title}\n\n{method} {end}\n",
        _line(columns),
        _line(["---"] * len(columns)),
    ]
    for series in (reference, *candidates):
        cells = [series.name, spread(series.rounds, ",.0f"), spread(series.ratios(reference))]
        if reference.costs:
            cells += [spread(series.costs, ".0f"), spread(series.added(reference), ".0f")]
        lines.append(_line(cells))
    _print([*lines, ""])


def table(title: str, method: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table of whatever was measured."""
    end = f"Medians (from least to most). Python {platform.python_version()}."
    lines = [f"\n#### {title}\n\n{method} {end}\n", _line(columns), _line(["---"] * len(columns))]
    _print([*lines, *[_line(row) for row in rows], ""])


def goal(text: str, reached: Sequence[float], bound: float, *, at_most: bool = False) -> None:
    """Print a goal, the median that was reached, and whether that is enough."""
    median = statistics.median(reached)
    met = median <= bound if at_most else median >= bound
    words = f"{'at most' if at_most else 'at least'} {bound:g}"
    _print([f"- {text}: {median:.2f} ({words} is the goal: {'met' if met else 'MISSED'})"])


def note(text: str) -> None:
    """Print a sentence."""
    _print([f"- {text}"])


def spread(numbers: Sequence[float], form: str = ".2f") -> str:
    """Return the median with the least and the most, like `2.00 (1.50 to 2.50)`."""
    least, most = min(numbers), max(numbers)
    return f"{statistics.median(numbers):{form}} ({least:{form}} to {most:{form}})"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _print(lines: Sequence[str]) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()
