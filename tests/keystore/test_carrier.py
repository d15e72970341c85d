"""From the table to a real SMTP server, whatever happens on the way."""

import logging
import re
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from keystore.carrier import Carrier, compose
from keystore.clock import ManualClock
from keystore.credentials import SecretValue
from keystore.db import Database, writing
from keystore.mail import GIVE_UP_AFTER, LEASE, Job, Mails
from keystore.mail_models import Mail, MailState
from keystore.models import Organization
from keystore.smtp import Security, Smtp, SmtpServer
from keystore.vault import Vault
from tests.support.post_office import DROP, PostOffice
from tests.support.server import eventually

SENDER = "Keyhook <keyhook@northwind.example>"
LINK = "http://127.0.0.1:8400/reset/very-secret-token"

Post = Callable[[str], UUID]


@pytest.fixture
def office() -> Iterator[PostOffice]:
    with PostOffice() as office:
        yield office


@pytest.fixture
def mails(vault: Vault) -> Mails:
    return Mails(vault)


@pytest.fixture
def post(database: Database, mails: Mails, clock: ManualClock, organization: Organization) -> Post:
    def post(name: str) -> UUID:
        with database.session() as session, writing(session):
            return mails.post(
                session,
                to=f"{name}@northwind.example",
                subject="Your key “Zapier” expires",
                text=f"Open {LINK}\n",
                now=clock.now(),
                organization_id=organization.id,
            )

    return post


@pytest.fixture
def carrier(database: Database, mails: Mails, clock: ManualClock, office: PostOffice) -> Carrier:
    smtp = Smtp(SmtpServer(Security.NONE, "127.0.0.1", office.port), seconds=2.0)
    return Carrier(database, mails, clock, smtp, sender=SENDER)


def states(database: Database) -> dict[str, MailState]:
    with database.session() as session:
        return {mail.to.partition("@")[0]: mail.state for mail in session.query(Mail)}


def test_every_mail_that_waits_is_sent_once(
    carrier: Carrier, office: PostOffice, post: Post, database: Database
) -> None:
    ids = {post(name) for name in ("ada", "bob", "cyd")}

    assert carrier.run_once() == 3
    assert carrier.run_once() == 0

    assert {one.recipients[0] for one in office.taken} == {
        f"{name}@northwind.example" for name in ("ada", "bob", "cyd")
    }
    first = office.mails[0]
    assert first["From"] == SENDER
    assert first["Subject"] == "Your key “Zapier” expires"
    assert first["Auto-Submitted"] == "auto-generated"
    assert {mail["Message-ID"] for mail in office.mails} == {
        f"<{mail_id}@northwind.example>" for mail_id in ids
    }
    assert office.taken[0].text == f"Open {LINK}\n"
    assert set(states(database).values()) == {MailState.SENT}
    assert office.connections == 1


def test_an_errand_that_fails_holds_up_neither_the_others_nor_the_mails(
    database: Database,
    mails: Mails,
    clock: ManualClock,
    office: PostOffice,
    post: Post,
    caplog: pytest.LogCaptureFixture,
) -> None:
    post("ada")
    done = []

    def fail(_session: Session) -> None:
        raise RuntimeError

    smtp = Smtp(SmtpServer(Security.NONE, "127.0.0.1", office.port), seconds=2.0)
    errands = [fail, lambda _session: done.append("the next one")]
    carrier = Carrier(database, mails, clock, smtp, sender=SENDER, errands=errands)

    assert carrier.run_once() == 1

    assert done == ["the next one"]
    assert "An errand beside the server failed (RuntimeError)." in caplog.text


def test_what_one_address_is_refused_does_not_hold_up_the_others(
    carrier: Carrier,
    office: PostOffice,
    post: Post,
    database: Database,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in ("ada", "bob", "cyd"):
        post(name)
        clock.advance(1)
    office.at("RCPT", "550 No such user", "450 Mailbox is busy")

    with caplog.at_level(logging.WARNING):
        assert carrier.run_once() == 1

    assert states(database) == {
        "ada": MailState.FAILED,
        "bob": MailState.WAITING,
        "cyd": MailState.SENT,
    }
    assert "very-secret" not in caplog.text
    clock.advance(60)
    assert carrier.run_once() == 1
    assert [one.recipients[0] for one in office.taken] == [
        "cyd@northwind.example",
        "bob@northwind.example",
    ]


def test_when_the_server_is_at_fault_one_mail_finds_out_for_all(
    carrier: Carrier, office: PostOffice, post: Post, clock: ManualClock
) -> None:
    for name in ("ada", "bob", "cyd"):
        post(name)
        clock.advance(1)
    office.at("CONNECT", "421 Too many connections")

    assert carrier.run_once() == 0
    assert office.connections == 1

    assert carrier.run_once() == 2
    clock.advance(60)
    assert carrier.run_once() == 1


def test_a_mail_may_come_twice_and_is_never_lost(
    carrier: Carrier, office: PostOffice, post: Post, database: Database, clock: ManualClock
) -> None:
    post("ada")
    office.at("END", DROP)

    assert carrier.run_once() == 0
    clock.advance(60)
    assert carrier.run_once() == 1

    first, second = office.mails
    assert first["Message-ID"] == second["Message-ID"]
    assert first["Date"] == second["Date"]
    assert states(database) == {"ada": MailState.SENT}


def test_a_carrier_that_dies_leaves_its_mail_to_the_next(
    carrier: Carrier,
    mails: Mails,
    office: PostOffice,
    post: Post,
    database: Database,
    clock: ManualClock,
) -> None:
    post("ada")
    with database.session() as session:
        assert mails.claim(session, clock.now()) is not None

    assert carrier.run_once() == 0
    clock.advance(LEASE)
    assert carrier.run_once() == 1
    assert len(office.taken) == 1


def test_without_a_server_mails_wait_and_old_ones_are_given_up(
    database: Database, mails: Mails, post: Post, clock: ManualClock, carrier: Carrier
) -> None:
    idle = Carrier(database, mails, clock, None, sender="")
    post("ada")
    clock.advance(GIVE_UP_AFTER - timedelta(minutes=1))
    post("bob")
    assert idle.run_once() == 0
    assert set(states(database).values()) == {MailState.WAITING}

    clock.advance(timedelta(minutes=10))
    idle.run_once()

    assert states(database) == {"ada": MailState.FAILED, "bob": MailState.WAITING}
    assert carrier.run_once() == 1


def test_a_mail_sealed_with_a_key_that_is_gone_holds_up_nothing(
    database: Database,
    organization: Organization,
    clock: ManualClock,
    carrier: Carrier,
    post: Post,
) -> None:
    other = Mails(Vault([SecretValue("o" * 64)]))
    with database.session() as session, writing(session):
        other.post(
            session,
            to="old@northwind.example",
            subject="Old",
            text="Old",
            now=clock.now(),
            organization_id=organization.id,
        )
    clock.advance(1)
    post("ada")

    assert carrier.run_once() == 1
    assert states(database) == {"old": MailState.FAILED, "ada": MailState.SENT}


def test_it_runs_beside_the_server_until_it_is_told_to_stop(
    carrier: Carrier, office: PostOffice, post: Post
) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=carrier.run_forever, args=(stop,))
    thread.start()
    try:
        post("ada")
        eventually(lambda: office.taken)
    finally:
        stop.set()
        thread.join(20)
    assert not thread.is_alive()


@given(st.text(min_size=1, max_size=200).filter(str.isprintable), st.text(max_size=500))
def test_no_text_adds_a_line_to_the_head(subject: str, text: str) -> None:
    now = ManualClock().now()
    job = Job(UUID(int=1), UUID(int=2), "ada@northwind.example", subject, b"", now)
    text = text.encode("utf-8", "replace").decode()

    raw = compose(job, SecretValue(text), sender=SENDER).as_bytes()

    head = raw.partition(b"\r\n\r\n")[0]
    names = [line.partition(b":")[0] for line in re.split(rb"\r\n(?![ \t])", head)]
    assert sorted(names) == sorted(
        [
            b"From",
            b"To",
            b"Subject",
            b"Date",
            b"Message-ID",
            b"Auto-Submitted",
            b"Content-Type",
            b"Content-Transfer-Encoding",
            b"MIME-Version",
        ]
    )
