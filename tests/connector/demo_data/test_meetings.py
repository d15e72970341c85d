"""Northwind's meetings: some of everything, whatever day it is."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from connector import demo_data
from connector.meetings.record import happened, merged
from connector.meetings.samples import ORGANIZATION
from connector.meetings.schemas import ProcessingStatus, State

MOMENTS = st.integers(0, 4 * 366 * 24 * 60).map(
    lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)


@settings(max_examples=20)
@given(MOMENTS)
def test_there_is_some_of_everything(now: datetime) -> None:
    found = dict(demo_data.history(now))
    meetings = list(found.values())
    starts = [one.start_at for one in meetings if one.start_at]
    assert len(found) == len(starts) >= 240
    assert min(starts) >= now - timedelta(days=61)
    assert min(starts) < now - timedelta(days=55)
    assert max(starts) > now + timedelta(days=7)
    assert {one.state for one in meetings} == set(get_args(State))
    statuses = {one.processing_status for one in meetings}
    assert statuses == {*get_args(ProcessingStatus), None}
    past = [one for one in meetings if one.start_at and one.start_at < now]
    assert len(past) >= 200

    kinds = Counter(
        name
        for one in meetings
        for name, has in {
            "private": one.is_private,
            "internal": one.is_internal,
            "call": one.call_details is not None,
            "with transcript": one.transcript is not None,
            "with notes": one.notes is not None,
            "with action items": bool(one.action_items),
            "with outcome": one.outcome is not None,
            **{link.crm_obj_type: True for link in one.crm_associations},
        }.items()
        if has
    )
    assert min(kinds.values()) >= 5
    assert {"private", "call", "with notes", "account", "oppo", "contact", "lead"} <= kinds.keys()


def test_the_same_moment_gives_the_same_meetings() -> None:
    now = datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert list(demo_data.history(now)) == list(demo_data.history(now))


def test_nothing_planned_has_happened_yet() -> None:
    now = datetime(2026, 6, 1, 12, tzinfo=UTC)
    for _, one in demo_data.history(now):
        assert one.start_at is not None
        assert (one.state == "scheduled") == (one.start_at > now)
        assert (one.duration is not None) == (one.state == "completed")


@given(MOMENTS)
def test_a_live_meeting_ends_now_and_makes_the_events_that_most_want(now: datetime) -> None:
    uuid, given = demo_data.ending_now(now + timedelta(microseconds=5))
    record = merged(ORGANIZATION, uuid, given, None, now)
    assert record.meeting.end_at == now
    assert {"meeting.ended", "AINOTE", "new_conversation"} <= set(happened(None, record))
    assert demo_data.ending_now(now + timedelta(microseconds=5))[0] == uuid
    assert demo_data.ending_now(now + timedelta(seconds=30))[0] != uuid
