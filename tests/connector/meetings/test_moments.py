from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.meetings import moments

LAST_YEAR = 9999
DAY_START = datetime(2026, 1, 31, tzinfo=UTC)
DAY_END = datetime(2026, 1, 31, 23, 59, 59, 999999, UTC)
ZONES = st.timezones() | st.builds(
    lambda minutes: timezone(timedelta(minutes=minutes)), st.integers(-720, 840)
)


def moment_or_sentence(read: Callable[[str], datetime], text: str) -> datetime | str:
    try:
        return read(text)
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 1, 31, 9, 30, tzinfo=UTC), "2026-01-31T09:30:00Z"),
        (datetime(2026, 1, 31, 9, 30, 0, 500, UTC), "2026-01-31T09:30:00.000500Z"),
        (
            datetime(2026, 1, 31, 9, 30, tzinfo=timezone(timedelta(hours=2))),
            "2026-01-31T07:30:00Z",
        ),
    ],
)
def test_a_moment_leaves_in_utc(moment: datetime, text: str) -> None:
    assert moments.formatted(moment) == text


@given(st.datetimes(timezones=ZONES).filter(lambda moment: 1 < moment.year < LAST_YEAR))
def test_what_leaves_comes_back(moment: datetime) -> None:
    # In UTC, as an hour that a zone has twice equals nothing in another zone (PEP 495).
    assert moments.parsed(moments.formatted(moment)) == moment.astimezone(UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31T07:30:00.25Z",
        "2026-01-31t07:30:00.25z",
        "2026-01-31 07:30:00.25Z",
        "2026-01-31T09:30:00.25+02:00",
        "2026-01-31T07:30:00.250000999Z",
        "2026-01-30T23:30:00.25-08:00",
    ],
)
def test_rfc_3339_is_read(text: str) -> None:
    assert moments.parsed(text) == datetime(2026, 1, 31, 7, 30, 0, 250000, UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "1769844600",
        "2026-01-31",
        "2026-01-31T07:30:00",  # whose time?
        "2026-01-31T07:30Z",
        "2026-02-30T07:30:00Z",
        "2026-01-31T25:30:00Z",
        "2026-01-31T23:59:60Z",
        "2026-W05-6T07:30:00Z",
        "20260131T073000Z",
        "２０２６-01-31T07:30:00Z",
        "2026-01-31T07:30:00 02:00",
        "9999-12-31T23:59:59-12:00",
        "0001-01-01T00:00:00+12:00",
        "0000-01-01T00:00:00Z",
        "2026-01-31T07:30:00Z\n",
        "2026-01-31T07:30:00.\x00Z",
    ],
)
def test_nothing_else_is(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(Must be|There is no)"):
        moments.parsed(text)


def test_a_date_in_a_window_means_its_whole_day() -> None:
    assert moments.window_start("2026-01-31") == DAY_START
    assert moments.window_end("2026-01-31") == DAY_END
    assert moments.window_end("9999-12-31").year == 9999


@pytest.mark.parametrize(
    "text",
    ["2026-01-31T07:30:00Z", "2026-01-31T07:30:00", "2026-01-31T09:30:00 02:00"],
    ids=["as RFC 3339 has it", "without offset", "with an unescaped plus"],
)
def test_a_window_takes_date_times_as_queries_have_them(text: str) -> None:
    expected = datetime(2026, 1, 31, 7, 30, tzinfo=UTC)
    assert moments.window_start(text) == moments.window_end(text) == expected


@pytest.mark.parametrize("text", ["2026-02-30", "yesterday", "2026-1-1", "0000-01-01"])
def test_a_window_refuses_what_is_no_day(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(Must be|There is no)"):
        moments.window_start(text)


@given(st.text())
def test_any_text_is_a_moment_or_a_sentence(text: str) -> None:
    for read in (moments.parsed, moments.window_start, moments.window_end):
        result = moment_or_sentence(read, text)
        assert result.endswith(".") if isinstance(result, str) else result.tzinfo is UTC
