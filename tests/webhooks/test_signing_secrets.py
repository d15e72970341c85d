"""Secrets are replaced without a gap: what is sent can be checked with one of them at any time."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from connector.verifier import InvalidSignature, Webhook
from keystore import audit
from keystore.clock import ManualClock
from keystore.credentials import SecretValue
from keystore.db import Database
from keystore.models import Organization
from keystore.scopes import DEFAULT, DataScope, Rights
from keystore.vault import Vault
from tests.support.receiver import Receiver
from tests.webhooks.conftest import ADA, EVERYTHING, End, Publish, Subscribe
from webhooks.errors import BadChoice, RightsLacking, SubscriptionEnded
from webhooks.models import SigningSecret, Subscription
from webhooks.seals import organization_context
from webhooks.signing import Scheme
from webhooks.signing_secrets import Rotated, SigningSecrets
from webhooks.worker import Worker

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)

Rotate = Callable[..., Rotated]


@pytest.fixture
def rotate(
    database: Database, signing_secrets: SigningSecrets, organization: Organization
) -> Rotate:
    def rotate(subscription_id: UUID, caller: Rights = EVERYTHING, **more: Any) -> Rotated:
        with database.session() as session:
            return signing_secrets.rotate(
                session,
                subscription_id,
                organization_id=organization.id,
                caller=caller,
                actor=ADA,
                **more,
            )

    return rotate


@pytest.mark.parametrize("scheme", list(Scheme))
def test_both_secrets_sign_during_the_overlap_and_then_the_new_one_alone(
    subscribe: Subscribe,
    rotate: Rotate,
    publish: Publish,
    worker: Worker,
    receiver: Receiver,
    clock: ManualClock,
    scheme: Scheme,
) -> None:
    made = subscribe(receiver.url(), scheme=scheme)
    secrets = [made.signing_secret]

    def accepted() -> list[bool]:
        """Send something; tell which of the secrets so far it can be checked with."""
        publish()
        assert worker.run_once() == 1
        request = receiver.requests[-1]
        found = []
        for secret in secrets:
            try:
                Webhook(secret, clock=clock).verify(request.body, request.headers)
            except InvalidSignature:
                found.append(False)
            else:
                found.append(True)
        return found

    assert accepted() == [True]
    first = rotate(made.subscription.id)
    assert first.former_until == clock.now() + DAY
    secrets.append(first.signing_secret)
    clock.advance(DAY.total_seconds() - 1)
    assert accepted() == [True, True]
    clock.advance(1)
    assert accepted() == [False, True]

    secrets.append(rotate(made.subscription.id, overlap=2 * HOUR).signing_secret)
    secrets.append(rotate(made.subscription.id, overlap=HOUR).signing_secret)
    assert accepted() == [False, False, True, True], "one former secret at a time"
    secrets.append(rotate(made.subscription.id, overlap=timedelta(0)).signing_secret)
    assert accepted() == [False, False, False, False, True]


def test_what_cannot_be_rotated_stays(
    database: Database, subscribe: Subscribe, rotate: Rotate, unsubscribe: End
) -> None:
    made = subscribe("https://hooks.example.com/").subscription
    narrow = Rights(DEFAULT, DataScope.ORG_NON_PRIVATE)
    refused: list[tuple[type[Exception], dict[str, Any]]] = [
        (BadChoice, {"overlap": 7 * DAY + timedelta(seconds=1)}),
        (BadChoice, {"overlap": timedelta(seconds=-1)}),
        (RightsLacking, {"caller": narrow}),
    ]
    for error, how in refused:
        with pytest.raises(error):
            rotate(made.id, **how)
    with database.session() as session, session.begin():
        assert session.get_one(Subscription, made.id).secret_sealed == made.secret_sealed
    unsubscribe(made.id)
    with pytest.raises(SubscriptionEnded):
        rotate(made.id)


def test_the_contracts_header_is_there_while_the_organization_has_a_secret(
    database: Database,
    signing_secrets: SigningSecrets,
    organization: Organization,
    subscribe: Subscribe,
    publish: Publish,
    worker: Worker,
    receiver: Receiver,
    set_secret: Callable[[str], SecretValue],
    vault: Vault,
) -> None:
    subscribe(receiver.url(), scheme=Scheme.V1A)

    def known() -> SecretValue | None:
        with database.session() as session:
            return signing_secrets.of_organization(session, organization.id)

    def sent() -> str | None:
        publish()
        worker.run_once()
        request = receiver.requests[-1]
        secret = known()
        if secret is not None:
            Webhook(secret, contract=True).verify(request.body, request.headers)
        return request.headers.get("x-avoma-signature")

    assert (known(), sent()) == (None, None)
    set_secret("a-secret-of-all-of-Northwind")
    first = sent()
    with database.session() as session:
        renewed = signing_secrets.renew_for_organization(
            session, organization_id=organization.id, actor=ADA
        )
    assert sent() != first
    with database.session() as session, session.begin():
        stored = session.get_one(SigningSecret, organization.id).sealed
    assert renewed.reveal().encode() not in stored
    opened = vault.open(stored, organization_context(organization.id))
    assert opened.reveal() == renewed.reveal()
    for _ in range(2):
        with database.session() as session:
            signing_secrets.remove_from_organization(
                session, organization_id=organization.id, actor=ADA
            )
    assert (known(), sent()) == (None, None)
    with database.session() as session:
        told = list(audit.events(session, organization.id))
    actions = [event.action for event in told if event.action.startswith("signing_secret")]
    assert actions == ["signing_secret.set", "signing_secret.rotated", "signing_secret.removed"]
    assert renewed.reveal() not in str([event.detail for event in told])


@pytest.mark.parametrize(
    "text", ["", "short", "x" * 257, "with a blank in it", "é" * 20, "\n" * 20]
)
def test_a_chosen_secret_is_a_text_that_both_sides_can_write(
    set_secret: Callable[[str], SecretValue], text: str
) -> None:
    with pytest.raises(BadChoice):
        set_secret(text)
