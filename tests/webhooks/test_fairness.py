from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhooks import fairness
from webhooks.fairness import FAILING_CAP, ZAPIER, Bucket, Room
from webhooks.windows import FIRST, Windows

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LANE = UUID(int=1)

#: Moments at which somebody asks for deliveries, and for how many: (seconds later, how many).
demands = st.lists(st.tuples(st.floats(0, 40), st.integers(0, 40)), max_size=60)


def sent(bucket: Bucket, asked: list[tuple[float, int]]) -> list[datetime]:
    """Return the moments of all deliveries that a bucket lets through."""
    now, full_at, moments = NOW, None, []
    for pause, count in asked:
        now += timedelta(seconds=pause)
        taken = min(count, bucket.tokens(full_at, now))
        if taken:
            full_at = bucket.take(taken, full_at, now)
        moments += [now] * taken
    return moments


def most_within(moments: list[datetime], seconds: float) -> int:
    """Return how many there are in the fullest half-open stretch of this length."""
    stretch = timedelta(seconds=seconds)
    return max(
        (sum(start <= one < start + stretch for one in moments) for start in moments), default=0
    )


@given(demands)
def test_zapier_never_gets_more_than_it_takes(asked: list[tuple[float, int]]) -> None:
    moments = sent(ZAPIER, asked)
    assert most_within(moments, 1) <= 30
    assert most_within(moments, 300) <= 10_000


def test_zapier_gets_nearly_what_it_takes() -> None:
    assert len(sent(ZAPIER, [(0.04, 30)] * 2_500)) >= 2_500


@given(st.integers(1, 400), demands)
def test_in_no_minute_a_subscriber_gets_more_than_its_rate(
    rate: int, asked: list[tuple[float, int]]
) -> None:
    bucket = fairness.bucket(rate, "https://partner.example/hook")
    assert bucket is not None
    assert most_within(sent(bucket, asked), 60) <= rate


@given(st.integers(1, 10_000), st.integers(0, 400), st.floats(0, 100))
def test_when_the_next_may_start_there_is_a_token_and_before_there_is_none(
    rate: int, taken: int, pause: float
) -> None:
    bucket = fairness.bucket(rate, "https://partner.example/hook")
    assert bucket is not None
    full_at = bucket.take(min(taken, bucket.burst), None, NOW)
    now = NOW + timedelta(seconds=pause)
    at = bucket.next_at(full_at, now)
    assert bucket.tokens(full_at, at) >= 1
    assert (at == now) == (bucket.tokens(full_at, now) >= 1)


def test_a_full_bucket_has_a_burst_and_an_empty_one_nothing() -> None:
    bucket = Bucket(5, 25.0)
    assert bucket.tokens(None, NOW) == bucket.tokens(NOW, NOW) == 5
    full_at = bucket.take(5, None, NOW)
    assert bucket.tokens(full_at, NOW) == 0
    assert full_at == NOW + timedelta(seconds=0.2)
    assert bucket.next_at(full_at, NOW) - NOW <= timedelta(seconds=0.04, microseconds=1)


@pytest.mark.parametrize(
    ("rate", "url", "bucket"),
    [
        (None, "https://partner.example/hook", None),
        (None, "https://hooks.zapier.com/hooks/standard/1/", ZAPIER),
        (None, "https://hooks.zapier.com.evil.example/", None),
        (60, "https://hooks.zapier.com/hooks/standard/1/", Bucket(2, 59 / 60)),
        (1, "https://partner.example/hook", Bucket(1, 1 / 60)),
    ],
)
def test_who_has_which_bucket(rate: int | None, url: str, bucket: Bucket | None) -> None:
    assert fairness.bucket(rate, url) == bucket


def test_an_endpoint_has_its_cap_and_a_failing_one_next_to_nothing() -> None:
    room = Room(100, 50, 10, {LANE.hex: 1})
    assert room.for_lane(LANE.hex, is_failing=False) == 9
    assert room.for_lane(LANE.hex, is_failing=True) == FAILING_CAP - 1
    assert room.for_lane(UUID(int=2).hex, is_failing=False) == 10
    assert Room(100, 50, 10, {LANE.hex: 10}).full_lanes == [LANE]
    assert room.full_lanes == []


def test_an_endpoint_has_no_more_than_it_is_trusted_with() -> None:
    known = Windows()
    room = Room(100, 50, 64, {LANE.hex: FIRST}, windows=known)
    assert room.for_lane(LANE.hex, is_failing=False) == 0
    assert room.full_lanes == [LANE]
    for _ in range(100):
        known.note(LANE.hex, answered=True)
    assert room.for_lane(LANE.hex, is_failing=False) == 64 - FIRST
    assert room.for_lane(LANE.hex, is_failing=True) == 0
    assert room.full_lanes == []


@pytest.mark.parametrize(
    ("slots", "cap", "again"), [(640, 106, 320), (20, 10, 10), (5, 2, 2), (1, 1, 1)]
)
def test_no_endpoint_and_no_retries_may_have_all_slots(slots: int, cap: int, again: int) -> None:
    assert (fairness.cap(slots, slots), fairness.share_for_retries(slots)) == (cap, again)


@given(st.integers(8, 1000), st.integers(1, 6))
def test_however_many_endpoints_hang_something_is_left(slots: int, hogs: int) -> None:
    free = slots
    for _ in range(hogs):
        free -= min(free, fairness.cap(slots, free))
    assert free >= slots >> (hogs + 1)
