"""Names that lie: what counts is the address that the socket is about to dial."""

import json
import threading

import pytest
from sqlalchemy import select

from keystore.clock import SystemClock
from keystore.db import Database, writing
from keystore.models import Organization
from tests.support.internet import alone
from tests.webhooks.conftest import NOTE_READY, Subscribe
from tests.webhooks.lying_names import ANSWERS, PORT
from tests.webhooks.running import no_thread, until
from webhooks import names, outbox
from webhooks.models import Attempt, Delivery, Subscription

REFUSED = ("refused", None, "The address of this host is one that webhooks may not reach.")
OK = ("answered", 200, None)
TIMED_OUT = ("timed_out", None, "No whole answer came in time.")
HANGING = 30

Story = list[tuple[str, int | None, str | None]]


def told(database: Database, hosts: list[str]) -> dict[str, Story]:
    """Return what the log says of the attempts at each host."""
    with database.session() as session, session.begin():
        rows = session.execute(
            select(Subscription.target_url, Attempt.outcome, Attempt.status, Attempt.error)
            .join(Delivery, Delivery.subscription_id == Subscription.id)
            .join(Attempt, Attempt.delivery_id == Delivery.id)
            .order_by(Attempt.id)
        ).all()
    stories: dict[str, Story] = {host: [] for host in hosts}
    for url, outcome, status, error in rows:
        stories[url.split("/")[2].split(":")[0]].append((outcome, status, error))
    return stories


def test_a_name_is_worth_what_it_answers_at_the_moment_of_dialling(
    database: Database, database_url: str, subscribe: Subscribe, organization: Organization
) -> None:
    hanging = [f"hang{number}.example" for number in range(HANGING)]
    # Those that hang are first in line, and would hold up whoever waited for them.
    hosts = [*hanging, "nowhere.example", "rebinding.example", *ANSWERS]
    for host in hosts:
        subscription = subscribe(f"https://{host}/").subscription
        with database.session() as session, writing(session):
            row = session.get_one(Subscription, subscription.id)
            row.target_url = f"http://{host}:{PORT}/{host.split('.')[0]}"
    with database.session() as session, writing(session):
        outbox.publish(
            session,
            organization_id=organization.id,
            event_type=NOTE_READY,
            audience=None,
            body=b'{"note": 1}',
            subject="note-1",
            now=SystemClock().now(),
        )

    seen = json.loads(alone("tests.webhooks.lying_names", database_url))

    # Not one byte, not even a connection, has come to what is private.
    assert seen["private"] == 0
    stories = told(database, hosts)
    assert stories["good.example"] == [OK]
    for host in ("loopback", "loopback6", "mapped", "metadata", "nat64", "half-dead"):
        assert stories[f"{host}.example"] == [REFUSED], host
    # Where one of two answers is public and takes the request, that one has it: or nobody has.
    for host in ("mixed.example", "mixed-other-way.example"):
        assert stories[host] in ([OK], [REFUSED])
    # The name was public when it was tried first; when it was tried again it was not any more.
    assert stories["rebinding.example"] == [("answered", 500, None), REFUSED]
    unknown = ("unreachable", None, "The host name was not found.")
    assert stories["nowhere.example"] == [unknown] * 2
    # A name server that says nothing costs its own names their attempt, and nobody else's time.
    for host in hanging:
        assert stories[host] == [TIMED_OUT] * 2
    with database.session() as session, session.begin():
        endings = list(session.scalars(select(Attempt.outcome).order_by(Attempt.id)))
    first = endings[: len(hosts)]
    assert first[-HANGING:] == ["timed_out"] * HANGING


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://hooks.example/a?b=https://c.example", ("hooks.example", 443)),
        ("HTTPS://Hooks.Example:8443/", ("hooks.example", 8443)),
        ("http://a_b.example.", ("a_b.example.", 80)),
        ("http://127.0.0.1/", None),
        ("http://2130706433/", None),
        ("http://0x7F.1/", None),
        ("http://127%2e1/", None),
        ("http://[::1]/", None),
        ("http://localhost/", None),
        ("http://a b/", None),
        ("http://a,b.example/", None),
        ("http://bücher.example/", None),
        ("http:///", None),
    ],
)
def test_only_what_is_plainly_a_name_is_looked_up(url: str, found: tuple[str, int] | None) -> None:
    assert names.destination(url) == found


def ask(book: names.Names, name: str) -> tuple[str, ...]:
    """Ask until there is an answer."""
    until(lambda: book.ask(name) is not None)
    return book.ask(name) or ()


def test_a_name_is_looked_up_once_however_many_wait_for_it() -> None:
    before = threading.active_count()
    book = names.Names(limit=1)
    hosts = [f"nowhere{number}.invalid" for number in range(3)]
    for host in hosts * 5:
        book.ask(host)
    assert threading.active_count() <= before + 1
    assert [ask(book, host) for host in hosts] == [()] * 3
    until(lambda: threading.active_count() == before)


def test_a_name_is_looked_up_when_there_are_threads_again(monkeypatch: pytest.MonkeyPatch) -> None:
    book = names.Names(limit=1)
    hosts = [f"nowhere{number}.invalid" for number in range(3)]
    with monkeypatch.context() as crowded:
        crowded.setattr(threading.Thread, "start", no_thread)
        assert [book.ask(host) for host in hosts] == [None] * 3
    assert [ask(book, host) for host in reversed(hosts)] == [()] * 3


def test_an_answer_has_addresses_as_libcurl_reads_them() -> None:
    found = ask(names.Names(limit=1), "localhost")
    assert found
    assert set(found) <= {"127.0.0.1", "[::1]"}
