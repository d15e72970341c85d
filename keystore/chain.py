"""What holds the audit log together: each row's digest covers the row and the digest before it.

The digest is a plain SHA-256, without a key of ours, for three reasons. Whoever gets an export can
check it without us and without our secret keys. A secret key that is retired leaves no history
behind that nobody can check any more. And a key would only keep out somebody who can write to the
database but cannot read the keys of the process beside it; against both kinds there is something
better: write the last row's number and digest down elsewhere, now and then, and ask
`keyhook audit verify --expect` whether they are still part of the log.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

VERSION = b"keyhook audit 1\n"
#: What the first row's digest follows.
START = "0" * 64
#: The members of a row that its digest covers: all there are, but the digest itself.
FIELDS = (
    "organization_id",
    "seq",
    "at",
    "actor_kind",
    "actor_id",
    "actor_label",
    "address",
    "agent",
    "action",
    "outcome",
    "subject_type",
    "subject_id",
    "detail",
)

#: A row as JSON has it: moments as ISO 8601 in UTC with microseconds, ids in their usual text.
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Break:
    """The first place at which a log is not what was written, and what is wrong there."""

    seq: int
    why: str


@dataclass(frozen=True)
class Verdict:
    """What a check found: the number of good rows, the last one's digest, and the break, if any."""

    length: int
    digest: str
    broken: Break | None = None


def digest(previous: str, row: Row) -> str:
    """Return 64 hex digits: SHA-256 over the version, the digest before, and the canonical row.

    Canonical is JSON (RFC 8259) with the members sorted, no blanks, and ASCII alone.
    """
    canonical = json.dumps(
        {name: row[name] for name in FIELDS},
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=True,
        allow_nan=False,
    )
    return hashlib.sha256(VERSION + f"{previous}\n{canonical}".encode()).hexdigest()


def check(
    rows: Iterable[Row], end: tuple[int, str], expected: Mapping[int, str] | None = None
) -> Verdict:
    """Walk one organization's rows in the order of their numbers, up to the first break.

    `end` is what the log should end with (number of rows, last digest); `expected` holds digests
    by number that were written down elsewhere.
    """
    length, last = 0, START
    expected = expected or {}
    for row in rows:
        seq = length + 1
        if row["seq"] != seq:
            return Verdict(length, last, Break(seq, f"row {row['seq']} stands where {seq} belongs"))
        if row["digest"] != digest(last, row):
            why = "the row, or the one before it, is not as it was written"
            return Verdict(length, last, Break(seq, why))
        if expected.get(seq, row["digest"]) != row["digest"]:
            return Verdict(length, last, Break(seq, "the digest is not the expected one"))
        length, last = seq, row["digest"]
    missing = max(end[0], *expected, 0)
    if length < missing:
        why = f"the log ends with row {length} and should go on to {missing}"
        return Verdict(length, last, Break(length + 1, why))
    if (length, last) != end:
        why = f"the log is noted as ending with row {end[0]}, digest {end[1]}"
        return Verdict(length, last, Break(end[0] + 1, why))
    return Verdict(length, last)
