"""The story of a meeting: planned, over, written about; each step told once, to no stranger."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from connector.meetings.batches import Totals
from connector.meetings.errors import MeetingNotFound, TranscriptNotFound
from connector.meetings.ingest import MeetingInput
from connector.meetings.links import Links
from connector.meetings.queries import MeetingsQuery, NotesQuery
from connector.meetings.store import Meetings
from keystore.clock import ManualClock
from keystore.db import Database
from keystore.models import Organization
from keystore.vault import Vault
from tests.connector.meetings.support import ANA, BEN, MEETING, NOTES, TRANSCRIPT, Product, read

ENDED = ("meeting.ended", str(MEETING))
STARTED = ("meeting.started", str(MEETING))
NOTED = [(kind, str(MEETING)) for kind in ("AINOTE", "new_conversation", "notes.ready")]
ALL = MeetingsQuery(datetime(2025, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
ALL_NOTES = NotesQuery(ALL.from_date, ALL.to_date)


def test_a_new_meeting_is_created_and_read_back_whole(product: Product, clock: ManualClock) -> None:
    saved = product.put(
        crm_associations=[{"crm_obj_id": "1", "crm_obj_type": "account"}],
        duration=1800,
        call_details={"external_id": "x", "frm": "1", "to": "2", "call_direction": "inbound"},
    )
    assert (saved.created, saved.changed) == (True, True)
    assert saved.meeting.created == saved.meeting.modified == clock.now()
    assert product.get() == saved.meeting


def test_the_same_again_changes_nothing(product: Product, clock: ManualClock) -> None:
    first = product.put(transcript=TRANSCRIPT, notes=NOTES, outcome={"label": "Won"})
    events = product.events()
    clock.advance(60)
    again = product.put(transcript=TRANSCRIPT, notes=NOTES, outcome={"label": "Won"})
    assert (again.created, again.changed) == (False, False)
    assert again.meeting == first.meeting == product.get()
    assert product.events() == events


def test_what_was_read_can_be_sent_back(product: Product) -> None:
    product.put(transcript=TRANSCRIPT, notes=NOTES, purpose={"label": "Demo"}, duration=12.5)
    with product.database.session() as session:
        shown = product.meetings.get(session, product.sight, MEETING).to_json()
    assert not product.put(**shown).changed


def test_a_change_moves_modified_and_only_that(product: Product, clock: ManualClock) -> None:
    first = product.put()
    clock.advance(60)
    second = product.put(subject="Demo, part two")
    assert (second.created, second.changed) == (False, True)
    assert second.meeting.created == first.meeting.created
    assert second.meeting.modified == clock.now()
    assert product.get() == second.meeting


def test_attendees_and_associations_are_replaced(product: Product) -> None:
    product.put(crm_associations=[{"crm_obj_id": "1", "crm_obj_type": "account"}])
    product.put(
        attendees=[{"email": ANA, "response_status": "declined"}],
        crm_associations=[{"crm_obj_id": "2", "crm_obj_type": "lead"}],
    )
    meeting = product.get()
    assert [(one.email, one.response_status) for one in meeting.attendees] == [(ANA, "declined")]
    assert [one.crm_obj_id for one in meeting.crm_associations] == ["2"]


def test_a_beginning_and_an_ending_are_told_once(product: Product, clock: ManualClock) -> None:
    product.put(state="scheduled")
    assert product.events() == []
    product.put(state="in_progress")
    assert product.events() == [STARTED]
    clock.advance(1)
    product.put(state="completed")
    assert product.events() == [STARTED, ENDED]
    clock.advance(1)
    product.put(state="completed", subject="Renamed")
    product.put(state="not_recorded")
    assert product.events() == [STARTED, ENDED]


@pytest.mark.parametrize("state", ["completed", "not_recorded"])
def test_a_meeting_first_seen_after_its_end_has_ended(product: Product, state: str) -> None:
    product.put(state=state)
    assert product.events() == [ENDED]


@pytest.mark.parametrize("state", ["scheduled", "in_progress", "cancelled"])
def test_other_states_are_no_ending(product: Product, state: str) -> None:
    product.put(state=state)
    assert ENDED not in product.events()


def test_a_meeting_that_goes_on_may_end_again(product: Product, clock: ManualClock) -> None:
    product.put(state="completed")
    product.put(state="in_progress")
    clock.advance(1)
    product.put(state="completed")
    assert product.events() == [ENDED, ENDED]


def test_notes_are_told_once_when_they_come(product: Product, clock: ManualClock) -> None:
    product.put()
    clock.advance(1)
    saved = product.put(notes=NOTES)
    assert saved.meeting.notes_ready
    assert product.events() == [ENDED, *NOTED]
    product.put(notes=[*NOTES, {"heading": "More", "text": "later"}])
    assert product.events() == [ENDED, *NOTED]


def test_notes_are_ready_when_the_product_says_so(product: Product) -> None:
    saved = product.put(state="in_progress", notes_ready=True)
    assert saved.meeting.notes_ready
    assert product.events() == [*NOTED[:1], STARTED, *NOTED[1:]]
    body = json.loads(product.bodies("AINOTE")[0])
    assert (body["ai_notes"], body["action_items"]) == (None, [])


def test_a_frozen_body_tells_of_the_meeting_as_it_was_saved(product: Product) -> None:
    saved = product.put(transcript=TRANSCRIPT, notes=NOTES)
    [ended] = product.bodies("meeting.ended")
    expected = {"event_type": "meeting.ended", "event_label": "Meeting ended"}
    assert json.loads(ended) == expected | saved.meeting.to_json()
    [conversation] = product.bodies("new_conversation")
    assert (
        json.loads(conversation)["transcription_text"] == f"Ana Rep: Hello Ben.\n{BEN}: Um, hello."
    )


def test_content_and_outcome_stay_when_they_are_not_mentioned(product: Product) -> None:
    product.put(
        transcript=TRANSCRIPT,
        notes=NOTES,
        crm_associations=[{"crm_obj_id": "1", "crm_obj_type": "account"}],
    )
    product.set_outcome("Won")
    meeting = product.put(subject="Renamed").meeting
    assert meeting.outcome is not None
    assert meeting.outcome.label == "Won"
    assert meeting.transcript_ready
    assert meeting.notes_ready
    assert [one.crm_obj_id for one in meeting.crm_associations or ()] == ["1"]


def test_null_takes_content_and_outcome_away(product: Product) -> None:
    product.put(transcript=TRANSCRIPT, notes=NOTES, outcome={"label": "Won"})
    meeting = product.put(transcript=None, notes=None, outcome=None, crm_associations=[]).meeting
    assert meeting.outcome is None
    assert not meeting.transcript_ready
    assert not meeting.notes_ready
    with product.database.session() as session:
        assert product.meetings.notes(session, product.sight, ALL_NOTES).count == 0
    with pytest.raises(TranscriptNotFound):
        product.transcript(meeting.transcription_uuid)


def test_an_outcome_is_set_and_cleared_without_an_event(
    product: Product, clock: ManualClock
) -> None:
    product.put(state="scheduled")
    clock.advance(60)
    won = product.set_outcome("Won")
    assert won.changed
    assert won.meeting.modified == clock.now()
    assert won.meeting.outcome is not None
    assert product.get() == won.meeting
    clock.advance(60)
    assert not product.set_outcome("Won").changed
    assert product.set_outcome(None).meeting.outcome is None
    assert product.events() == []


def test_the_same_label_has_the_same_uuid_in_one_organization(
    product: Product, stranger: Product
) -> None:
    one, two = uuid4(), uuid4()
    product.put(one, outcome={"label": "Won"}, purpose={"label": "Won"})
    product.put(two)
    first, second = product.get(one), product.set_outcome("Won", two).meeting
    assert first.outcome == second.outcome
    assert first.purpose == first.type != first.outcome
    stranger.put(one, outcome={"label": "Won"})
    assert stranger.get(one).outcome.uuid != first.outcome.uuid


def test_the_outcome_of_an_unknown_meeting_cannot_be_set(product: Product) -> None:
    with pytest.raises(MeetingNotFound):
        product.set_outcome("Won")


def test_notes_keep_their_moment_of_creation(product: Product, clock: ManualClock) -> None:
    created = clock.now()
    product.put(notes=NOTES)
    changed = clock.advance(60)
    product.put(notes=[{"heading": "New", "text": ""}])
    clock.advance(60)
    product.put(notes=[{"heading": "New", "text": ""}], subject="Another")
    with product.database.session() as session:
        [note] = product.meetings.notes(session, product.sight, ALL_NOTES).results
    assert (note.created, note.modified) == (created, changed)


def test_organizations_neither_see_nor_touch_each_other(
    product: Product, stranger: Product
) -> None:
    ours = product.put(transcript=TRANSCRIPT, notes=NOTES, attendees=[]).meeting
    with pytest.raises(MeetingNotFound):
        stranger.get()
    with pytest.raises(MeetingNotFound):
        stranger.set_outcome("Won")
    with stranger.database.session() as session:
        assert stranger.meetings.list(session, stranger.sight, ALL).count == 0
    with stranger.database.session() as session:
        assert stranger.meetings.notes(session, stranger.sight, ALL_NOTES).count == 0
    with pytest.raises(TranscriptNotFound):
        stranger.transcript(ours.transcription_uuid)

    theirs = stranger.put(subject="Ours, not yours", transcript=TRANSCRIPT, notes=NOTES)
    assert theirs.created  # as if nobody else had this uuid
    assert product.get() == ours
    assert len(product.events()) == len(stranger.events()) == 5


def test_many_meetings_are_all_saved(product: Product) -> None:
    uuids = [uuid4() for _ in range(20)]
    seen: list[int] = []
    with product.database.session() as session:
        totals = product.meetings.save_many(
            session,
            product.sight,
            [(uuid, read(transcript=TRANSCRIPT)) for uuid in [*uuids, *uuids[:5]]],
            progress=lambda done: seen.append(done.seen),
        )
    assert totals == Totals(created=20, unchanged=5)
    assert seen == [20, 25]
    kinds = Counter(kind for kind, _ in product.events())
    assert kinds == {"meeting.ended": 20, "transcript.ready": 20}
    assert product.get(uuids[7]).transcript_ready


def test_a_later_record_of_one_batch_changes_an_earlier_one(product: Product) -> None:
    records = [(MEETING, read(subject=subject, notes=NOTES)) for subject in "abc"]
    with product.database.session() as session:
        totals = product.meetings.save_many(session, product.sight, records)
    assert totals == Totals(created=1, changed=2)
    assert product.get().subject == "c"
    assert sorted(product.events()) == sorted([ENDED, *NOTED])


def test_a_batch_is_saved_whole_or_not_at_all(product: Product) -> None:
    def records() -> Iterator[tuple[UUID, MeetingInput]]:
        for _ in range(600):
            yield uuid4(), read()
        raise RuntimeError("line 601 is bad")

    with pytest.raises(RuntimeError), product.database.session() as session:
        product.meetings.save_many(session, product.sight, records())
    with product.database.session() as session:
        assert product.meetings.list(session, product.sight, ALL).count == 0
    assert product.events() == []


def test_a_batch_can_be_saved_in_silence(product: Product) -> None:
    with product.database.session() as session:
        product.meetings.save_many(
            session, product.sight, [(MEETING, read(notes=NOTES))], publish=False
        )
    assert product.get().notes_ready
    assert product.events() == []


def test_writers_at_the_same_time_make_one_meeting_and_one_event(product: Product) -> None:
    """Eight at once: one creates it, and the others see that; nobody fails."""
    start = threading.Barrier(8)
    results: list[tuple[bool, bool]] = []

    def write() -> None:
        start.wait()
        saved = product.put(notes=NOTES)
        results.append((saved.created, saved.changed))

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [(False, False)] * 7 + [(True, True)]
    assert sorted(product.events()) == sorted([ENDED, *NOTED])


def test_who_hangs_on_a_meeting_is_told_when_it_turns_private_and_back(
    database: Database, clock: ManualClock, vault: Vault, organization: Organization
) -> None:
    told: list[tuple[UUID, UUID, bool]] = []
    meetings = Meetings(
        clock,
        Links(vault, "https://keyhook.example"),
        on_privacy=[lambda _, *what: told.append(what)],
    )
    product = Product(database, meetings, organization.id)
    for changes in ({}, {"is_private": True}, {"is_private": True, "subject": "Again"}, {}):
        product.put(**changes)
    other = uuid4()
    product.put(other, is_private=True)
    assert told == [
        (organization.id, MEETING, True),
        (organization.id, MEETING, False),
        (organization.id, other, True),
    ]


def test_a_transcript_has_a_signed_link_to_its_captions(product: Product) -> None:
    meeting = product.put(transcript=TRANSCRIPT).meeting
    found = product.transcript(meeting.transcription_uuid)
    assert (found.uuid, found.meeting_uuid) == (meeting.transcription_uuid, MEETING)
    assert [one.email for one in found.speakers] == [ANA, BEN]
    assert found.transcription_vtt_url.startswith(
        f"https://keyhook.example/v1/transcriptions/{found.uuid}/vtt/?"
    )
