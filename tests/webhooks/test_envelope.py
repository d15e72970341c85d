"""Headers of a subscriber's own go along with each request, and into no log."""

import pytest
from sqlalchemy import select

from keystore.db import Database
from tests.support.receiver import Receiver
from tests.webhooks.conftest import Publish, Subscribe
from webhooks.choices import Choices
from webhooks.models import Attempt
from webhooks.worker import Worker


def test_own_headers_are_sent_and_their_values_logged_nowhere(
    database: Database,
    subscribe: Subscribe,
    publish: Publish,
    worker: Worker,
    receiver: Receiver,
    caplog: pytest.LogCaptureFixture,
) -> None:
    lines = {"Authorization": "Bearer of-the-receiver", "x-tenant": "north wind"}
    subscribe(receiver.url(), chosen=Choices(headers=lines))
    publish()
    assert worker.run_once() == 1
    [request] = receiver.requests
    assert request.headers["authorization"] == "Bearer of-the-receiver"
    assert request.headers["x-tenant"] == "north wind"
    with database.session() as session, session.begin():
        logged = session.scalars(select(Attempt.request_headers)).one()
    assert "authorization: ***" in logged.split("\n")
    assert "of-the-receiver" not in logged + caplog.text
