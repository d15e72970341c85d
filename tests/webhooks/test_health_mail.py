"""What admins are told of a subscription that fails, and that all of them are."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from sqlalchemy import select

from keystore.db import Database, writing
from keystore.mail import Mails
from keystore.mail_models import Mail
from keystore.models import Organization, User
from keystore.vault import Vault
from tests.webhooks.conftest import Subscribe
from webhooks import health_mail
from webhooks.health import Ailing
from webhooks.models import Subscription

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
URL = "https://hooks.partner.example/a-secret-path"


def ailing(percent: int, subscription: Subscription | None = None) -> Ailing:
    subscription = subscription or Subscription(
        id=uuid4(), event_types="meeting.ended", target_url=URL
    )
    return Ailing(subscription, NOW - timedelta(hours=20), percent, "HTTP 503", NOW)


def test_a_warning_says_what_is_wrong_since_when_and_what_comes_of_it() -> None:
    letter = health_mail.letter(ailing(50), "https://keyhook.example/subscriptions/")
    assert letter.subject == "Webhooks to hooks.partner.example fail"
    assert "meeting.ended" in letter.text
    assert "since 1 Jan 2026, 16:00 UTC. The last one: HTTP 503" in letter.text
    assert "50 % of the time" in letter.text
    assert "a-secret-path" not in letter.text


def test_the_end_says_how_to_go_on() -> None:
    letter = health_mail.letter(ailing(100), "https://keyhook.example/subscriptions/")
    assert letter.subject == "Webhooks to hooks.partner.example are switched off"
    assert "what was missed can be sent then" in letter.text
    assert letter.text.endswith("\n\nhttps://keyhook.example/subscriptions/\n")


def test_every_admin_gets_it_and_no_member(
    database: Database,
    subscribe: Subscribe,
    organization: Organization,
    admin: User,
    member: User,
    vault: Vault,
) -> None:
    made = subscribe(URL).subscription
    assert (made.organization_id, member.organization_id) == (organization.id,) * 2
    with database.session() as session, writing(session):
        health_mail.poster(Mails(vault), "https://keyhook.example")(session, ailing(90, made))
    with database.session() as session, session.begin():
        [mail] = session.scalars(select(Mail))
    assert mail.to == admin.email
