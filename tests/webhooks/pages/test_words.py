from datetime import UTC, datetime, timedelta, timezone

import pytest

from webhooks.models import Attempt, Delivery, DeliveryState
from webhooks.outcome import Ending
from webhooks.pages import words

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def test_moments_read_in_utc_to_the_second() -> None:
    elsewhere = NOON.astimezone(timezone(timedelta(hours=5)))
    assert words.instant(elsewhere) == (
        '<time datetime="2026-05-04T12:00:00+00:00" title="4 May 2026, UTC">4 May, 12:00:00</time>'
    )


@pytest.mark.parametrize(
    ("milliseconds", "read"),
    [(0, "under 1 ms"), (1, "1 ms"), (999, "999 ms"), (1000, "1.0 s"), (15_049, "15.0 s")],
)
def test_durations_read_short(milliseconds: int, read: str) -> None:
    assert words.duration(milliseconds) == read


def test_every_outcome_and_every_state_has_words() -> None:
    for ending in Ending:
        read = words.outcome(Attempt(outcome=ending, status=200))
        assert read == "HTTP 200" if ending is Ending.ANSWERED else read
        assert read
    assert len({words.state_word(state) for state in DeliveryState}) == len(DeliveryState)


def test_only_a_whole_2xx_answer_looks_good() -> None:
    assert words.tone(Attempt(outcome=Ending.ANSWERED, status=204)) == "good"
    assert words.tone(Attempt(outcome=Ending.ANSWERED, status=302)) == "bad"
    assert words.tone(Attempt(outcome=Ending.BROKEN, status=200)) == "bad"


def test_a_pending_delivery_says_what_it_waits_for() -> None:
    minute = timedelta(minutes=1)
    sent = Delivery(due_at=NOON - minute, lease_until=NOON + minute)
    due = Delivery(due_at=NOON - minute, lease_until=NOON - minute)
    later = Delivery(due_at=NOON + minute, lease_until=None)
    assert words.next_step(sent, NOON) == "being sent now"
    assert words.next_step(due, NOON) == "due now"
    assert words.next_step(later, NOON).startswith("next try <time")
