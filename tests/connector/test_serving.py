"""Several processes on one database: what one is told, every other knows at the next request."""

import gc
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from threading import Event, Thread
from typing import Any
from uuid import UUID

import pytest
import requests
from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute

from connector import serving
from connector.app import Parts, assemble
from keystore.audit import SYSTEM
from keystore.credentials import SecretValue
from keystore.keys import Issued
from keystore.knocks import Kind
from keystore.mail_models import Mail, MailState
from keystore.models import Organization
from keystore.settings import Settings
from tests.support.canaries import SECRET
from tests.support.post_office import PostOffice
from tests.support.receiver import Answer, Receiver
from tests.support.server import (
    eventually,
    free_port,
    installation_environment,
    running_serve,
    serve_process,
)
from webhooks.models import Delivery, DeliveryState, Hold

ADA = "ada@northwind.example"
PASSWORD = "correct horse battery"
ROUNDS = 20
#: Of each change on each database: a thousand in all.
MANY_ROUNDS = 250
#: Kept open to a server of two processes, so that each of these has some.
CONNECTIONS = 4


@dataclass
class Admin:
    """Somebody in a browser at one server."""

    base_url: str
    browser: requests.Session = field(default_factory=requests.Session)
    token: str = ""

    def __post_init__(self) -> None:
        self._read("/sign-in/")
        self._send("/sign-in/", email=ADA, password=PASSWORD)
        self._read("/settings/organization/developer/")

    def regenerate(self, key_id: object, generation: int) -> str:
        """Return the new Client Secret; the former one is to be dead by then."""
        page = self._send(
            f"/settings/organization/developer/keys/{key_id}/regenerate/",
            generation=str(generation),
            how="compromised",
            hours="24",
        )
        revealed = SECRET.search(page)
        assert revealed, page
        return revealed[0]

    def delete(self, key_id: object, name: str) -> None:
        self._send(f"/settings/organization/developer/keys/{key_id}/delete/", name=name)
        self._read("/settings/organization/developer/keys/new/")  # where it says that it was done

    def _read(self, path: str) -> None:
        page = self.browser.get(self.base_url + path, timeout=30)
        found = re.search(r'name="csrf_token"[^>]* value="([^"]+)"', page.text)
        assert found, page.text
        self.token = found[1]

    def _send(self, path: str, **typed: str) -> str:
        answer = self.browser.post(
            self.base_url + path,
            data={"csrf_token": self.token, **typed},
            allow_redirects=False,
            timeout=30,
        )
        assert answer.status_code in {200, 303}, answer.text
        return answer.text


@pytest.fixture
def here(database_url: str, tmp_path: Path) -> Iterator[Parts]:
    """This test's own process as one more process of the installation."""
    parts = assemble(Settings.from_env(installation_environment(tmp_path, database_url)))
    yield parts
    parts.services.db.dispose()


@pytest.fixture
def northwind(here: Parts) -> Organization:
    with here.services.db.session() as session:
        return here.services.accounts.found(
            session,
            name="Northwind",
            email=ADA,
            password=SecretValue(PASSWORD),
            actor=SYSTEM,
        )


def create(here: Parts, northwind: Organization, name: str) -> Issued:
    with here.services.db.session() as session:
        return here.services.keys.create(
            session, organization_id=northwind.id, name=name, actor=SYSTEM
        )


def status(base_url: str, issued: Issued) -> int:
    pair = f"{issued.key.client_key}:{issued.client_secret.reveal()}"
    headers = {"Authorization": f"Bearer {pair}"}
    return requests.get(base_url + "/v1/me/", headers=headers, timeout=30).status_code


def test_a_dead_secret_fails_at_the_next_request_in_every_process(
    here: Parts, northwind: Organization, database_url: str, tmp_path: Path
) -> None:
    issued = create(here, northwind, "Zapier")
    with (
        running_serve(tmp_path, database_url) as one,
        running_serve(tmp_path, database_url, "--workers", "2") as other,
    ):
        for generation in range(1, ROUNDS + 1):
            assert [status(base, issued) for base in (one, other)] == [200, 200]
            with here.services.db.session() as session:
                renewed = here.services.keys.regenerate(
                    session,
                    issued.key.id,
                    organization_id=northwind.id,
                    generation=generation,
                    actor=SYSTEM,
                )
            assert [status(base, issued) for base in (one, other, other)] == [401, 401, 401]
            issued = renewed
        with here.services.db.session() as session:
            here.services.keys.delete(
                session, issued.key.id, organization_id=northwind.id, actor=SYSTEM
            )
        assert [status(base, issued) for base in (one, other, other)] == [401, 401, 401]


@pytest.fixture
def elsewhere(
    northwind: Organization, database_url: str, tmp_path: Path
) -> Iterator[tuple[Admin, Callable[[str, str], int]]]:
    """Somebody at one server, and a caller of another one of two processes."""
    with (
        running_serve(tmp_path, database_url) as one,
        running_serve(tmp_path, database_url, "--workers", "2") as other,
    ):
        callers = cycle([requests.Session() for _ in range(CONNECTIONS)])

        def call(client_key: str, client_secret: str) -> int:
            headers = {"Authorization": f"Bearer {client_key}:{client_secret}"}
            answer = next(callers).get(other + "/v1/me/", headers=headers, timeout=30)
            return answer.status_code

        admin = Admin(one)
        yield admin, call
        admin.browser.close()
        for _ in range(CONNECTIONS):
            next(callers).close()


def test_r6_what_is_regenerated_in_one_process_is_dead_in_another_no_round_is_late(
    here: Parts, northwind: Organization, elsewhere: tuple[Admin, Callable[[str, str], int]]
) -> None:
    admin, status_of = elsewhere
    key, former = (issued := create(here, northwind, "Zapier")).key, issued.client_secret.reveal()
    came = []
    for generation in range(1, MANY_ROUNDS + 1):
        present = admin.regenerate(key.id, generation)
        came.append((status_of(key.client_key, former), status_of(key.client_key, present)))
        former = present

    assert came == [(401, 200)] * MANY_ROUNDS


def test_r6_what_is_deleted_in_one_process_is_dead_in_another_no_round_is_late(
    here: Parts, northwind: Organization, elsewhere: tuple[Admin, Callable[[str, str], int]]
) -> None:
    admin, status_of = elsewhere
    came = []
    for number in range(MANY_ROUNDS):
        issued = create(here, northwind, f"Zapier {number}")
        pair = issued.key.client_key, issued.client_secret.reveal()
        before = status_of(*pair)
        admin.delete(issued.key.id, issued.key.name)
        came.append((before, status_of(*pair)))

    assert came == [(200, 401)] * MANY_ROUNDS


def test_the_worker_beside_the_server_delivers_what_another_process_published(
    here: Parts, northwind: Organization, database_url: str, tmp_path: Path
) -> None:
    issued = create(here, northwind, "Zapier")
    with (
        Receiver() as receiver,
        running_serve(tmp_path, database_url, "--with-worker") as base_url,
    ):
        product = Product(base_url, issued)
        product.subscribe(receiver.url())
        product.end_meeting(6)
        eventually(lambda: receiver.requests)

    assert str(UUID(int=7)) in receiver.requests[0].body.decode()


def test_four_processes_that_serve_and_deliver_send_each_event_once(
    here: Parts, northwind: Organization, database_url: str, tmp_path: Path
) -> None:
    """With SQLite one of them delivers for all; on PostgreSQL they share the work."""
    issued = create(here, northwind, "Zapier")
    with (
        Receiver() as receiver,
        running_serve(tmp_path, database_url, "--workers", "4", "--with-worker") as base_url,
    ):
        product = Product(base_url, issued)
        for number in range(3):
            product.subscribe(receiver.url(f"/{number}"))
        for number in range(20):
            product.end_meeting(number)
        eventually(lambda: len(receiver.requests) >= 60)
        eventually(lambda: not pending(here))

    sent = Counter((one.path, one.headers["webhook-id"]) for one in receiver.requests)
    assert len(sent) == 60
    assert set(sent.values()) == {1}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_when_the_one_that_delivers_is_killed_another_takes_over(
    here: Parts, northwind: Organization, database_url: str, tmp_path: Path
) -> None:
    """With SQLite alone, where one has the hold; on PostgreSQL all deliver anyway."""
    issued = create(here, northwind, "Zapier")
    with (
        Receiver() as receiver,
        serve_process(tmp_path, database_url, "--workers", "4", "--with-worker") as serving,
    ):
        base_url, supervisor = serving
        product = Product(base_url, issued)
        product.subscribe(receiver.url())
        for number in range(5):
            product.end_meeting(number)
        eventually(lambda: len(receiver.requests) == 5 and not pending(here))

        receiver.default = Answer(delay=1)
        for number in range(5, 10):
            product.end_meeting(number)
        eventually(lambda: len(owners(here, Delivery.lease_owner)) > 0)
        [holder] = owners(here, Hold.owner)
        assert owners(here, Delivery.lease_owner) == {holder}
        victim = int(holder.split(":")[1])
        assert parent(victim) == supervisor.pid
        os.kill(victim, signal.SIGKILL)
        receiver.default = Answer()
        eventually(lambda: owners(here, Hold.owner) - {holder}, 60)
        for number in range(10, 15):
            product.end_meeting(number)
        eventually(lambda: not pending(here), 60)

    sent = Counter(one.body.decode().partition('"uuid":"')[2][:36] for one in receiver.requests)
    assert sent.keys() == {str(UUID(int=number + 1)) for number in range(15)}
    again = {uuid for uuid, times in sent.items() if times > 1}
    assert again <= {str(UUID(int=number + 1)) for number in range(5, 10)}, "what was under way"


@dataclass
class Product:
    """Has meetings, and wants to be told when they end."""

    base_url: str
    issued: Issued

    def subscribe(self, url: str) -> None:
        self._call("POST", "/v1/webhooks/", {"event_type": "meeting.ended", "target_url": url})

    def end_meeting(self, number: int) -> None:
        meeting = {
            "subject": "Kick-off",
            "state": "completed",
            "is_private": False,
            "is_internal": False,
            "organizer_email": "ada@northwind.example",
        }
        self._call("PUT", f"/v1/meetings/{UUID(int=number + 1)}/", meeting)

    def _call(self, method: str, path: str, body: object) -> None:
        pair = f"{self.issued.key.client_key}:{self.issued.client_secret.reveal()}"
        answer = requests.request(
            method,
            self.base_url + path,
            json=body,
            headers={"Authorization": f"Bearer {pair}"},
            timeout=30,
        )
        assert answer.status_code == 201, answer.text


def owners(here: Parts, column: InstrumentedAttribute[Any]) -> set[str]:
    """Return the workers that a column names."""
    with here.services.db.session() as session, session.begin():
        return set(session.scalars(select(column).where(column.is_not(None))))


def parent(pid: int) -> int:
    return int(subprocess.check_output(["ps", "-o", "ppid=", "-p", str(pid)], text=True))


def pending(here: Parts) -> int:
    with here.services.db.session() as session, session.begin():
        waiting = select(Delivery.id).where(Delivery.state == DeliveryState.PENDING)
        return len(session.scalars(waiting).all())


def test_a_thread_beside_the_server_answers_who_knocks_and_sends_the_mail(
    here: Parts, northwind: Organization, database_url: str, tmp_path: Path
) -> None:
    def stored() -> Sequence[Mail]:
        with here.services.db.session() as session:
            return session.scalars(select(Mail)).all()

    with (
        PostOffice() as office,
        running_serve(
            tmp_path,
            database_url,
            KEYHOOK_SMTP_URL=f"smtp://127.0.0.1:{office.port}",
            KEYHOOK_MAIL_FROM="Keyhook <keyhook@northwind.example>",
        ) as base_url,
    ):
        with here.services.db.session() as session:
            here.services.knocks.note(session, Kind.FORGOTTEN, "ada@northwind.example")

        eventually(lambda: [mail.state for mail in stored()] == [MailState.SENT])

    [mail] = office.taken
    assert mail.recipients == ("ada@northwind.example",)
    assert f"{base_url}/sign-in/new-password/khl" in mail.text
    assert [mail.sealed_text for mail in stored()] == [None]


def test_a_process_that_is_told_to_stop_first_writes_down_what_it_has_noted(
    here: Parts, northwind: Organization, database_url: str, tmp_path: Path
) -> None:
    issued = create(here, northwind, "Zapier")
    with running_serve(tmp_path, database_url) as base_url:
        assert status(base_url, issued) == 200

    with here.services.db.session() as session:
        assert set(here.services.uses.last(session, [issued.key.id])) == {issued.key.id}


def test_nothing_is_forked_while_another_thread_may_hold_a_lock() -> None:
    over = Event()
    thread = Thread(target=over.wait, name="a busy one")
    thread.start()
    try:
        with pytest.raises(RuntimeError, match="a busy one"):
            serving.serve({}, host="127.0.0.1", port=free_port())
    finally:
        over.set()
        thread.join()


def test_told_to_stop_while_it_is_being_told_the_supervisor_stops() -> None:
    """In a process of its own: it would wait for itself."""
    story = """
import signal
from connector.serving import Supervisor

supervisor = Supervisor("keyhook")
signal.signal(signal.SIGTERM, supervisor.signal_handler_interrupt)
told = supervisor.main_loop_interrupt
notify = told._cond.notify_all
told._cond.notify_all = lambda: [signal.raise_signal(signal.SIGTERM), notify()]
signal.raise_signal(signal.SIGTERM)
print(supervisor.interrupt_signal, told.is_set())
"""
    said = subprocess.run(
        [sys.executable, "-c", story], capture_output=True, text=True, timeout=60, check=True
    )
    assert said.stdout == "True True\n"


def test_the_collector_passes_over_what_was_there_at_the_start() -> None:
    before = gc.get_threshold()
    try:
        serving.settle()
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold() > before
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
