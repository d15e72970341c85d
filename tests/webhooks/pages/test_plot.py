from datetime import UTC, datetime, timedelta

from webhooks.models import DeliveryState
from webhooks.pages import plot

NOW = datetime(2026, 1, 2, 12, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def delivered(minutes_ago: int, ms: int) -> plot.Row:
    published = NOW - minutes_ago * MINUTE
    return published, published + timedelta(milliseconds=ms), DeliveryState.DELIVERED


def test_each_hour_has_a_bar_with_what_came_and_how_long_half_of_it_took() -> None:
    rows: list[plot.Row] = [
        delivered(5, 10),
        delivered(50, 30),
        delivered(59, 80),
        (NOW - 61 * MINUTE, None, DeliveryState.PENDING),
        delivered(23 * 60 + 30, 5),
        delivered(24 * 60 + 1, 5),  # too old
    ]
    bars = plot.bars(rows, NOW)
    assert len(bars) == 24
    assert [bar.delivered for bar in bars] == [1, *[0] * 22, 3]
    assert [bar.other for bar in bars] == [*[0] * 22, 1, 0]
    assert (bars[-1].median_ms, bars[0].median_ms, bars[1].median_ms) == (30, 5, None)
    assert (bars[-1].delivered_height, bars[-2].other_height) == (60, 20)
    assert [bar.x for bar in bars[:3]] == [0, 20, 40]


def test_little_is_seen_beside_much_and_nothing_makes_no_plot() -> None:
    bars = plot.bars([delivered(1, 1)] * 1000 + [delivered(90, 1)], NOW)
    assert (bars[-1].delivered_height, bars[-2].delivered_height) == (60, 1)
    assert plot.bars([], NOW) == ()
    assert plot.bars([delivered(0, 1)], NOW)[-1].delivered == 1
