"""Wherever replacing the secret key is broken off, all that is sealed opens; the rest follows."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, LargeBinary, event, select

from connector import demo_mails
from keystore import mail, resealing, second_factor
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.credentials import SecretValue
from keystore.db import Base, Database, writing
from keystore.errors import VaultError
from keystore.keys import Issued
from keystore.knocks import knock_context
from keystore.mail_models import Knock, Mail
from keystore.models import Factor, Organization, User
from keystore.resealing import Resealing
from keystore.vault import Vault
from tests.webhooks.conftest import EVERYTHING, NOTE_READY
from webhooks import sealed
from webhooks.catalog import Catalog
from webhooks.choices import Choices
from webhooks.signing_secrets import SigningSecrets
from webhooks.subscriptions import Subscriptions

PLACES = (*resealing.SEALED, *sealed.SEALED, *demo_mails.SEALED)
OLD, NEW = SecretValue("k" * 64), SecretValue("n" * 64)
BOTH = Vault([NEW, OLD])


class Crashed(Exception):
    """The power is gone."""


@contextmanager
def crashing(engine: Engine, after: int) -> Iterator[None]:
    """Break off before the statement or commit of this number."""
    left = after

    def count(*_: object) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Crashed

    event.listen(engine, "before_cursor_execute", count)
    event.listen(engine, "commit", count)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", count)
        event.remove(engine, "commit", count)


def opened(database: Database, vault: Vault) -> dict[tuple[str, Any], str]:
    """Open every sealed value there is."""
    found = {}
    with database.session() as session, session.begin():
        for place in PLACES:
            query = select(place.identity, place.column).where(place.column.is_not(None))
            for identity, value in session.execute(query):
                found[place.name, identity] = vault.open(value, place.context(identity)).reveal()
    return found


class Fill:
    """Puts things under seal."""

    def __init__(self, database: Database, organization: Organization, issued: Issued) -> None:
        self.database, self.organization, self.issued = database, organization, issued
        self.clock = ManualClock()

    def services(self, vault: Vault) -> tuple[Subscriptions, SigningSecrets]:
        catalog = Catalog()
        catalog.register(NOTE_READY)
        return Subscriptions(vault, self.clock, catalog), SigningSecrets(vault, self.clock)

    def subscription(self, vault: Vault) -> UUID:
        subscriptions, _ = self.services(vault)
        with self.database.session() as session:
            return subscriptions.subscribe(
                session,
                organization_id=self.organization.id,
                key_id=self.issued.key.id,
                event_type=NOTE_READY.name,
                target_url="https://hooks.example.com/",
                operations=EVERYTHING.operations,
                actor=SYSTEM,
                chosen=Choices(headers={"authorization": "Bearer x"}),
            ).subscription.id

    def rotate(self, vault: Vault, subscription_id: UUID) -> None:
        with self.database.session() as session:
            self.services(vault)[1].rotate(
                session,
                subscription_id,
                organization_id=self.organization.id,
                caller=EVERYTHING,
                actor=SYSTEM,
            )

    def rest(self, vault: Vault, user: User) -> None:
        now = self.clock.now()
        mail_id, knock_id = uuid4(), uuid4()
        with self.database.session() as session:
            self.services(vault)[1].renew_for_organization(
                session, organization_id=self.organization.id, actor=SYSTEM
            )
        seed = vault.seal(SecretValue("seed"), second_factor.context(user.id))
        text = vault.seal(SecretValue("text"), mail.context(mail_id))
        email = vault.seal(SecretValue("ada"), knock_context(knock_id))
        with self.database.session() as session, writing(session):
            session.add(Factor(user_id=user.id, sealed_secret=seed, created_at=now, last_step=0))
            session.add(
                Mail(
                    id=mail_id,
                    organization_id=self.organization.id,
                    to="ada@northwind.example",
                    subject="Hello",
                    sealed_text=text,
                    state="waiting",
                    created_at=now,
                    until=now + timedelta(days=1),
                    due_at=now,
                    attempts=0,
                )
            )
            session.add(Knock(id=knock_id, at=now, kind="x", sealed_email=email, agent=""))


@pytest.fixture
def fill(database: Database, organization: Organization, issued: Issued) -> Fill:
    return Fill(database, organization, issued)


def test_every_sealed_column_is_among_the_places() -> None:
    known = {place.column.property.columns[0] for place in PLACES}
    found = {
        column
        for table in Base.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary) and column.name != "body"
    }
    assert found == known


def test_at_any_crash_point_everything_opens_and_the_next_run_goes_on(
    database: Database, fill: Fill, member: User
) -> None:
    keys = [OLD, NEW]
    for _ in range(2):
        fill.rotate(Vault([OLD]), fill.subscription(Vault([OLD])))
    fill.rest(Vault([OLD]), member)
    before = opened(database, BOTH)
    assert len(before) == 10

    @settings(max_examples=10)
    @given(crashes=st.lists(st.integers(0, 50), max_size=3), batch=st.integers(1, 3))
    def crash(crashes: list[int], batch: int) -> None:
        keys.reverse()  # each time from one to the other
        work = Resealing(database, Vault(keys), PLACES, batch=batch)
        for after in crashes:
            with suppress(Crashed), crashing(database.engine, after):
                work.run()
            assert opened(database, BOTH) == before
        assert work.run().unopened == {}
        assert opened(database, Vault(keys[:1])) == before
        assert work.run().sealed == {}

    crash()


class Interrupted(Vault):
    """While it is about to seal something anew, somebody else is faster."""

    def __init__(self, secret_keys: Sequence[SecretValue], meanwhile: Callable[[], None]) -> None:
        super().__init__(secret_keys)
        self.meanwhile: Callable[[], None] | None = meanwhile

    def seal(self, plain: SecretValue, context: str) -> bytes:
        if context.startswith("subscription:") and self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        return super().seal(plain, context)


def test_what_a_server_changes_meanwhile_is_not_overwritten_and_not_missed(
    database: Database, fill: Fill
) -> None:
    """The old secret moves behind our back into a column that we have looked at already."""
    subscription = fill.subscription(Vault([OLD]))
    places = sorted(PLACES, key=lambda place: not place.name.startswith("former"))
    before = opened(database, BOTH)
    vault = Interrupted([NEW, OLD], lambda: fill.rotate(BOTH, subscription))

    Resealing(database, vault, places).run()

    after = opened(database, Vault([NEW]))
    secret = ("signing secrets", subscription)
    assert after["former signing secrets", subscription] == before[secret] != after[secret]


def test_what_no_key_opens_is_counted_and_left_alone(database: Database, fill: Fill) -> None:
    fill.subscription(Vault([SecretValue("x" * 64)]))
    fill.subscription(Vault([OLD]))
    work = Resealing(database, BOTH, PLACES, batch=1)
    for sealed_again in ({"signing secrets": 1, "headers of subscriptions": 1}, {}):
        done = work.run()
        assert (done.sealed, done.unopened) == (
            sealed_again,
            {"signing secrets": 1, "headers of subscriptions": 1},
        )
    with pytest.raises(VaultError):
        opened(database, BOTH)
    by_key = {(need.key_id, need.name): need.rows for need in work.needs()}
    new, old = BOTH.key_ids
    [strange] = Vault([SecretValue("x" * 64)]).key_ids
    assert by_key == {
        (new, "signing secrets"): 1,
        (new, "headers of subscriptions"): 1,
        (strange, "signing secrets"): 1,
        (strange, "headers of subscriptions"): 1,
        (old, "client secrets"): 1,
    }
