"""However writers get in each other's way, the log has no gap and its chain holds (G1).

And whatever is done to the stored rows afterwards is found.
"""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from keystore import audit, chain, trail
from keystore.audit import SYSTEM, Actor
from keystore.clock import ManualClock
from keystore.db import Database, writing
from keystore.models import AuditEvent, AuditHead, Organization

NOW = ManualClock().now()
#: What a writer does: tell something to the organization of this number, in a savepoint or not,
#: or end the transaction in one way or the other.
STEPS = st.one_of(
    st.tuples(st.sampled_from(["tell", "tell and roll back"]), st.integers(0, 1)),
    st.tuples(st.sampled_from(["commit", "roll back"]), st.just(0)),
)


def organizations(database: Database) -> list[UUID]:
    """Two of them, with empty logs."""
    made = [Organization(id=uuid4(), name=str(uuid4()), created_at=NOW) for _ in range(2)]
    with database.session() as session, writing(session):
        session.add_all(made)
    return [one.id for one in made]


def tell(session: Session, organization_id: UUID, action: str) -> None:
    audit.record(
        session,
        NOW,
        SYSTEM,
        action,
        organization_id=organization_id,
        subject_type="organization",
        subject_id=organization_id,
        before={"a": 1},
        after=None,
    )


def actions(database: Database, organization_id: UUID) -> list[str]:
    """Return what the log tells; it must be whole."""
    with database.session() as session:
        verdict = trail.verify(session, organization_id)
    assert verdict.broken is None
    with database.session() as session, session.begin():
        rows = session.scalars(
            select(AuditEvent)
            .where(AuditEvent.organization_id == organization_id)
            .order_by(AuditEvent.seq)
        ).all()
    assert [row.seq for row in rows] == list(range(1, verdict.length + 1))
    return [row.action for row in rows]


@dataclass
class Writer:
    """One session, a step at a time; it remembers what it has committed, by organization."""

    name: str
    database: Database
    between: list[UUID]
    committed: dict[UUID, list[str]] = field(default_factory=dict)
    told: list[tuple[UUID, str]] = field(default_factory=list)
    count: int = 0

    def __post_init__(self) -> None:
        self.session = self.database.session()

    def step(self, what: str, where: int) -> None:
        if what == "commit":
            self.session.commit()
            for organization_id, action in self.told:
                self.committed.setdefault(organization_id, []).append(action)
            self.told.clear()
        elif what == "roll back":
            self.session.rollback()
            self.told.clear()
        else:
            self._tell(what, self.between[where])

    def _tell(self, what: str, organization_id: UUID) -> None:
        if not self.session.in_transaction():
            self.session.connection(execution_options={"keyhook_begin": "IMMEDIATE"})
        self.count += 1
        action = f"{self.name}.{self.count}"
        if what == "tell":
            tell(self.session, organization_id, action)
            self.told.append((organization_id, action))
        else:
            savepoint = self.session.begin_nested()
            tell(self.session, organization_id, action)
            savepoint.rollback()


def agree(database: Database, writers: list[Writer]) -> None:
    """Each log holds what was committed, nothing else, and each writer's rows in its order."""
    for organization_id in writers[0].between:
        logged = actions(database, organization_id)
        wanted = {one.name: one.committed.get(organization_id, []) for one in writers}
        for name, theirs in wanted.items():
            assert [action for action in logged if action.startswith(f"{name}.")] == theirs
        assert Counter(logged) == Counter(action for own in wanted.values() for action in own)


def test_g1_transactions_interleaved_step_by_step_leave_a_whole_chain(database: Database) -> None:
    # SQLite's transactions that write follow one another anyway.
    writers_at_once = 1 if database.is_sqlite else 3

    @settings(max_examples=60)
    @given(st.lists(st.tuples(st.integers(0, writers_at_once - 1), STEPS), max_size=25))
    def interleave(steps: list[tuple[int, tuple[str, int]]]) -> None:
        between = organizations(database)
        writers = [Writer(f"w{n}", database, between) for n in range(writers_at_once)]
        for writer, step in steps:
            writers[writer].step(*step)
        for one in writers:
            one.session.close()
        agree(database, writers)

    interleave()


def test_g1_writers_at_once_leave_a_whole_chain(database: Database) -> None:
    @settings(max_examples=8)
    @given(st.lists(st.lists(STEPS, max_size=12), min_size=2, max_size=4))
    def race(programs: list[list[tuple[str, int]]]) -> None:
        between = organizations(database)
        writers = [Writer(f"w{n}", database, between) for n in range(len(programs))]
        start = threading.Barrier(len(programs))

        def run(writer: Writer, program: list[tuple[str, int]]) -> None:
            start.wait()
            for step in [*program, ("commit", 0)]:
                writer.step(*step)
            writer.session.close()

        threads = [
            threading.Thread(target=run, args=pair) for pair in zip(writers, programs, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(not writer.told for writer in writers), "each came to its end"
        agree(database, writers)

    race()


Tampering = Callable[[Session, UUID, int], object]


def change(**values: object) -> Tampering:
    def tamper(session: Session, organization_id: UUID, seq: int) -> None:
        session.execute(update(AuditEvent).where(*at(organization_id, seq)).values(**values))

    return tamper


def at(organization_id: UUID, seq: int) -> tuple[ColumnElement[bool], ...]:
    return AuditEvent.organization_id == organization_id, AuditEvent.seq == seq


def take_out(session: Session, organization_id: UUID, seq: int) -> None:
    session.execute(delete(AuditEvent).where(*at(organization_id, seq)))


def take_out_and_close_the_gap(session: Session, organization_id: UUID, seq: int) -> None:
    take_out(session, organization_id, seq)
    later = AuditEvent.organization_id == organization_id, AuditEvent.seq > seq
    for number in session.scalars(select(AuditEvent.seq).where(*later).order_by(AuditEvent.seq)):
        change(seq=number - 1)(session, organization_id, number)


def put_in(session: Session, organization_id: UUID, seq: int) -> None:
    """A forged row behind this one; it is chained as it should be."""
    rows = session.scalars(
        select(AuditEvent)
        .where(AuditEvent.organization_id == organization_id, AuditEvent.seq >= seq)
        .order_by(AuditEvent.seq)
    ).all()
    for row in reversed(rows[1:]):
        change(seq=row.seq + 1)(session, organization_id, row.seq)
    copied = audit.plain(rows[0]) | {"seq": seq + 1, "at": rows[0].at}
    forged = AuditEvent(**copied | {"organization_id": organization_id, "digest": ""})
    forged.digest = chain.digest(rows[0].digest, audit.plain(forged))
    session.add(forged)


def swap(session: Session, organization_id: UUID, seq: int) -> None:
    """This row and the next, or the one before the last."""
    other = seq + 1 if seq < ROWS else seq - 1
    change(seq=-1)(session, organization_id, seq)
    change(seq=seq)(session, organization_id, other)
    change(seq=other)(session, organization_id, -1)


def forget_the_end(session: Session, organization_id: UUID, seq: int) -> None:
    assert seq
    session.execute(delete(AuditHead).where(AuditHead.organization_id == organization_id))


ROWS = 4
TAMPERINGS: dict[str, Tampering] = {
    "at": change(at=NOW - timedelta(microseconds=1)),
    "actor kind": change(actor_kind="cli"),
    "actor id": change(actor_id="2"),
    "no actor id": change(actor_id=None),
    "actor label": change(actor_label="eve@northwind.example"),
    "address": change(address="192.0.2.8"),
    "agent": change(agent=None),
    "action": change(action="thing.undone"),
    "outcome": change(outcome="refused"),
    "subject type": change(subject_type="key"),
    "subject id": change(subject_id="x"),
    "detail": change(detail={"before": "b"}),
    "number": change(seq=99),
    "digest": change(digest="0" * 64),
    "deletion": take_out,
    "deletion without a gap": take_out_and_close_the_gap,
    "insertion": put_in,
    "swap": swap,
    "end": forget_the_end,
}


@pytest.mark.parametrize("how", TAMPERINGS)
@pytest.mark.parametrize("seq", range(1, ROWS + 1))
def test_g1_tampering_with_a_stored_row_is_found(database: Database, how: str, seq: int) -> None:
    [organization_id, _] = organizations(database)
    ada = Actor("user", "ada@northwind.example", "1", "192.0.2.7", "Firefox/150.0")
    with database.session() as session:
        for number in range(ROWS):
            with writing(session):
                audit.record(
                    session,
                    NOW,
                    ada,
                    "thing.done",
                    organization_id=organization_id,
                    subject_type="thing",
                    subject_id=uuid4(),
                    before="a",
                    number=number,
                )
        assert trail.verify(session, organization_id).broken is None

        with session.begin():
            TAMPERINGS[how](session, organization_id, seq)

        verdict = trail.verify(session, organization_id)
    assert verdict.broken is not None
    # A forged row that is well chained is noticed by the one after it.
    assert seq - 1 <= verdict.broken.seq <= seq + 2 or how == "end"


def test_g1_another_organization_s_row_is_no_substitute(database: Database) -> None:
    [mine, other] = organizations(database)
    with database.session() as session:
        with writing(session):
            for organization_id in (mine, other):
                tell(session, organization_id, "thing.done")
        with session.begin():
            take_out(session, mine, 1)
            change(organization_id=mine)(session, other, 1)

        for organization_id in (mine, other):
            verdict = trail.verify(session, organization_id)
            assert verdict.broken is not None
            assert verdict.broken.seq == 1
