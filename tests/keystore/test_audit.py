"""What is written down: with whom, in which transaction, and never with a secret."""

from functools import partial
from itertools import count
from random import Random
from uuid import uuid4

import pytest
from sqlalchemy.orm import Session

from keystore import audit, credentials
from keystore.audit import SYSTEM, Actor
from keystore.clock import ManualClock
from keystore.credentials import SecretValue
from keystore.db import Database, writing
from keystore.errors import BadName, GenerationConflict, KeyNotFound, NameMismatch, NameTaken
from keystore.keys import Issued, Keys
from keystore.models import AuditEvent, Organization, Outcome, Role
from keystore.rotation import LeakPolicy
from keystore.services import Services
from keystore.trail import Filter, page, verify
from tests.properties.together import interleaved

ADA = Actor("user", "ada@northwind.example", "1", "192.0.2.7", "Firefox/150.0")
CLERK = Actor("cli", "clerk", agent="Firefox/150.0")


class Ledger:
    """An organization's log, and a pen."""

    def __init__(self, database: Database, organization: Organization, clock: ManualClock) -> None:
        self.database = database
        self.organization = organization
        self.clock = clock

    def write(self, session: Session, action: str, **detail: object) -> None:
        audit.record(
            session,
            self.clock.now(),
            ADA,
            action,
            organization_id=self.organization.id,
            subject_type="organization",
            subject_id=self.organization.id,
            **detail,
        )

    def rows(self) -> list[AuditEvent]:
        """Return all rows but the first, which tells of the organization; the chain must hold."""
        with self.database.session() as session:
            assert verify(session, self.organization.id).broken is None
        with self.database.session() as session:
            found = page(session, self.organization.id, Filter(), size=1000).events
        assert [row.seq for row in found] == list(range(len(found), 0, -1))
        return list(reversed(found))[1:]

    def actions(self) -> list[str]:
        return [row.action for row in self.rows()]


@pytest.fixture
def ledger(database: Database, organization: Organization, clock: ManualClock) -> Ledger:
    return Ledger(database, organization, clock)


def test_a_row_says_who_from_where_with_what(ledger: Ledger) -> None:
    with ledger.database.session() as session, writing(session):
        ledger.write(session, "thing.done", before={"name": "a"}, after={"name": "b"})

    [row] = ledger.rows()
    assert (row.actor_kind, row.actor_id, row.actor_label) == ("user", "1", ADA.label)
    assert (row.address, row.agent) == ("192.0.2.7", "Firefox/150.0")
    assert (row.at, row.outcome) == (ledger.clock.now(), Outcome.DONE)
    assert row.detail == {"before": {"name": "a"}, "after": {"name": "b"}}


def test_rows_of_a_transaction_keep_their_order_and_go_with_it(ledger: Ledger) -> None:
    with ledger.database.session() as session:
        with writing(session):
            ledger.write(session, "thing.undone")
            session.rollback()
        with writing(session):
            ledger.write(session, "thing.first")
            session.flush()
            ledger.write(session, "thing.second")

    assert ledger.actions() == ["thing.first", "thing.second"]


def test_a_savepoint_rolled_back_takes_its_rows_along_and_no_others(ledger: Ledger) -> None:
    with ledger.database.session() as session, writing(session):
        ledger.write(session, "thing.before")
        savepoint = session.begin_nested()
        with session.begin_nested():
            ledger.write(session, "thing.inside.released")
        ledger.write(session, "thing.inside")
        savepoint.rollback()
        with session.begin_nested():
            ledger.write(session, "thing.kept")
        ledger.write(session, "thing.after")

    assert ledger.actions() == ["thing.before", "thing.kept", "thing.after"]


def test_a_closed_session_leaves_nothing_for_the_next_transaction(ledger: Ledger) -> None:
    session = ledger.database.session()
    session.begin()
    ledger.write(session, "thing.left")
    session.close()
    with writing(session):
        ledger.write(session, "thing.done")
    session.close()

    assert ledger.actions() == ["thing.done"]


def test_without_a_transaction_there_is_nothing_to_tell(ledger: Ledger) -> None:
    with ledger.database.session() as session, pytest.raises(RuntimeError, match="belongs to"):
        ledger.write(session, "thing.done")


def test_each_organization_has_numbers_and_a_chain_of_its_own(
    ledger: Ledger, database: Database, keys: Keys, issued: Issued, clock: ManualClock
) -> None:
    other = Organization(id=uuid4(), name="Elsewhere", created_at=clock.now())
    with database.session() as session, writing(session):
        session.add(other)
        for organization in (other, ledger.organization, other):
            Ledger(database, organization, clock).write(session, "thing.done")

    assert ledger.actions() == ["key.created", "thing.done"]
    assert Ledger(database, other, clock).actions() == ["thing.done"]


def test_what_is_refused_is_on_record_and_changes_nothing(
    ledger: Ledger, database: Database, keys: Keys, issued: Issued
) -> None:
    key, mine = issued.key, {"organization_id": ledger.organization.id, "actor": CLERK}
    with database.session() as session:
        keys.create(session, name="n8n", **mine)  # type: ignore[arg-type]
        with pytest.raises(NameTaken):
            keys.create(session, name="n8n", **mine)  # type: ignore[arg-type]
        with pytest.raises(NameTaken):
            keys.rename(session, key.id, name="n8n", **mine)  # type: ignore[arg-type]
        with pytest.raises(BadName):
            keys.rename(session, key.id, name=" ", **mine)  # type: ignore[arg-type]
        with pytest.raises(GenerationConflict):
            keys.regenerate(session, key.id, generation=7, **mine)  # type: ignore[arg-type]
        with pytest.raises(NameMismatch):
            keys.delete(session, key.id, confirm_name="zapier", **mine)  # type: ignore[arg-type]
        with pytest.raises(KeyNotFound):
            keys.delete(session, ledger.organization.id, **mine)  # type: ignore[arg-type]

    refused = [row for row in ledger.rows() if row.outcome is Outcome.REFUSED]
    assert [(row.action, row.detail["reason"]) for row in refused] == [
        ("key.created", "NameTaken"),
        ("key.renamed", "NameTaken"),
        ("key.renamed", "BadName"),
        ("key.regenerated", "GenerationConflict"),
        ("key.deleted", "NameMismatch"),
        ("key.deleted", "KeyNotFound"),
    ]
    assert [row.detail.get("name") for row in refused] == ["n8n", "n8n", None, None, None, None]
    assert refused[3].detail["generation"] == 7
    assert {row.agent for row in refused} == {"Firefox/150.0"}
    assert [row.subject_id for row in refused[1:5]] == [str(key.id)] * 4
    with database.session() as session:
        assert [event.action for event in audit.events(session, ledger.organization.id)] == [
            "organization.created",
            "key.created",
            "key.created",
        ]


def test_an_organization_that_does_not_exist_has_no_log(
    database: Database, keys: Keys, issued: Issued
) -> None:
    with database.session() as session, pytest.raises(KeyNotFound):
        keys.delete(session, issued.key.id, organization_id=uuid4(), actor=SYSTEM)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("change", ["invites", "invites again", "chooses"])
def test_who_is_refused_and_who_holds_the_organization_wait_in_no_circle(
    services: Services, organization: Organization, clock: ManualClock, change: str
) -> None:
    """On PostgreSQL alone: SQLite lets one write at a time, so nobody meets another."""

    def be_refused() -> None:
        with services.db.session() as session:
            audit.refuse(
                session,
                clock.now(),
                ADA,
                "thing.done",
                organization_id=organization.id,
                subject_type="organization",
                subject_id=organization.id,
            )

    def act(number: int) -> None:
        by = {"organization_id": organization.id, "actor": SYSTEM}
        with services.db.session() as session:
            if change == "chooses":
                policy = list(LeakPolicy)[number % 2]
                services.leaks.set_policy(session, policy=policy, **by)  # type: ignore[arg-type]
                return
            email = "bob@northwind.example" if change == "invites again" else f"{number}@n.example"
            services.invitations.invite(
                session,
                email=email,
                role=Role.MEMBER,
                inviter="Ada",
                **by,  # type: ignore[arg-type]
            )

    act(0)
    for statement in count(1):
        came, went_so_far = interleaved(
            services.db.engine, be_refused, partial(act, statement), statement
        )
        assert came == (None, None), statement
        if not went_so_far:
            break
    assert statement > 3


@pytest.mark.parametrize("cut", [0, 23])
def test_a_secret_in_the_wrong_place_is_blotted_out(
    ledger: Ledger, keys: Keys, issued: Issued, cut: int
) -> None:
    secrets = [
        issued.client_secret.reveal(),
        issued.client_secret.reveal().upper(),
        credentials.generate_client_secret(issued.key.client_key, Random(1)).reveal(),
        "whsec_" + "QUJD" * 11,
        "whsk_" + "QUJD" * 11,
    ]
    if cut:
        secrets = [secret[:cut] for secret in secrets]
    for secret in secrets:
        actor = Actor("user", f"x {secret}", agent=f"curl/8 (u=ada%3A{secret})")
        with ledger.database.session() as session, writing(session):
            audit.record(
                session,
                ledger.clock.now(),
                actor,
                "thing.done",
                organization_id=ledger.organization.id,
                subject_type="organization",
                subject_id=ledger.organization.id,
                name=secret,
                after={"deep": [secret, {secret: 1}], "value": SecretValue(secret)},
            )

    for row, secret in zip(ledger.rows()[1:], secrets, strict=True):
        written = str([row.actor_label, row.agent, row.detail])
        assert secret not in written
        assert "[secret]" in written


def test_text_that_no_database_takes_is_made_fit(ledger: Ledger) -> None:
    odd = "a\x00b\ud800c"
    with ledger.database.session() as session, writing(session):
        ledger.write(session, "thing.done", name=odd, moment=ledger.clock.now(), some={"b", "a"})

    [row] = ledger.rows()
    assert row.detail == {
        "name": "a?b?c",
        "moment": ledger.clock.now().isoformat(),
        "some": ["a", "b"],
    }
