from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from keystore import audit, scopes, trail
from keystore.clock import ManualClock
from keystore.db import Database, writing
from keystore.errors import VaultError
from keystore.keys import Issued, Keys
from keystore.models import Organization, Outcome
from keystore.scopes import DEFAULT, DataScope, Rights
from keystore.trail import Filter
from keystore.vault import Vault
from tests.webhooks.conftest import ADA, EVERYTHING, NOTE_GONE, End, Publish, Subscribe
from webhooks import choices, signing
from webhooks.choices import Choices
from webhooks.errors import (
    BadChoice,
    BadTarget,
    BadTargetType,
    RightsLacking,
    ScopeLacking,
    SubscriptionEnded,
    SubscriptionNotFound,
    UnknownEventType,
)
from webhooks.models import Delivery, DeliveryState, Subscription
from webhooks.seals import headers_context, secret_context
from webhooks.signing import Scheme
from webhooks.subscriptions import Subscriptions

URL = "https://hooks.example.com/northwind"


def states(database: Database) -> list[DeliveryState]:
    with database.session() as session, session.begin():
        return list(session.scalars(select(Delivery.state).order_by(Delivery.id)))


def actions(database: Database, organization: Organization) -> list[tuple[str, str]]:
    with database.session() as session:
        events = audit.events(session, organization.id)
    return [
        (event.action, event.actor_label)
        for event in events
        if event.subject_type == "subscription"
    ]


def test_a_new_subscription_is_listed_and_remembers_who_made_it(
    database: Database,
    subscribe: Subscribe,
    subscriptions: Subscriptions,
    organization: Organization,
    issued: Issued,
    clock: ManualClock,
) -> None:
    first = subscribe(URL).subscription
    clock.advance(1)
    second = subscribe(URL).subscription  # the same URL again: another automation
    with database.session() as session:
        listed = subscriptions.list(session, organization.id)
    assert [one.id for one in listed] == [second.id, first.id]
    assert (listed[0].target_url, listed[0].event_type, listed[0].target_type) == (
        URL,
        "note.ready",
        2,
    )
    assert listed[0].key_id == issued.key.id
    assert listed[0].is_active
    assert actions(database, organization) == [("subscription.created", "keyhook")] * 2


def test_the_signing_secret_is_shown_once_and_stored_sealed_for_its_own_row(
    database: Database, subscribe: Subscribe, vault: Vault
) -> None:
    first, second = subscribe(URL), subscribe(URL)
    secret = first.signing_secret.reveal()
    assert secret.startswith("whsec_")
    assert secret != second.signing_secret.reveal()
    with database.session() as session, session.begin():
        stored = session.get_one(Subscription, first.subscription.id)
    assert secret.encode() not in stored.secret_sealed
    assert vault.open(stored.secret_sealed, secret_context(stored.id)).reveal() == secret
    with pytest.raises(VaultError):
        vault.open(stored.secret_sealed, secret_context(second.subscription.id))


def test_what_hangs_on_a_key_is_told_by_platform_and_host(
    database: Database,
    subscribe: Subscribe,
    subscriptions: Subscriptions,
    issued: Issued,
    unsubscribe: End,
) -> None:
    for url in ("https://hooks.zapier.com/a", "https://hooks.zapier.com/b", URL):
        subscribe(url)
    unsubscribe(subscribe("https://hook.eu2.make.com/a").subscription.id)

    with database.session() as session:
        told = subscriptions.of_key(session, issued.key)

    assert [(one.what, one.count) for one in told] == [
        ("note.ready to hooks.example.com", 1),
        ("note.ready to Zapier (hooks.zapier.com)", 2),
    ]


def test_a_bad_subscription_changes_nothing(
    database: Database,
    subscriptions: Subscriptions,
    organization: Organization,
    issued: Issued,
) -> None:
    bad: list[tuple[type[Exception], dict[str, object]]] = [
        (UnknownEventType, {"event_type": "note.raedy"}),
        (ScopeLacking, {"operations": frozenset({"notes:read"})}),
        (ScopeLacking, {"operations": frozenset({"webhooks:manage"})}),
        (BadTarget, {"target_url": "http://example.com/"}),
        (BadTarget, {"target_url": "https://10.0.0.1/"}),
        (BadTargetType, {"target_type": 3}),
    ]
    for error, change in bad:
        good: dict[str, object] = {
            "event_type": "note.ready",
            "target_url": URL,
            "operations": scopes.DEFAULT,
        }
        with database.session() as session, pytest.raises(error):
            subscriptions.subscribe(
                session,
                organization_id=organization.id,
                key_id=issued.key.id,
                actor=ADA,
                **(good | change),  # type: ignore[arg-type]
            )
    with database.session() as session:
        assert subscriptions.list(session, organization.id) == []
    assert actions(database, organization) == []


def test_in_scheme_v1a_the_public_key_is_shown_and_the_private_one_kept(
    database: Database, subscribe: Subscribe, vault: Vault
) -> None:
    made = subscribe(URL, scheme=Scheme.V1A)
    with database.session() as session, session.begin():
        stored = session.get_one(Subscription, made.subscription.id)
    private = vault.open(stored.secret_sealed, secret_context(stored.id))
    assert private.reveal().startswith("whsk_")
    assert signing.public_key(private) == stored.public_key == made.signing_secret.reveal()


Change = Callable[..., Subscription]


@pytest.fixture
def change(database: Database, subscriptions: Subscriptions, organization: Organization) -> Change:
    def change(subscription_id: UUID, caller: Rights = EVERYTHING, **wish: Any) -> Subscription:
        with database.session() as session:
            return subscriptions.change(
                session,
                subscription_id,
                organization_id=organization.id,
                caller=caller,
                actor=ADA,
                **wish,
            )

    return change


def test_a_change_is_for_what_it_names_and_on_record_with_before_and_after(
    database: Database,
    subscribe: Subscribe,
    change: Change,
    publish: Publish,
    organization: Organization,
    vault: Vault,
) -> None:
    made = subscribe(URL, chosen=Choices(rate=60)).subscription
    lines = {"Authorization": "Bearer of-the-receiver"}
    change(made.id, event_types=["note.gone", "note.ready"], chosen=Choices(headers=lines))
    other = "https://other.example.com/secret-path"
    changed = change(made.id, target_url=other, chosen=Choices(rate=choices.OWN_RATE))

    assert (changed.types, changed.event_type) == (("note.gone", "note.ready"), "note.gone")
    assert (changed.target_url, changed.rate) == (other, None)
    assert changed.header_names == "authorization"
    assert changed.headers_sealed is not None
    assert b"of-the-receiver" not in changed.headers_sealed
    opened = vault.open(changed.headers_sealed, headers_context(made.id))
    assert choices.read(opened.reveal()) == {"authorization": "Bearer of-the-receiver"}
    assert change(made.id, chosen=Choices(headers={})).headers_sealed is None
    publish(event_type=NOTE_GONE)
    assert states(database) == ["pending"]

    with database.session() as session:
        told = [
            (event.detail["before"], event.detail["after"])
            for event in audit.events(session, organization.id)
            if event.action == "subscription.changed"
        ]
    assert told[0] == (
        {"event_types": ["note.ready"], "headers": []},
        {"event_types": ["note.gone", "note.ready"], "headers": ["authorization"]},
    )
    assert told[1][0]["rate"] == 60
    assert told[1][1]["target"].startswith("other.example.com ")
    assert "secret-path" not in str(told)


def test_a_new_target_has_not_failed_yet(
    database: Database, subscribe: Subscribe, change: Change
) -> None:
    made = subscribe(URL).subscription
    with database.session() as session, writing(session):
        stored = session.get_one(Subscription, made.id)
        stored.failing_since, stored.warned_at = stored.created_at, 50
    assert change(made.id, target_url=URL).warned_at == 50
    moved = change(made.id, target_url=URL + "/new")
    assert (moved.failing_since, moved.warned_at) == (None, 0)


def test_a_refused_change_changes_nothing(
    database: Database, subscribe: Subscribe, change: Change, unsubscribe: End
) -> None:
    made = subscribe(URL, chosen=Choices(rate=60)).subscription
    manage = frozenset({"webhooks:manage"})
    refused: list[tuple[type[Exception], dict[str, Any]]] = [
        (UnknownEventType, {"event_types": ["note.raedy"]}),
        (BadTarget, {"target_url": "https://10.0.0.1/"}),
        (BadChoice, {"chosen": Choices(headers={"host": "x"})}),
        (BadChoice, {"chosen": Choices(rate=-1)}),
        (BadChoice, {"chosen": Choices(without=["notes"])}),
        (BadChoice, {"chosen": Choices(teams=[uuid4()])}),
        # Not even of a type that the caller may see: what is sent now is turned elsewhere.
        (RightsLacking, {"caller": Rights(manage, DataScope.ORG_FULL), "target_url": URL + "/x"}),
        (ScopeLacking, {"caller": Rights(manage, DataScope.ORG_FULL), "event_types": None}),
        (RightsLacking, {"caller": Rights(DEFAULT, DataScope.ORG_NON_PRIVATE)}),
    ]
    for error, wish in refused:
        with pytest.raises(error):
            change(made.id, **({"event_types": ["note.gone"], "target_url": URL} | wish))
        with database.session() as session, session.begin():
            stored = session.get_one(Subscription, made.id)
            assert (stored.types, stored.target_url, stored.rate) == (("note.ready",), URL, 60)
    unsubscribe(made.id)
    with pytest.raises(SubscriptionEnded):
        change(made.id, target_url=URL)


def test_a_refused_subscription_is_on_record_without_its_address(
    database: Database,
    subscribe: Subscribe,
    unsubscribe: End,
    organization: Organization,
    issued: Issued,
) -> None:
    with pytest.raises(BadTarget):
        subscribe("http://ada:password@10.0.0.1/hook")
    stranger = uuid4()
    with pytest.raises(SubscriptionNotFound):
        unsubscribe(stranger)

    with database.session() as session:
        rows = trail.page(session, organization.id, Filter(outcome=Outcome.REFUSED)).events
    assert [(row.action, row.subject_id, row.detail) for row in reversed(rows)] == [
        ("subscription.created", str(issued.key.id), {"reason": "BadTarget"}),
        ("subscription.ended", str(stranger), {"reason": "SubscriptionNotFound"}),
    ]


def test_unsubscribing_again_and_again_is_the_same_as_once(
    database: Database,
    subscribe: Subscribe,
    unsubscribe: End,
    organization: Organization,
    clock: ManualClock,
) -> None:
    subscription = subscribe(URL).subscription
    ended = unsubscribe(subscription.id)
    clock.advance(60)
    again = unsubscribe(subscription.id)
    assert (ended.is_active, ended.ended_reason) == (False, "unsubscribed")
    assert (again.is_active, again.ended_at) == (False, ended.ended_at)
    assert actions(database, organization) == [
        ("subscription.created", "keyhook"),
        ("subscription.ended", ADA.label),
    ]


def test_an_ended_subscription_is_not_listed_but_can_be_seen(
    database: Database,
    subscribe: Subscribe,
    unsubscribe: End,
    subscriptions: Subscriptions,
    organization: Organization,
) -> None:
    subscription = subscribe(URL).subscription
    unsubscribe(subscription.id)
    with database.session() as session:
        assert subscriptions.list(session, organization.id) == []
        seen = subscriptions.get(session, subscription.id, organization_id=organization.id)
        assert not seen.is_active


def test_a_stranger_s_subscription_does_not_exist(
    database: Database, subscribe: Subscribe, subscriptions: Subscriptions
) -> None:
    subscription = subscribe(URL).subscription
    stranger = uuid4()
    with database.session() as session:
        assert subscriptions.list(session, stranger) == []
        with pytest.raises(SubscriptionNotFound):
            subscriptions.get(session, subscription.id, organization_id=stranger)
    with database.session() as session, pytest.raises(SubscriptionNotFound):
        subscriptions.unsubscribe(session, subscription.id, organization_id=stranger, actor=ADA)
    with database.session() as session, session.begin():
        assert session.get_one(Subscription, subscription.id).is_active


def test_ending_drops_what_waits_and_leaves_others_alone(
    database: Database, subscribe: Subscribe, unsubscribe: End, publish: Publish
) -> None:
    leaving = subscribe(URL).subscription
    subscribe(URL + "/other")
    publish(1)
    publish(2)
    unsubscribe(leaving.id)
    publish(3)
    assert sorted(states(database)) == ["dropped", "dropped", "pending", "pending", "pending"]


def test_deleting_a_key_ends_its_subscriptions_in_the_same_transaction(
    database: Database,
    subscribe: Subscribe,
    subscriptions: Subscriptions,
    publish: Publish,
    organization: Organization,
    issued: Issued,
    vault: Vault,
    clock: ManualClock,
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the last step fails")

    subscription = subscribe(URL).subscription
    publish(1)

    def delete(*on_delete: Callable[..., None]) -> None:
        keys = Keys(vault, clock, on_delete=on_delete)
        with database.session() as session:
            keys.delete(session, issued.key.id, organization_id=organization.id, actor=ADA)

    with pytest.raises(RuntimeError):
        delete(subscriptions.end_for_key, fail)
    assert states(database) == ["pending"]
    delete(subscriptions.end_for_key)
    assert states(database) == ["dropped"]
    with database.session() as session:
        ended = subscriptions.get(session, subscription.id, organization_id=organization.id)
    assert (ended.is_active, ended.ended_reason) == (False, "key deleted")
    assert actions(database, organization)[-1] == ("subscription.ended", ADA.label)
