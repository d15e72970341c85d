"""Mails in the table: there with their reason or not at all, taken by one carrier at a time."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from uuid import UUID

import pytest
from sqlalchemy import select, text

from keystore.clock import ManualClock
from keystore.credentials import SecretValue
from keystore.db import Database, writing
from keystore.errors import BadMail
from keystore.mail import GIVE_UP_AFTER, KEPT, LEASE, WAITS, Job, Mails, wait
from keystore.mail_models import Mail, MailState
from keystore.models import Organization
from keystore.vault import Vault

Post = Callable[..., UUID]
SECRET = "http://127.0.0.1:8400/reset/very-secret-token"


@pytest.fixture
def mails(vault: Vault) -> Mails:
    return Mails(vault)


@pytest.fixture
def post(database: Database, mails: Mails, clock: ManualClock, organization: Organization) -> Post:
    def post(to: str = "ada@northwind.example", until: timedelta | None = None) -> UUID:
        with database.session() as session, writing(session):
            return mails.post(
                session,
                to=to,
                subject="Your new password",
                text=SecretValue(f"Open {SECRET}"),
                now=clock.now(),
                organization_id=organization.id,
                until=None if until is None else clock.now() + until,
            )

    return post


def claim(database: Database, mails: Mails, clock: ManualClock) -> Job | None:
    with database.session() as session:
        due = mails.any_due(session, clock.now())
        job = mails.claim(session, clock.now())
    assert due == (job is not None)
    return job


def row(database: Database, mail_id: UUID) -> Mail:
    with database.session() as session:
        return session.get_one(Mail, mail_id)


def test_a_mail_is_there_with_its_reason_or_not_at_all(
    database: Database, mails: Mails, clock: ManualClock, organization: Organization
) -> None:
    def go_wrong() -> None:
        with database.session() as session, writing(session):
            mails.post(
                session,
                to="ada@northwind.example",
                subject="Hello",
                text="Hello",
                now=clock.now(),
                organization_id=organization.id,
            )
            raise RuntimeError("the reason is gone")

    with pytest.raises(RuntimeError, match="reason"):
        go_wrong()

    assert claim(database, mails, clock) is None


def test_what_it_says_is_sealed_while_it_waits_and_gone_once_it_was_sent(
    database: Database, mails: Mails, clock: ManualClock, post: Post
) -> None:
    mail_id = post()

    def stored() -> str:
        with database.engine.connect() as connection:
            return str(connection.execute(text("SELECT * FROM mails")).all())

    assert "very-secret" not in stored()
    sealed = row(database, mail_id).sealed_text
    assert sealed is not None
    assert b"very-secret" not in sealed
    job = claim(database, mails, clock)
    assert job is not None
    assert mails.text(job).reveal() == f"Open {SECRET}"
    assert "very-secret" not in repr(mails.text(job))

    with database.session() as session:
        mails.sent(session, job, clock.now())

    assert row(database, mail_id).sealed_text is None
    assert row(database, mail_id).state is MailState.SENT


def test_one_carrier_has_it_until_its_lease_runs_out(
    database: Database, mails: Mails, clock: ManualClock, post: Post
) -> None:
    post()
    first = claim(database, mails, clock)
    assert first is not None
    clock.advance(LEASE - timedelta(microseconds=1))
    assert claim(database, mails, clock) is None

    clock.advance(timedelta(microseconds=1))
    second = claim(database, mails, clock)

    assert second is not None
    assert second.id == first.id
    with database.session() as session:
        # The first was slow, not dead: what it says no longer counts, unless it did send it.
        mails.failed(session, first, "too slow", clock.now(), for_good=True)
        assert session.get_one(Mail, first.id).state is MailState.WAITING
    with database.session() as session:
        mails.sent(session, first, clock.now())
    with database.session() as session:
        mails.failed(session, second, "550", clock.now(), for_good=True)
    assert row(database, first.id).state is MailState.SENT


def test_carriers_at_once_never_take_the_same_mail(
    database: Database, mails: Mails, clock: ManualClock, post: Post
) -> None:
    posted = {post() for _ in range(12)}
    at_once = Barrier(4)

    def work(_: int) -> list[UUID]:
        at_once.wait()
        taken = []
        with database.session() as session:
            while (job := mails.claim(session, clock.now())) is not None:
                taken.append(job.id)
        return taken

    with ThreadPoolExecutor(4) as pool:
        taken = [one for some in pool.map(work, range(4)) for one in some]

    # Whoever meets a locked row passes it over; so a look that finds nothing may be early.
    while (job := claim(database, mails, clock)) is not None:
        taken.append(job.id)
    assert len(taken) == len(set(taken))
    assert set(taken) == posted


def test_after_each_failure_it_waits_longer_and_is_given_up_in_the_end(
    database: Database, mails: Mails, clock: ManualClock, post: Post
) -> None:
    mail_id, start, waited = post(), clock.now(), []
    again = True
    while again:
        job = claim(database, mails, clock)
        assert job is not None
        with database.session() as session:
            again = mails.failed(session, job, "450 later\n", clock.now(), for_good=False)
        if again:
            due = row(database, mail_id).due_at
            waited.append(due - clock.now())
            clock.advance(due - clock.now() - timedelta(microseconds=1))
            assert claim(database, mails, clock) is None
            clock.advance(timedelta(microseconds=1))

    assert tuple(waited[: len(WAITS)]) == WAITS
    assert set(waited[len(WAITS) :]) == {WAITS[-1]}
    assert timedelta(0) < start + GIVE_UP_AFTER - clock.now() <= WAITS[-1]
    left = row(database, mail_id)
    assert (left.state, left.sealed_text) == (MailState.FAILED, None)
    assert left.attempts == len(waited) + 1


def test_a_refusal_for_good_is_the_end(
    database: Database, mails: Mails, clock: ManualClock, post: Post
) -> None:
    mail_id = post()
    job = claim(database, mails, clock)
    assert job is not None

    with database.session() as session:
        assert not mails.failed(session, job, "550 " + "x" * 500, clock.now(), for_good=True)

    left = row(database, mail_id)
    assert (left.state, left.sealed_text) == (MailState.FAILED, None)
    assert (left.error or "").startswith("550 x")
    assert claim(database, mails, clock) is None


def test_what_is_no_use_any_more_is_not_sent(
    database: Database, mails: Mails, clock: ManualClock, post: Post
) -> None:
    mail_id, other = post(until=timedelta(hours=1)), post()
    clock.advance(timedelta(hours=1))

    job = claim(database, mails, clock)
    assert job is not None
    assert job.id == other
    with database.session() as session:
        assert mails.tidy(session, clock.now()) == 1
        assert mails.tidy(session, clock.now()) == 0
    left = row(database, mail_id)
    assert (left.state, left.sealed_text) == (MailState.FAILED, None)


def test_what_was_sent_long_ago_is_forgotten(
    database: Database, mails: Mails, clock: ManualClock, post: Post
) -> None:
    mail_id = post()
    job = claim(database, mails, clock)
    assert job is not None
    with database.session() as session:
        mails.sent(session, job, clock.now())
    clock.advance(KEPT - timedelta(microseconds=1))
    with database.session() as session:
        mails.tidy(session, clock.now())
    assert row(database, mail_id).state is MailState.SENT

    clock.advance(timedelta(microseconds=1))
    with database.session() as session:
        mails.tidy(session, clock.now())
        assert session.scalars(select(Mail)).all() == []


@pytest.mark.parametrize(
    ("to", "subject"),
    [
        ("ada@northwind.example", "Hello\nBcc: eve@x.example"),
        ("ada@northwind.example", "Hello\r\n\r\nWhat I say"),
        ("ada@northwind.example", "x" * 201),
        ("ada@northwind.example\nBcc: eve@x.example", "Hello"),
        ("ada@northwind.example, eve@x.example", "Hello"),
        ("a" * 250 + "@northwind.example", "Hello"),
    ],
)
def test_nothing_gets_into_a_mails_head(
    database: Database,
    mails: Mails,
    clock: ManualClock,
    organization: Organization,
    to: str,
    subject: str,
) -> None:
    with database.session() as session, pytest.raises(BadMail), writing(session):
        mails.post(
            session,
            to=to,
            subject=subject,
            text="Hello",
            now=clock.now(),
            organization_id=organization.id,
        )

    assert claim(database, mails, clock) is None


def test_waits_never_shrink() -> None:
    waits = [wait(attempts) for attempts in range(1, 50)]

    assert waits == sorted(waits)
