"""Load by wrk, and what it costs the server: requests per second, processor time per request."""

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.tables import Series

CONNECTIONS = 16
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

# Each request has the next line of a file as its Authorization.
IN_TURNS = """
local requests, number = {}, 0
function init(arguments)
  for line in io.lines(arguments[1]) do
    requests[#requests + 1] = wrk.format("GET", nil, {Authorization = line})
  end
end
function request()
  number = number % #requests + 1
  return requests[number]
end
"""


@dataclass(frozen=True)
class Target:
    """A running server: whom to ask what, and as whom."""

    name: str
    url: str
    process: int  # the id of the one that all its processes descend from
    authorizations: Sequence[str] = ("none",)


def measure(targets: Sequence[Target], folder: Path, *, rounds: int, seconds: int) -> list[Series]:
    """Load the targets in turns, each second round in reverse, after a second to warm up."""
    script = folder / "in_turns.lua"
    script.write_text(IN_TURNS)
    measured = [Series(target.name) for target in targets]
    for target in targets:
        once(target, script, 1)
    for number in range(rounds):
        pairs = list(zip(targets, measured, strict=True))
        for target, results in pairs if number % 2 == 0 else reversed(pairs):
            rate, cost = once(target, script, seconds)
            results.rounds.append(rate)
            results.costs.append(cost)
    return measured


def once(target: Target, script: Path, seconds: int) -> tuple[float, float]:
    """Return requests per second and microseconds of processor time for each of them.

    Any answer but 2xx fails the run.
    """
    values = script.with_suffix(".txt")
    values.write_text("".join(f"{one}\n" for one in target.authorizations))
    before = processor_seconds(target.process)
    result = subprocess.run(
        [
            "wrk",
            "-t1",
            f"-c{CONNECTIONS}",
            f"-d{seconds}s",
            "-s",
            str(script),
            target.url,
            str(values),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    used = processor_seconds(target.process) - before
    assert "Non-2xx" not in result.stdout, f"{target.name}: {result.stdout}"
    assert "Socket errors" not in result.stdout, f"{target.name}: {result.stdout}"
    rate = re.search(r"Requests/sec:\s+([\d.]+)", result.stdout)
    count = re.search(r"(\d+) requests in", result.stdout)
    assert rate, result.stdout
    assert count, result.stdout
    return float(rate[1]), used / int(count[1]) * 1_000_000


def processor_seconds(process: int) -> float:
    """Return what a process and its living descendants have used, in user and system mode.

    From /proc/PID/stat; see proc_pid_stat(5): after the name come state, ppid and others; utime
    and stime are the 14th and 15th field.
    """
    parents, ticks = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents[int(path.parent.name)] = int(fields[1])
        ticks[int(path.parent.name)] = int(fields[11]) + int(fields[12])
    family, generation = {process}, {process}
    while generation:
        generation = {child for child, parent in parents.items() if parent in generation}
        family |= generation
    return sum(ticks[one] for one in family) / TICKS_PER_SECOND
