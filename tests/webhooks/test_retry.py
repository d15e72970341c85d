from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhooks import retry
from webhooks.outcome import Ending, Outcome
from webhooks.retry import DELIVERED, Decision, GiveUp, Gone, Retry

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
DAY = timedelta(days=1)


class Middle:
    """No jitter."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


class Least:
    """The most downward, or the least upward, that jitter may do."""

    def uniform(self, a: float, b: float) -> float:  # noqa: ARG002 - the protocol has it
        return a


def answered(status: int, retry_after: str | None = None) -> Outcome:
    return Outcome(Ending.ANSWERED, 20, status=status, retry_after=retry_after)


def decide(outcome: Outcome, failures: int = 0, throttles: int = 0) -> Decision:
    return retry.decide(outcome, failures=failures, throttles=throttles, now=NOON, random=Least())


outcomes = st.builds(
    Outcome,
    ending=st.sampled_from(Ending),
    duration_ms=st.integers(0, 60_000),
    status=st.none() | st.integers(100, 599),
    retry_after=st.none()
    | st.text(max_size=40)
    | st.integers(0, 10**12).map(str)
    | st.datetimes(timezones=st.just(UTC)).map(format_datetime),
)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_an_acknowledgement(status: int) -> None:
    assert decide(answered(status)) == DELIVERED


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 404, 500, 503])
def test_any_other_answer_is_tried_again_redirects_too(status: int) -> None:
    assert isinstance(decide(answered(status)), Retry)


@pytest.mark.parametrize(
    "ending", [Ending.TIMED_OUT, Ending.UNREACHABLE, Ending.BROKEN, Ending.UNSENT]
)
def test_a_2xx_status_does_not_count_when_the_answer_never_became_whole(ending: Ending) -> None:
    assert isinstance(decide(Outcome(ending, 20, status=200)), Retry)


def test_follows_the_contract_s_schedule_and_then_gives_up() -> None:
    waits = [
        retry.decide(answered(500), failures=failures, throttles=0, now=NOON, random=Middle())
        for failures in range(6)
    ]
    assert waits == [
        Retry(timedelta(minutes=5)),
        Retry(timedelta(minutes=30)),
        Retry(timedelta(hours=2)),
        Retry(timedelta(hours=12)),
        Retry(timedelta(hours=24)),
        GiveUp(),
    ]


def test_410_ends_the_subscription_even_at_the_first_attempt() -> None:
    assert decide(answered(410)) == Gone()
    assert decide(Outcome(Ending.BROKEN, 20, status=410)) != Gone()


def test_a_refused_address_is_not_tried_again() -> None:
    assert decide(Outcome(Ending.REFUSED, 1)) == GiveUp()


def test_429_costs_no_attempt_and_waits_twice_as_long_each_time_up_to_an_hour() -> None:
    waits = [decide(answered(429), throttles=throttles) for throttles in range(24)]
    assert all(isinstance(wait, Retry) and wait.free for wait in waits)
    seconds = [wait.delay.total_seconds() for wait in waits if isinstance(wait, Retry)]
    assert seconds[:4] == [0.8, 1.6, 3.2, 6.4]
    assert seconds[-1] == 0.8 * 3600


def test_429_is_bounded_and_at_last_counts_as_a_failure() -> None:
    assert decide(answered(429), throttles=24) == decide(answered(500))
    assert decide(answered(429), throttles=24, failures=5) == GiveUp()


def test_retry_after_lengthens_a_wait_and_never_shortens_it() -> None:
    assert decide(answered(503, "7200")) == Retry(timedelta(hours=2))
    assert decide(answered(503, "1")) == decide(answered(503))
    assert decide(answered(429, "30")) == Retry(timedelta(seconds=30), free=True)
    in_an_hour = format_datetime(NOON + timedelta(hours=1), usegmt=True)
    assert decide(answered(503, in_an_hour)) == Retry(timedelta(hours=1))


def test_retry_after_is_obeyed_for_a_day_at_the_most() -> None:
    assert decide(answered(503, "999999999")) == Retry(DAY)
    assert decide(answered(429, "Fri, 31 Dec 9999 23:59:59 GMT")) == Retry(DAY, free=True)


@pytest.mark.parametrize(
    "text", ["", "soon", "-5", "1.5", "٣", "10 ", "Mon, 99 Foo 2026 00:00:00 GMT", None]
)
def test_a_retry_after_that_says_nothing_is_ignored(text: str | None) -> None:
    expected = timedelta(seconds=10) if text == "10 " else timedelta()
    assert retry.retry_after(text, NOON) == expected


@given(text=st.text())
def test_reading_retry_after_never_fails_and_never_goes_back_in_time(text: str) -> None:
    assert retry.retry_after(text, NOON) >= timedelta()


@given(
    outcome=outcomes,
    failures=st.integers(0, 10),
    throttles=st.integers(0, 40),
    seed=st.integers(),
)
def test_every_wait_is_within_its_bounds(
    outcome: Outcome, failures: int, throttles: int, seed: int
) -> None:
    decision = retry.decide(
        outcome, failures=failures, throttles=throttles, now=NOON, random=Random(seed)
    )
    if isinstance(decision, Retry):
        base = (
            min(timedelta(seconds=2**throttles), timedelta(hours=1))
            if decision.free
            else retry.CONTRACT[failures]
        )
        asked = min(retry.retry_after(outcome.retry_after, NOON), DAY)
        assert max(base * 0.8, asked) <= decision.delay <= max(base, asked) * 1.2
        assert not decision.free or outcome.status == 429


@given(script=st.lists(outcomes, min_size=31, max_size=31), seed=st.integers())
def test_no_receiver_can_keep_a_delivery_going_for_ever(script: list[Outcome], seed: int) -> None:
    random, failures, throttles = Random(seed), 0, 0
    for made, outcome in enumerate(script):
        decision = retry.decide(
            outcome, failures=failures, throttles=throttles, now=NOON, random=random
        )
        if not isinstance(decision, Retry):
            break
        failures, throttles = failures + (not decision.free), throttles + decision.free
        assert made < 29  # 24 that were free, then 6 that were not: the 30th ends it
    else:
        pytest.fail("31 attempts and no end")
