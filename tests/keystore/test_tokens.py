"""The story of an access token: issued, used, revoked, swept; and it never outlives its secret."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event, func, select

from keystore import credentials, tokens
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.credentials import SecretValue
from keystore.db import Database, writing
from keystore.keys import Issued, Keys
from keystore.models import AccessToken, Key, Secret
from keystore.rotation import NO_OVERLAP
from keystore.tokens import IssuedToken, Tokens
from keystore.vault import Vault
from keystore.verification import Verification, VerifiedKey, VerifiedToken
from tests.support.statements import statements

READ = frozenset({"meetings:read"})
ALL = frozenset({"meetings:read", "meetings:write", "webhooks:manage"})


class Desk:
    """Somebody with a key: each call is a request of its own."""

    def __init__(
        self,
        database: Database,
        keys: Keys,
        store: Tokens,
        verification: Verification,
        issued: Issued,
    ) -> None:
        self.database, self.keys, self.store, self.issued = database, keys, store, issued
        self.verification = verification

    def prove(self) -> VerifiedKey:
        secret = self.issued.client_secret.reveal()
        verified = self.verification.by_secret(self.issued.key.client_key, secret)
        assert verified is not None
        return verified

    def get(self, scopes: frozenset[str] = ALL) -> IssuedToken:
        key = self.prove()
        with self.database.session() as session:
            return self.store.issue(session, key, scopes)

    def look(self, token: IssuedToken) -> VerifiedToken | None:
        return self.verification.by_token(token.text.reveal())

    def scopes(self, token: IssuedToken) -> frozenset[str]:
        seen = self.look(token)
        assert seen is not None
        return seen.key.scopes

    def regenerate(
        self, generation: int, overlap: timedelta = NO_OVERLAP, *, go_on: bool = True
    ) -> None:
        """Replace the secret; with `go_on` the new one is used from here on."""
        with self.database.session() as session:
            new = self.keys.regenerate(
                session,
                self.issued.key.id,
                organization_id=self.issued.key.organization_id,
                generation=generation,
                overlap=overlap,
                actor=SYSTEM,
            )
        if go_on:
            self.issued = new

    def expire(self, at: datetime | None) -> None:
        with self.database.session() as session:
            self.keys.set_expiry(
                session,
                self.issued.key.id,
                organization_id=self.issued.key.organization_id,
                expires_at=at,
                actor=SYSTEM,
            )

    def delete(self) -> None:
        with self.database.session() as session:
            self.keys.delete(
                session,
                self.issued.key.id,
                organization_id=self.issued.key.organization_id,
                actor=SYSTEM,
            )

    def rows(self) -> int:
        with self.database.session() as session:
            return session.scalars(select(func.count()).select_from(AccessToken)).one()


@pytest.fixture
def store(vault: Vault, clock: ManualClock) -> Tokens:
    return Tokens(vault, clock)


@pytest.fixture
def desk(
    database: Database, keys: Keys, store: Tokens, verification: Verification, issued: Issued
) -> Desk:
    return Desk(database, keys, store, verification, issued)


def test_a_token_stands_for_its_key(desk: Desk, clock: ManualClock) -> None:
    token = desk.get(READ)

    seen = desk.look(token)

    assert seen is not None
    assert seen.key.key_id == desk.issued.key.id
    assert seen.key.client_key == desk.issued.key.client_key
    assert seen.key.organization_name == "Northwind"
    assert seen.key.scopes == token.scopes == READ
    assert (seen.issued_at, seen.expires_at) == (clock.now(), clock.now() + token.lifetime)
    assert token.lifetime <= timedelta(hours=1)


def test_it_works_strictly_before_its_end(desk: Desk, clock: ManualClock) -> None:
    token = desk.get()

    clock.advance(token.lifetime - timedelta(microseconds=1))
    assert desk.look(token) is not None
    clock.advance(timedelta(microseconds=1))
    assert desk.look(token) is None


@pytest.mark.parametrize("ends", ["its key", "its secret"])
def test_it_says_its_end_also_when_what_it_hangs_on_ends_sooner(
    desk: Desk, clock: ManualClock, ends: str
) -> None:
    before, soon = desk.get(), timedelta(minutes=5)
    if ends == "its key":
        desk.expire(clock.now() + soon)
    else:
        desk.regenerate(generation=1, overlap=soon, go_on=False)
    clock.advance(1)

    token = desk.get()

    assert token.lifetime == soon - timedelta(seconds=1)
    for one in (before, token):
        seen = desk.look(one)
        assert seen is not None
        assert seen.expires_at == clock.now() + token.lifetime
    clock.advance(token.lifetime)
    assert [desk.look(one) for one in (before, token)] == [None, None]


def test_it_works_no_longer_than_was_said_though_its_key_does(
    desk: Desk, clock: ManualClock
) -> None:
    soon = timedelta(minutes=5)
    desk.expire(clock.now() + soon)
    token = desk.get()
    desk.expire(None)

    seen = desk.look(token)
    assert seen is not None
    assert seen.expires_at == clock.now() + token.lifetime == clock.now() + soon
    clock.advance(soon)
    assert desk.look(token) is None
    assert desk.get().lifetime == tokens.LIFETIME


def test_a_client_whose_secret_ends_while_it_gets_a_token_is_told_that_it_lasts_no_time(
    desk: Desk, clock: ManualClock
) -> None:
    desk.expire(clock.now() + timedelta(seconds=1))
    proved = desk.prove()
    clock.advance(5)

    with desk.database.session() as session:
        late = desk.store.issue(session, proved, ALL)

    assert late.lifetime == timedelta(0)
    assert desk.look(late) is None


def test_no_clock_brings_it_back_not_even_another_processs(
    desk: Desk, clock: ManualClock, vault: Vault
) -> None:
    shown, unseen = desk.get(), desk.get()
    clock.advance(tokens.LIFETIME)
    assert desk.look(shown) is None

    clock.advance(-60)
    assert desk.look(shown) is None
    assert desk.look(unseen) is None, "this process has seen a later time"

    desk.verification = Verification(desk.database, vault, clock)
    assert desk.look(shown) is None, "its end is written down"


def test_its_end_is_written_down_once(desk: Desk, database: Database, clock: ManualClock) -> None:
    expired, orphan = desk.get(), desk.get()
    clock.advance(tokens.LIFETIME)
    assert desk.look(expired) is None
    desk.regenerate(1)

    for token in (expired, orphan):
        with statements(database) as asked:
            assert desk.look(token) is None
        assert [sql.split()[0] for sql in asked] == ["SELECT"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_expired_token_is_refused_though_its_end_cannot_be_written_down(
    desk: Desk, clock: ManualClock
) -> None:
    token = desk.get()
    clock.advance(tokens.LIFETIME)
    engine = desk.database.engine
    engine.dispose()
    event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA query_only = ON"))

    assert desk.look(token) is None

    with desk.database.session() as session:
        [row] = session.scalars(select(AccessToken))
        assert row.revoked_at is None


def test_it_dies_with_the_secret_that_obtained_it(desk: Desk) -> None:
    first = desk.get()
    desk.regenerate(generation=1)
    assert desk.look(first) is None

    second = desk.get()
    assert desk.look(second) is not None
    desk.regenerate(generation=2)
    assert desk.look(first) is None
    assert desk.look(second) is None


def test_it_dies_with_its_key(desk: Desk) -> None:
    token = desk.get()

    desk.delete()

    assert desk.look(token) is None


def test_a_client_that_loses_a_race_with_a_regeneration_gets_a_token_of_its_dead_secret(
    desk: Desk,
) -> None:
    proved = desk.prove()
    desk.regenerate(generation=1)

    with desk.database.session() as session:
        late = desk.store.issue(session, proved, ALL)

    assert desk.look(late) is None


def test_it_can_never_do_more_than_its_key_can_now(desk: Desk) -> None:
    token = desk.get(frozenset({"meetings:read", "webhooks:manage"}))

    def allow(*names: str) -> None:
        with desk.database.session() as session, writing(session):
            key = session.get(Key, desk.issued.key.id)
            assert key is not None
            key.scopes = list(names)

    allow("meetings:read", "meetings:write")
    assert desk.scopes(token) == READ
    allow()
    assert desk.scopes(token) == frozenset()
    allow(*ALL)
    assert desk.scopes(token) == {"meetings:read", "webhooks:manage"}


def test_it_is_not_issued_with_more_than_its_key_has(desk: Desk) -> None:
    token = desk.get(ALL | {"keys:manage"})

    assert token.scopes == ALL
    assert desk.scopes(token) == ALL


def test_a_revoked_token_is_dead_and_its_siblings_live(desk: Desk) -> None:
    token, sibling = desk.get(), desk.get()
    seen = desk.look(token)
    assert seen is not None

    for _ in range(2):
        with desk.database.session() as session:
            desk.store.revoke(session, seen)

    assert desk.look(token) is None
    assert desk.look(sibling) is not None


def test_a_token_that_differs_in_any_character_is_none(desk: Desk) -> None:
    text = desk.get().text.reveal()

    for place in range(len(text)):
        other = text[:place] + ("0" if text[place] != "0" else "1") + text[place + 1 :]
        assert desk.look(IssuedToken(SecretValue(other), ALL, timedelta(0))) is None


def test_the_public_part_alone_is_of_no_use(desk: Desk, store: Tokens, vault: Vault) -> None:
    """A right public part with a right checksum around a made-up secret part."""

    text = desk.get().text.reveal()
    body = text[:23] + "0" * 32

    assert credentials.public_part(body + credentials.checksum(body)) == text[3:23]
    forged = SecretValue(body + credentials.checksum(body))
    assert desk.look(IssuedToken(forged, ALL, timedelta(0))) is None


def test_only_a_keyed_digest_is_stored(desk: Desk, tmp_path: Path) -> None:
    token = desk.get()

    with desk.database.session() as session:
        [row] = session.scalars(select(AccessToken))
        columns = " ".join(str(value) for value in vars(row).values())
        [secret] = session.scalars(select(Secret))

    assert row.secret_id == secret.id
    secret_part = token.text.reveal()[23:]
    assert row.digest.startswith("v1$")
    windows = [secret_part[start : start + 8] for start in range(len(secret_part) - 7)]
    assert not any(window in columns for window in windows)
    for file in tmp_path.glob("keyhook.db*"):
        held = file.read_bytes()
        assert not any(window.encode() in held for window in windows), file


def test_many_at_once_get_tokens_and_sweep_without_getting_in_each_others_way(
    desk: Desk, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "SWEPT_AT_ONCE", 3)
    for _ in range(12):
        desk.get()
    clock.advance(tokens.LIFETIME)

    with ThreadPoolExecutor(6) as pool:
        issued = list(pool.map(lambda _: desk.get(), range(18)))

    assert all(desk.look(token) is not None for token in issued)
    assert desk.rows() == 18


def test_tokens_whose_time_is_over_are_removed_a_hundred_at_a_time(
    desk: Desk, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "SWEPT_AT_ONCE", 3)
    for _ in range(5):
        desk.get()
    clock.advance(tokens.LIFETIME - timedelta(seconds=1))
    young = desk.get()
    assert desk.rows() == 6

    clock.advance(1)
    desk.get()
    assert desk.rows() == 6 - 3 + 1
    desk.get()
    assert desk.rows() == 3, "the young one and the two that were issued now"
    assert desk.look(young) is not None


def test_a_token_of_a_retiring_secret_works_as_long_as_that_does(
    desk: Desk, clock: ManualClock
) -> None:
    token = desk.get()
    where = {"organization_id": desk.issued.key.organization_id, "actor": SYSTEM}
    with desk.database.session() as session:
        desk.keys.regenerate(
            session,
            desk.issued.key.id,
            generation=1,
            overlap=timedelta(minutes=10),
            **where,  # type: ignore[arg-type]
        )
    clock.advance(timedelta(minutes=10) - timedelta(microseconds=1))
    assert desk.look(token) is not None

    clock.advance(timedelta(microseconds=1))

    assert desk.look(token) is None
    clock.advance(-60)
    assert desk.look(token) is None


def test_a_token_sleeps_with_its_key_and_ends_with_its_expiry(
    desk: Desk, clock: ManualClock
) -> None:
    token, key_id = desk.get(), desk.issued.key.id
    where = {"organization_id": desk.issued.key.organization_id, "actor": SYSTEM}
    with desk.database.session() as session:
        desk.keys.disable(session, key_id, **where)  # type: ignore[arg-type]
    assert desk.look(token) is None
    with desk.database.session() as session:
        desk.keys.enable(session, key_id, **where)  # type: ignore[arg-type]
    assert desk.look(token) is not None
    with desk.database.session() as session:
        ends = clock.now() + timedelta(minutes=1)
        desk.keys.set_expiry(session, key_id, expires_at=ends, **where)  # type: ignore[arg-type]

    clock.advance(timedelta(minutes=1))

    assert desk.look(token) is None
