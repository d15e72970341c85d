"""When an expiry is told of, and how a span reads."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keystore import expiry
from keystore.expiry import EXPIRED, THRESHOLDS

END = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY, TICK = timedelta(days=1), timedelta(microseconds=1)
lefts = st.timedeltas(-40 * DAY, 40 * DAY)


@pytest.mark.parametrize(
    ("left", "days"),
    [
        (30 * DAY + TICK, None),
        (30 * DAY, 30),
        (7 * DAY + TICK, 30),
        (7 * DAY, 7),
        (5 * DAY, 7),
        (DAY + TICK, 7),
        (DAY, 1),
        (TICK, 1),
        (0 * DAY, EXPIRED),
        (-DAY, EXPIRED),
    ],
)
def test_the_nearest_threshold_counts_from_its_very_moment(
    left: timedelta, days: int | None
) -> None:
    assert expiry.reached(END, END - left) == days
    assert expiry.is_near(END, END - left) == (days in THRESHOLDS)


@given(lefts)
def test_the_next_moment_is_the_first_at_which_something_else_is_to_be_told(
    left: timedelta,
) -> None:
    now = END - left
    ahead = expiry.ahead(END, now)
    if ahead is None:
        assert expiry.reached(END, now) == EXPIRED
    else:
        assert ahead > now
        assert expiry.reached(END, ahead - TICK) == expiry.reached(END, now)
        assert expiry.reached(END, ahead) != expiry.reached(END, now)


@given(lefts)
def test_of_an_expiry_that_is_news_one_is_told_at_once_if_it_is_near(left: timedelta) -> None:
    now = END - left
    near = expiry.reached(END, now) is not None
    assert expiry.due(END, now) == (now if near else expiry.ahead(END, now))


def test_of_a_key_that_never_expires_there_is_nothing_to_tell() -> None:
    assert expiry.ahead(None, END) is None
    assert expiry.due(None, END) is None


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (30 * DAY - TICK, "in 30 days"),
        (5 * DAY, "in 5 days"),
        (36 * timedelta(hours=1) + TICK, "in 2 days"),
        (DAY - TICK, "in 1 day"),
        (DAY - timedelta(hours=1), "in 23 hours"),
        (timedelta(hours=1), "in 1 hour"),
        (timedelta(minutes=29), "in less than an hour"),
        (TICK, "in less than an hour"),
    ],
)
def test_a_span_reads_as_a_person_would_say_it(left: timedelta, words: str) -> None:
    assert expiry.in_words(left) == words
