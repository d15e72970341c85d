"""Whatever is done to a chain of rows, the check finds it, and says where it begins."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keystore import chain

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)
CONTENTS = st.fixed_dictionaries(
    {name: VALUES for name in chain.FIELDS if name not in {"seq", "digest"}}
)
Log = list[dict[str, Any]]


def chained(contents: list[dict[str, Any]]) -> Log:
    log: Log = []
    digest = chain.START
    for seq, content in enumerate(contents, start=1):
        digest = chain.digest(digest, content | {"seq": seq})
        log.append(content | {"seq": seq, "digest": digest})
    return log


def end(log: Log) -> tuple[int, str]:
    return (len(log), log[-1]["digest"]) if log else (0, chain.START)


LOGS = st.lists(CONTENTS, min_size=1, max_size=6).map(chained)


@given(LOGS)
def test_what_was_written_is_whole(log: Log) -> None:
    assert chain.check(log, end(log)) == chain.Verdict(len(log), log[-1]["digest"])


@given(LOGS, st.data())
def test_a_change_of_any_field_is_found_at_its_row(log: Log, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(log) - 1))
    name = data.draw(st.sampled_from([*chain.FIELDS, "digest"]))
    value = data.draw((VALUES | st.integers(0, 9)).filter(lambda one: same(one, log[at][name])))
    tampered = [dict(row) for row in log]
    tampered[at][name] = value

    broken = chain.check(tampered, end(log)).broken

    assert broken is not None
    assert broken.seq == at + 1


def same(one: Any, other: Any) -> bool:
    """JSON tells True from 1, which Python takes for equal."""
    return repr(one) != repr(other)


@given(LOGS, st.data())
def test_a_row_taken_out_is_found_where_it_was(log: Log, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(log) - 1))

    broken = chain.check(log[:at] + log[at + 1 :], end(log)).broken

    assert broken is not None
    assert broken.seq == at + 1


@given(LOGS, CONTENTS, st.data())
def test_a_row_put_in_is_found_however_well_it_is_numbered(
    log: Log, content: dict[str, Any], data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(log)))
    before = log[at - 1]["digest"] if at else chain.START
    forged = content | {"seq": at + 1}
    forged["digest"] = chain.digest(before, forged)
    shifted = [row | {"seq": row["seq"] + 1} for row in log[at:]]

    for rest in (log[at:], shifted):
        assert chain.check([*log[:at], forged, *rest], end(log)).broken is not None


@given(LOGS.filter(lambda log: len(log) > 1), st.data())
def test_two_rows_swapped_are_found(log: Log, data: st.DataObject) -> None:
    one, other = sorted(data.draw(st.sets(st.integers(0, len(log) - 1), min_size=2, max_size=2)))
    swapped = list(log)
    swapped[one], swapped[other] = log[other], log[one]
    renumbered = [row | {"seq": seq} for seq, row in enumerate(swapped, start=1)]

    for tampered in (swapped, renumbered):
        broken = chain.check(tampered, end(log)).broken
        assert broken is not None
        assert broken.seq == one + 1


@given(LOGS, CONTENTS)
def test_a_log_written_anew_is_found_by_whoever_noted_a_row(
    log: Log, content: dict[str, Any]
) -> None:
    noted = {len(log): log[-1]["digest"]}
    forged = chained([content | {"action": "forged"}, *log[1:]])
    if forged[-1]["digest"] == log[-1]["digest"]:
        return

    assert chain.check(forged, end(forged)).broken is None, "nothing in the log itself tells"
    for tampered in (forged, forged[:-1]):
        verdict = chain.check(tampered, end(tampered), noted)
        assert verdict.broken is not None
        assert verdict.broken.seq == len(log)
    assert chain.check(log, end(log), noted).broken is None


@pytest.mark.parametrize("left", [0, 1])
def test_a_tail_cut_off_is_found_by_the_note_of_the_end(left: int) -> None:
    log = chained([dict.fromkeys(chain.FIELDS, "x"), dict.fromkeys(chain.FIELDS, "y")])
    cut = log[:left]

    broken = chain.check(cut, end(log)).broken

    assert broken is not None
    assert broken.seq == len(cut) + 1
    assert "should go on to 2" in broken.why
