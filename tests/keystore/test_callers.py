"""Keys that lay hands on keys, looked at within the transaction as they are then."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from keystore.audit import SYSTEM, Actor
from keystore.calls import Call
from keystore.clock import ManualClock
from keystore.db import Database, writing
from keystore.errors import (
    BeyondItself,
    BeyondMembers,
    CallerOver,
    GenerationConflict,
    KeyNotFound,
)
from keystore.grants import Grants
from keystore.inventory import Inventory
from keystore.keys import Issued, Keys
from keystore.members import Members
from keystore.models import Key, Organization, Secret, User
from keystore.scopes import OPERATIONS, DataScope
from keystore.tokens import LIFETIME, Tokens
from keystore.vault import Vault
from keystore.verification import Verification, VerifiedToken
from tests.properties.together import at_once, interleaved

ALL = frozenset(OPERATIONS)
READ = frozenset({"meetings:read"})
DAY = timedelta(days=1)


@dataclass
class House:
    """Keys, and a key that acts on them."""

    database: Database
    keys: Keys
    grants: Grants
    inventory: Inventory
    clock: ManualClock
    organization: Organization

    def issue(self, granted: frozenset[str] = READ, **more: Any) -> Issued:
        with self.database.session() as session:
            return self.keys.create(
                session,
                organization_id=self.organization.id,
                name=uuid4().hex,
                granted=granted,
                **{"actor": SYSTEM, **more},
            )

    def count(self) -> int:
        with self.database.session() as session:
            return len(self.keys.list(session, self.organization.id, actor=SYSTEM))

    def newest(self, key: Key) -> int:
        """Return the id of a key's newest secret."""
        with self.database.session() as session:
            return session.scalars(
                select(Secret.id)
                .where(Secret.key_id == key.id)
                .order_by(Secret.generation.desc())
                .limit(1)
            ).one()

    def acting(self, key: Key, secret_id: int | None = None, **more: Any) -> Actor:
        call = Call(self.clock.now(), ALL, 60, secret_id or self.newest(key))
        return Actor("key", key.name, id=str(key.id), call=replace(call, **more))

    def do(self, method: Callable[..., Any], key: Key, actor: Actor, **values: Any) -> Any:
        with self.database.session() as session:
            where = {"organization_id": self.organization.id, "actor": actor}
            return method(session, key.id, **where, **values)


@pytest.fixture
def house(database: Database, keys: Keys, clock: ManualClock, organization: Organization) -> House:
    return House(database, keys, Grants(clock), Inventory(clock), clock, organization)


def test_z1_a_key_that_ended_after_it_was_let_in_changes_nothing(
    house: House, member: User
) -> None:
    target = house.issue().key
    ended = [house.issue(ALL).key for _ in range(2)]
    house.do(house.keys.disable, ended[0], SYSTEM)
    house.do(house.keys.delete, ended[1], SYSTEM)
    ended.append(house.issue(ALL, data=DataScope.USER_FULL, owner_id=member.id).key)
    with house.database.session() as session, writing(session):
        session.get_one(User, member.id).is_active = False

    for caller in ended:
        for key in (target, caller):
            with pytest.raises(KeyNotFound):
                house.do(house.keys.rename, key, house.acting(caller), name="x")
        with pytest.raises(KeyNotFound), house.database.session() as session:
            house.keys.list(session, house.organization.id, actor=house.acting(caller))


def test_z1_what_a_key_has_lost_since_it_was_let_in_it_cannot_hand_on(house: House) -> None:
    caller, target = house.issue(ALL).key, house.issue().key
    acting = house.acting(caller)

    house.do(house.grants.rescope, caller, SYSTEM, granted=frozenset({"keys:manage"}))

    with pytest.raises(KeyNotFound):
        house.do(house.keys.regenerate, target, acting, generation=1)


def test_z1_a_secret_that_ended_after_it_was_let_in_makes_and_changes_nothing(
    house: House,
) -> None:
    target = house.issue().key
    compromised, finished, retiring, expiring = (house.issue(ALL).key for _ in range(4))
    first, end = house.newest(retiring), house.clock.now() + DAY
    let_in = [house.acting(one) for one in (compromised, finished)]
    house.do(house.keys.regenerate, compromised, SYSTEM, generation=1)
    for key in (finished, retiring):
        house.do(house.keys.regenerate, key, SYSTEM, generation=1, overlap=DAY)
    house.do(house.keys.finish, finished, SYSTEM)
    house.do(house.keys.set_expiry, expiring, SYSTEM, expires_at=end)
    for key, shown in ((retiring, first), (expiring, house.newest(expiring))):
        house.issue(expires_at=end, actor=house.acting(key, shown))
        let_in.append(house.acting(key, shown, at=end))
    before = house.count()

    for actor in let_in:
        with pytest.raises(CallerOver):
            house.issue(expires_at=end, actor=actor)
        with pytest.raises(CallerOver):
            house.do(house.keys.rename, target, actor, name="x")
        with pytest.raises(CallerOver):
            house.do(house.inventory.get, target, actor)
    assert house.count() == before
    for key in (compromised, finished, retiring):
        house.issue(actor=house.acting(key))


@pytest.fixture
def tokens(house: House, vault: Vault) -> Tokens:
    return Tokens(vault, house.clock)


@pytest.fixture
def get_token(house: House, vault: Vault, tokens: Tokens) -> Callable[[Issued], VerifiedToken]:
    verification = Verification(house.database, vault, house.clock)

    def get(issued: Issued) -> VerifiedToken:
        key = verification.by_secret(issued.key.client_key, issued.client_secret.reveal())
        assert key is not None
        with house.database.session() as session:
            text = tokens.issue(session, key, key.scopes).text
        token = verification.by_token(text.reveal())
        assert token is not None
        return token

    return get


def revoke(house: House, tokens: Tokens, token: VerifiedToken) -> None:
    with house.database.session() as session:
        tokens.revoke(session, token)


def test_z1_a_token_that_ended_after_it_was_let_in_makes_and_changes_nothing(
    house: House, tokens: Tokens, get_token: Callable[[Issued], VerifiedToken]
) -> None:
    manager, target = house.issue(ALL), house.issue().key
    token, sibling = get_token(manager), get_token(manager)
    acting, other = (
        house.acting(manager.key, token_id=one.key.token_id) for one in (token, sibling)
    )
    house.do(house.keys.rename, target, acting, name="before")

    revoke(house, tokens, token)

    with pytest.raises(CallerOver):
        house.issue(actor=acting)
    with pytest.raises(CallerOver):
        house.do(house.keys.rename, target, acting, name="after")
    house.issue(actor=other)
    house.clock.advance(LIFETIME)
    with pytest.raises(CallerOver):
        house.issue(actor=house.acting(manager.key, token_id=sibling.key.token_id))
    strange = get_token(house.issue(ALL))
    with pytest.raises(CallerOver):
        house.issue(actor=house.acting(manager.key, token_id=strange.key.token_id))
    house.issue(actor=house.acting(manager.key))


@pytest.mark.parametrize("ended", ["secret", "token"])
def test_z1_once_a_credential_is_ended_no_key_comes_of_it(
    house: House, tokens: Tokens, get_token: Callable[[Issued], VerifiedToken], ended: str
) -> None:
    """Whatever the point at which the end comes: what is there then is all that there will be."""
    statement, reached, left = 0, True, set()
    while reached:
        statement += 1
        manager = house.issue(ALL)
        token = get_token(manager)
        acting = house.acting(
            manager.key, token_id=token.key.token_id if ended == "token" else None
        )

        def end(manager: Issued = manager, token: VerifiedToken = token) -> int:
            if ended == "token":
                revoke(house, tokens, token)
            else:
                house.do(house.keys.regenerate, manager.key, SYSTEM, generation=1)
            return house.count()

        make = partial(house.issue, actor=acting)
        (came, there), reached = interleaved(house.database.engine, make, end, statement)

        assert house.count() == there, statement
        assert isinstance(came, (Issued, CallerOver)), came
        left.add(type(came))
    assert left == {Issued, CallerOver}


def test_z1_whoever_acts_as_a_key_says_what_its_credential_allows(house: House) -> None:
    caller, target = house.issue(ALL).key, house.issue().key

    for actor in (replace(house.acting(caller), call=None), Actor("key", "x", id="no uuid")):
        with pytest.raises(KeyNotFound):
            house.do(house.keys.rename, target, actor, name="x")
    with pytest.raises(BeyondItself):
        house.do(house.keys.rename, caller, house.acting(caller, operations=READ), name="x")


def test_no_key_decides_for_the_organization(house: House) -> None:
    acting = house.acting(house.issue(ALL).key)
    members = Members(house.clock)

    with pytest.raises(BeyondMembers), house.database.session() as session:
        members.set_policy(
            session, organization_id=house.organization.id, allowed=True, actor=acting
        )


def test_a_condition_on_the_generation_is_checked_with_the_key_held(house: House) -> None:
    caller, target = house.issue(ALL).key, house.issue().key

    house.do(house.keys.rename, target, house.acting(caller, seen=1), name="one")
    for seen in (2, 3):
        with pytest.raises(GenerationConflict):
            house.do(house.keys.rename, target, house.acting(caller, seen=seen), name="two")


def test_two_keys_that_change_each_other_do_not_wait_in_a_circle(house: House) -> None:
    one, other = house.issue(ALL).key, house.issue(ALL).key

    for number in range(10):
        _, lost = at_once(
            partial(house.do, house.keys.rename, one, house.acting(other), name=f"a{number}"),
            partial(house.do, house.keys.rename, other, house.acting(one), name=f"b{number}"),
        )
        assert lost == []


def test_of_two_keys_that_end_each_other_one_is_left(house: House) -> None:
    for _ in range(5):
        one, other = house.issue(ALL).key, house.issue(ALL).key
        won, lost = at_once(
            partial(house.do, house.keys.delete, one, house.acting(other)),
            partial(house.do, house.keys.delete, other, house.acting(one)),
        )
        assert len(won) == 1
        assert [isinstance(error, KeyNotFound) for error in lost] == [True]


@given(data=st.data())
@settings(max_examples=20, suppress_health_check=list(HealthCheck))
def test_z1_a_list_shows_exactly_what_may_be_looked_at(
    house: House, admin: User, member: User, data: st.DataObject
) -> None:
    def some_key() -> Key:
        scope = data.draw(st.sampled_from(DataScope))
        owner = data.draw(st.sampled_from([admin.id, member.id])) if scope.is_personal else None
        granted = data.draw(st.sampled_from([ALL, READ, frozenset(), frozenset({"keys:manage"})]))
        return house.issue(granted, data=scope, owner_id=owner).key

    made = [some_key() for _ in range(3)]
    for caller in made:
        acting = house.acting(caller)
        with house.database.session() as session:
            page = house.inventory.page(
                session, house.organization.id, actor=acting, page_size=1000
            )
        listed = {item.key.id for item in page.items}
        for key in made:
            try:
                house.do(house.inventory.get, key, acting)
            except KeyNotFound:
                assert key.id not in listed
            else:
                assert key.id in listed
