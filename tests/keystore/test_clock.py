"""The clocks tell UTC."""

from datetime import UTC, datetime, timedelta

from keystore.clock import ManualClock, SystemClock, rising


def test_the_system_clock_tells_utc_and_goes_on() -> None:
    first, second = SystemClock().now(), SystemClock().now()

    assert first.tzinfo is UTC
    assert first <= second <= datetime.now(UTC)


def test_the_manual_clock_moves_when_told() -> None:
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))

    clock.advance(90)
    clock.advance(timedelta(hours=-1))

    assert clock.now() == datetime(2025, 12, 31, 23, 1, 30, tzinfo=UTC)


def test_a_rising_clock_follows_but_never_back() -> None:
    clock = ManualClock()
    high = rising(clock)
    top = clock.advance(60)
    assert high.now() == top

    clock.advance(-3600)
    assert high.now() == top
    assert rising(high) is high, "one is enough: all who share it have seen the same"

    assert high.now() == top
    assert clock.advance(7200) == high.now() > top
