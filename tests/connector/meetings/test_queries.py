"""Filters, against the plainest filter one can write: a loop."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.meetings import ingest
from connector.meetings.ingest import MeetingInput
from connector.meetings.queries import CRM_TYPES, MeetingsQuery
from connector.meetings.schemas import Meeting
from connector.meetings.store import Listed
from tests.connector.meetings.support import Product, sent

START = datetime(2026, 1, 1, tzinfo=UTC)
PEOPLE = ["ana@northwind.example", "Ben@Customer.example", "straße@customer.example"]
CRM = [
    {"crm_obj_id": crm_id, "crm_obj_type": kind}
    for crm_id in "12"
    for kind in ("account", "oppo", "opportunity", "contact", "lead", "case")
]
MOMENTS = st.integers(0, 6).map(lambda hours: START + timedelta(hours=hours))
MEETINGS = st.lists(
    st.fixed_dictionaries(
        {
            "start_at": st.none() | MOMENTS.map(datetime.isoformat),
            "end_at": st.none(),
            "is_call": st.booleans(),
            "is_internal": st.booleans(),
            "duration": st.none() | st.sampled_from([0, 59.5, 60, 61]),
            "audio_ready": st.booleans(),
            "attendees": st.lists(st.sampled_from(PEOPLE), unique=True).map(
                lambda emails: [{"email": email, "response_status": "accepted"} for email in emails]
            ),
            "crm_associations": st.lists(st.sampled_from(CRM), max_size=3, unique_by=str),
        }
    ),
    max_size=12,
)
QUERIES = st.builds(
    MeetingsQuery,
    from_date=MOMENTS,
    to_date=MOMENTS,
    page=st.integers(1, 4),
    page_size=st.integers(1, 5),
    order=st.sampled_from(["start_at", "-start_at"]),
    is_call=st.none() | st.booleans(),
    is_internal=st.none() | st.booleans(),
    min_recording_duration=st.none() | st.sampled_from([0.0, 60.0]),
    attendee_emails=st.lists(
        st.sampled_from([email.casefold() for email in PEOPLE]), max_size=2
    ).map(tuple),
    crm_ids=st.dictionaries(
        st.sampled_from(sorted(CRM_TYPES)),
        st.lists(st.sampled_from("123"), min_size=1, max_size=2).map(tuple),
        max_size=2,
    ).map(lambda by_name: tuple(by_name.items())),
    include_crm_associations=st.booleans(),
)
batches = count(1)


def wanted(meeting: Meeting, query: MeetingsQuery) -> bool:
    emails = {one.email.casefold() for one in meeting.attendees}
    records = {(one.crm_obj_type, one.crm_obj_id) for one in meeting.crm_associations or ()}
    return (
        meeting.start_at is not None
        and query.from_date <= meeting.start_at <= query.to_date
        and query.is_call in {None, meeting.is_call}
        and query.is_internal in {None, meeting.is_internal}
        and (
            query.min_recording_duration is None
            or (
                (meeting.audio_ready or meeting.video_ready)
                and meeting.duration is not None
                and meeting.duration >= query.min_recording_duration
            )
        )
        and (not query.attendee_emails or bool(emails & set(query.attendee_emails)))
        and all(
            any((kind, crm_id) in records for kind in CRM_TYPES[name] for crm_id in ids)
            for name, ids in query.crm_ids
        )
    )


def naive(meetings: list[Meeting], query: MeetingsQuery) -> Listed[Meeting]:
    """Return what `Meetings.list` should."""
    found = [meeting for meeting in meetings if wanted(meeting, query)]
    found.sort(key=lambda one: (one.start_at, one.uuid), reverse=query.order == "-start_at")
    first = (query.page - 1) * query.page_size
    page = found[first : first + query.page_size]
    if not query.include_crm_associations:
        page = [one.model_copy(update={"crm_associations": None}) for one in page]
    return Listed(len(found), page)


def save(product: Product, given: list[dict[str, Any]]) -> list[Meeting]:
    """Replace all of the organization's meetings; no two batches have a uuid in common."""
    batch = next(batches)
    records: list[tuple[UUID, MeetingInput]] = [
        (UUID(int=batch << 32 | number), ingest.meeting(sent(**one)))
        for number, one in enumerate(given)
    ]
    with product.database.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM meetings")
    with product.database.session() as session:
        product.meetings.save_many(session, product.sight, records, publish=False)
    return [product.get(uuid) for uuid, _ in records]


@settings(max_examples=25)
@given(MEETINGS, st.lists(QUERIES, min_size=1, max_size=8))
def test_a_list_holds_what_a_loop_would_find(
    product: Product, stranger: Product, given: list[dict[str, Any]], queries: list[MeetingsQuery]
) -> None:
    meetings = save(product, given)
    stranger.put(subject="Somebody else's", start_at=START.isoformat(), end_at=None)
    for query in queries:
        with product.database.session() as session:
            assert product.meetings.list(session, product.sight, query) == naive(meetings, query)


@pytest.mark.parametrize("order", ["start_at", "-start_at"])
def test_pages_neither_overlap_nor_skip_when_all_start_at_once(
    product: Product, order: Any
) -> None:
    meetings = save(product, [{"start_at": START.isoformat(), "end_at": None}] * 23)
    seen: list[UUID] = []
    for page in range(1, 4):
        query = MeetingsQuery(START, START, page=page, page_size=10, order=order)
        with product.database.session() as session:
            found = product.meetings.list(session, product.sight, query)
        assert found.count == 23
        seen += [one.uuid for one in found.results]
    assert sorted(seen) == sorted(one.uuid for one in meetings)
