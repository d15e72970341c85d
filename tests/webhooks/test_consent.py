"""Whoever is at a URL can be asked first; nothing but a right answer counts."""

import json
from random import Random
from typing import Any
from uuid import UUID

import pytest

from keystore import scopes
from keystore.clock import ManualClock
from keystore.db import Database
from keystore.keys import Issued
from keystore.models import Organization
from keystore.vault import Vault
from tests.support.receiver import Answer, Hang, Receiver
from tests.webhooks.conftest import ADA, EVERYTHING, LOOPBACK
from webhooks.catalog import Catalog
from webhooks.choices import MAX_RATE, ORGANIZATION, ZAPIER, Verify
from webhooks.consent import CHALLENGE_BYTES, Consent, method_for
from webhooks.errors import NotConfirmed
from webhooks.exchange import Exchange
from webhooks.models import Subscription
from webhooks.subscriptions import Subscriptions

NORTHWIND = UUID(int=1)
ORIGIN = "https://keyhook.example.com/"
CHALLENGE = Random(7).randbytes(CHALLENGE_BYTES).hex()


def consent() -> Consent:
    return Consent(Exchange(allow_networks=LOOPBACK, timeout=0.5), ORIGIN, Random(7))


def test_platforms_are_never_asked() -> None:
    for how in Verify:
        assert method_for("https://hooks.zapier.com/x", ORGANIZATION, how) is None
        assert method_for("https://example.com/", ZAPIER, how) is None
        assert method_for("https://example.com/", ORGANIZATION, how) is how


@pytest.mark.parametrize("allowed", ["keyhook.example.com", "*", "KEYHOOK.example.com"])
def test_our_name_or_a_star_is_consent_whatever_the_status(
    receiver: Receiver, allowed: str
) -> None:
    receiver.then(Answer(405, {"WebHook-Allowed-Origin": allowed}))
    assert consent().ask(NORTHWIND, receiver.url(), Verify.OPTIONS) is None
    [request] = receiver.requests
    assert request.method == "OPTIONS"
    assert request.headers["webhook-request-origin"] == "keyhook.example.com"


@pytest.mark.parametrize(
    ("told", "rate"),
    [("120", 120), ("999999999", MAX_RATE), ("*", None), ("0", None), ("-1", None)],
)
def test_a_rate_may_come_with_it(receiver: Receiver, told: str, rate: int | None) -> None:
    receiver.then(Answer(headers={"WebHook-Allowed-Origin": "*", "WebHook-Allowed-Rate": told}))
    assert consent().ask(NORTHWIND, receiver.url(), Verify.OPTIONS) == rate


@pytest.mark.parametrize(
    "body", [CHALLENGE, f"{CHALLENGE}\n", f'"{CHALLENGE}"', json.dumps({"challenge": CHALLENGE})]
)
def test_the_challenge_that_came_back_is_consent(receiver: Receiver, body: str) -> None:
    receiver.then(Answer(200, body=body.encode()))
    consent().ask(NORTHWIND, receiver.url(), Verify.CHALLENGE)
    [request] = receiver.requests
    sent = json.loads(request.body)
    assert (request.method, sent) == (
        "POST",
        {"type": "webhook.challenge", "challenge": CHALLENGE},
    )


@pytest.mark.parametrize(
    ("how", "answer"),
    [
        (Verify.OPTIONS, Answer(200)),
        (Verify.OPTIONS, Answer(200, {"WebHook-Allowed-Origin": "example.com"})),
        (Verify.OPTIONS, Answer(200, body=CHALLENGE.encode())),
        (Verify.OPTIONS, Hang()),
        (Verify.CHALLENGE, Answer(200)),
        (Verify.CHALLENGE, Answer(400, body=CHALLENGE.encode())),
        (Verify.CHALLENGE, Answer(200, body=f"x{CHALLENGE}".encode())),
        (Verify.CHALLENGE, Answer(200, body=b"[" * 2000)),
        (Verify.CHALLENGE, Answer(302, {"Location": "/elsewhere"}, CHALLENGE.encode())),
        (Verify.CHALLENGE, Hang()),
    ],
)
def test_all_else_is_one_error(receiver: Receiver, how: Verify, answer: Any) -> None:
    receiver.default = answer
    with pytest.raises(NotConfirmed, match="did not confirm"):
        consent().ask(NORTHWIND, receiver.url(), how)


def test_without_consent_nothing_is_subscribed_or_moved(
    database: Database,
    vault: Vault,
    clock: ManualClock,
    catalog: Catalog,
    organization: Organization,
    issued: Issued,
    receiver: Receiver,
) -> None:
    service = Subscriptions(vault, clock, catalog, LOOPBACK, consent=consent())
    yes = Answer(200, {"WebHook-Allowed-Origin": "*", "WebHook-Allowed-Rate": "90"})

    def subscribe() -> Subscription:
        with database.session() as session:
            return service.subscribe(
                session,
                organization_id=organization.id,
                key_id=issued.key.id,
                event_type="note.ready",
                target_url=receiver.url("/one"),
                operations=scopes.DEFAULT,
                actor=ADA,
                verify=Verify.OPTIONS,
            ).subscription

    def move(path: str) -> Subscription:
        with database.session() as session:
            return service.change(
                session,
                made.id,
                organization_id=organization.id,
                caller=EVERYTHING,
                actor=ADA,
                target_url=receiver.url(path),
            )

    with pytest.raises(NotConfirmed):
        subscribe()
    with database.session() as session:
        assert service.list(session, organization.id) == []
    receiver.then(yes)
    made = subscribe()
    assert (made.verify, made.rate) == ("options", 90)
    with pytest.raises(NotConfirmed):
        move("/two")
    receiver.then(yes)
    assert move("/three").target_url == receiver.url("/three")
    asked = len(receiver.requests)
    move("/three")
    assert len(receiver.requests) == asked, "the same target is not asked again"
