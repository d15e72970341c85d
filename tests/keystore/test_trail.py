"""Reading the log: exports that are whole however they are cut, and that anyone can check."""

import csv
import io
import json
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keystore import audit, chain, trail
from keystore.audit import Actor
from keystore.clock import ManualClock
from keystore.db import Database, writing
from keystore.models import Organization
from keystore.trail import Filter

NOW = ManualClock().now()
TEXT = st.text(max_size=12) | st.sampled_from(["=1+1", "+1", "-1", "@A1", "\t=1", 'a,b\r\n"c"'])
DETAIL = st.dictionaries(
    st.sampled_from(["before", "after", "name", "x"]),
    TEXT | st.none() | st.booleans() | st.integers() | st.floats() | st.lists(TEXT, max_size=2),
)


def written(database: Database, rows: list[tuple[str, dict[str, object]]]) -> UUID:
    """Return an organization in whose log these stand: (agent, detail) of each."""
    organization = Organization(id=uuid4(), name=str(uuid4()), created_at=NOW)
    with database.session() as session, writing(session):
        session.add(organization)
        for agent, detail in rows:
            audit.record(
                session,
                NOW,
                Actor("user", agent, agent=agent),
                "thing.done",
                organization_id=organization.id,
                subject_type="organization",
                subject_id=organization.id,
                **detail,
            )
    return organization.id


def exported(
    database: Database, organization_id: UUID, form: trail.Format, after: int, limit: int | None
) -> list[str]:
    return list(
        trail.export(database.session, organization_id, form, Filter(after=after), limit=limit)
    )


def test_g1_the_parts_of_an_export_are_the_whole_and_it_can_be_checked(database: Database) -> None:
    @settings(max_examples=30)
    @given(st.lists(st.tuples(TEXT, DETAIL), max_size=7), st.integers(1, 4))
    def export(rows: list[tuple[str, dict[str, object]]], size: int) -> None:
        organization_id = written(database, rows)
        with database.session() as session:
            assert trail.verify(session, organization_id).broken is None
        forms: tuple[trail.Format, ...] = ("csv", "jsonl")
        for form in forms:
            parts = [
                line
                for after in range(0, max(len(rows), 1), size)
                for line in exported(database, organization_id, form, after, size)
            ]
            assert "".join(parts) == "".join(exported(database, organization_id, form, 0, None))

        lines = exported(database, organization_id, "jsonl", 0, None)
        found = [json.loads(line) for line in lines]
        end = (len(found), found[-1]["digest"]) if found else (0, chain.START)
        assert chain.check(found, end).broken is None
        assert len(found) == len(rows)

        text = "".join(exported(database, organization_id, "csv", 0, None))
        for row in csv.DictReader(io.StringIO(text, newline="")):
            for cell in row.values():
                assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))

    export()


def test_an_export_longer_than_a_batch_is_whole(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    organization_id = written(database, [("a", {"n": n}) for n in range(10)])
    for batch in (3, 5, 10):
        monkeypatch.setattr(trail, "BATCH", batch)
        for limit in (None, 4, 5, 10, 11):
            lines = exported(database, organization_id, "jsonl", 0, limit)
            assert [json.loads(line)["detail"]["n"] for line in lines] == list(
                range(min(10, limit or 10))
            )


def test_what_a_key_did_is_found_under_the_key(
    database: Database, organization: Organization
) -> None:
    key_id = uuid4()
    with database.session() as session, writing(session):
        audit.record(
            session,
            NOW,
            Actor("key", "Zapier", id=str(key_id)),
            "subscription.created",
            organization_id=organization.id,
            subject_type="subscription",
            subject_id=uuid4(),
        )

    with database.session() as session:
        [event] = trail.page(session, organization.id, Filter(key_id=key_id)).events
    assert event.action == "subscription.created"
