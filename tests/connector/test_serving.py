"""Several processes on one database: what one is told, every other knows at the next request."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import requests
from sqlalchemy import select

from connector.app import Parts, assemble
from keystore.audit import SYSTEM
from keystore.credentials import SecretValue
from keystore.keys import Issued
from keystore.knocks import Kind
from keystore.mail_models import Mail, MailState
from keystore.models import Organization
from keystore.settings import Settings
from tests.support.post_office import PostOffice
from tests.support.receiver import Receiver
from tests.support.server import eventually, installation_environment, running_serve

ROUNDS = 20


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
            email="ada@northwind.example",
            password=SecretValue("correct horse battery"),
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


def test_the_worker_beside_the_server_delivers_what_another_process_published(
    here: Parts, northwind: Organization, database_url: str, tmp_path: Path
) -> None:
    issued = create(here, northwind, "Zapier")
    with (
        Receiver() as receiver,
        running_serve(tmp_path, database_url, "--with-worker") as base_url,
    ):
        pair = f"{issued.key.client_key}:{issued.client_secret.reveal()}"
        headers = {"Authorization": f"Bearer {pair}"}
        body = {"event_type": "meeting.ended", "target_url": receiver.url()}
        made = requests.post(base_url + "/v1/webhooks/", json=body, headers=headers, timeout=30)
        assert made.status_code == 201, made.text
        meeting = {
            "subject": "Kick-off",
            "state": "completed",
            "is_private": False,
            "is_internal": False,
            "organizer_email": "ada@northwind.example",
        }
        uuid = "6f1c8f52-7f5c-4d8e-9d6e-0c7a4a1b2c3d"
        put = requests.put(
            f"{base_url}/v1/meetings/{uuid}/", json=meeting, headers=headers, timeout=30
        )
        assert put.status_code == 201, put.text

        eventually(lambda: receiver.requests)

    assert uuid in receiver.requests[0].body.decode()


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
