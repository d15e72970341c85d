"""Keys manage keys over HTTP, in any order: none ever comes to more than it had.

The model knows no rule of the key store's. What a key comes to is tried out on a handful of
operations, meetings, addresses and moments: what is handed on must be a part of that. Every secret
that was ever issued is tried after each step, as in test_rotation.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from itertools import count
from typing import Any
from uuid import UUID, uuid4

from flask import Flask
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from werkzeug.test import TestResponse

from connector.app import Parts, assemble, create_app
from keystore.accounts import Accounts
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.credentials import SecretValue
from keystore.keys import Issued
from keystore.models import Key, Role
from keystore.scopes import OF_MEMBERS, OPERATIONS, DataScope, Rights
from keystore.settings import Settings
from tests.conftest import PASSWORD, QUICK_HASHER
from tests.properties.ledger import Fact, Known, Ledger

MANAGE = "keys:manage"
HERE = "10.0.0.1"
ADDRESSES = (HERE, "10.0.0.200", "10.9.9.9", "192.0.2.1", "2001:db8::1")
INSIDE: dict[tuple[str, ...], set[str]] = {
    (): set(ADDRESSES),
    ("10.0.0.0/24",): {HERE, "10.0.0.200"},
    ("10.0.0.0/25", "10.0.0.128/25"): {HERE, "10.0.0.200"},
    ("10.0.0.1/32", "2001:db8::/32"): {HERE, "2001:db8::1"},
    ("10.0.0.0/8",): {HERE, "10.0.0.200", "10.9.9.9"},
}
NEVER = datetime.max.replace(tzinfo=UTC)
NOBODY_ELSE = "guest@elsewhere.example"

operations = st.sampled_from(
    [frozenset(OPERATIONS), frozenset({MANAGE}), frozenset({MANAGE, "notes:read"}), frozenset()]
) | st.frozensets(st.sampled_from(sorted(OPERATIONS)))
networks = st.sampled_from(list(INSIDE))
hours = st.sampled_from([None, None, 10, 100])
limits = st.sampled_from([None, None, 50_000, 500_000])
overlaps = st.sampled_from([None, 0, 3600, 7 * 86_400])


@dataclass(frozen=True)
class Grant:
    """What somebody may have said that a key is to be."""

    operations: frozenset[str]
    data: DataScope
    owner: str | None
    networks: tuple[str, ...]
    expires_at: datetime | None
    limit: int | None


@dataclass(frozen=True)
class Reach:
    """What a key comes to, tried out."""

    operations: frozenset[str]
    meetings: frozenset[tuple[str, bool]]
    addresses: frozenset[str]
    end: datetime

    @staticmethod
    def of(grant: Grant) -> "Reach":
        rights = Rights(grant.operations, grant.data, grant.owner)
        people = ("ada", "mel")
        meetings = {
            (one, private)
            for one in [NOBODY_ELSE, *(f"{name}@northwind.example" for name in people)]
            for private in (False, True)
            if rights.sees([one], private=private)
        }
        end = NEVER if grant.expires_at is None else grant.expires_at
        inside = frozenset(INSIDE[grant.networks])
        return Reach(grant.operations, frozenset(meetings), inside, end)

    def shows(self, other: "Reach") -> bool:
        return other.operations <= self.operations and other.meetings <= self.meetings

    def holds(self, other: "Reach") -> bool:
        return self.shows(other) and other.addresses <= self.addresses and other.end <= self.end


class Management(RuleBasedStateMachine):
    """An admin makes the first keys; from then on keys do it all."""

    made = Bundle("made")

    def __init__(self, parts: Parts, clock: ManualClock) -> None:
        super().__init__()
        self.parts, self.clock = parts, clock
        self.app: Flask = create_app(parts)
        self.ledger = Ledger(clock.now())
        self.grants: dict[UUID, Grant] = {}
        self.numbers = count()

    @initialize(target=made)
    def begin(self) -> object:
        """Ada, who is an admin, makes a key that may everything; Mel is a member."""
        accounts, mark = Accounts(self.clock, QUICK_HASHER), uuid4().hex[:8]
        with self.parts.services.db.session() as session:
            organization = accounts.create_organization(session, name=mark, actor=SYSTEM)
            self.organization_id = organization.id
            self.people = {}
            for name, role in (("ada", Role.ADMIN), ("mel", Role.MEMBER)):
                user = accounts.create_user(
                    session,
                    organization_id=organization.id,
                    email=f"{name}-{mark}@northwind.example",
                    name=name,
                    role=role,
                    password=SecretValue(PASSWORD),
                    actor=SYSTEM,
                )
                self.people[f"{name}@northwind.example"] = user
        return self._issue(Grant(frozenset(OPERATIONS), DataScope.ORG_FULL, None, (), None, None))

    @rule(target=made, data=st.data())
    def an_admin_makes_a_key(self, data: st.DataObject) -> object:
        return self._issue(self._draw(data))

    @rule(target=made, caller=made, data=st.data())
    def z1_a_key_makes_a_key(self, caller: UUID, data: st.DataObject) -> object:
        grant = self._draw(data)
        fact = self._held(caller)
        if fact is None:
            return multiple()
        named = {"Idempotency-Key": str(uuid4())}
        name = f"key {next(self.numbers)}"
        answer = self._call(fact, "POST", "", self._body(grant) | {"name": name}, named)
        within = self._reach(caller).holds(Reach.of(grant))
        if not self._manages(caller) or not within or not self._has_limit(caller, grant.limit):
            assert answer.status_code == HTTPStatus.FORBIDDEN, answer.data
            return multiple()
        assert answer.status_code == HTTPStatus.CREATED, answer.data
        made = answer.get_json()
        key_id = self._write_down(made, grant, name)
        again = self._call(fact, "POST", "", self._body(grant) | {"name": name}, named)
        self._r9_told(again, key_id, 1)
        return key_id

    @rule(caller=made, other=made, data=st.data())
    def z1_a_key_changes_a_key(self, caller: UUID, other: UUID, data: st.DataObject) -> None:
        fact = self._held(caller)
        if fact is None:
            return
        before, drawn = self.grants[other], self._draw(data)
        what = data.draw(st.sampled_from(["grant", "networks", "expires_at", "rate_limit"]))
        body = self._body(drawn)
        if what == "grant":
            fields = {"scopes", "data_scope", "owner"} & body.keys()
            after = replace(before, operations=drawn.operations, data=drawn.data, owner=drawn.owner)
        else:
            fields = {what}
            name = {"rate_limit": "limit"}.get(what, what)
            after = replace(before, **{name: getattr(drawn, name)})
        answer = self._call(fact, "PATCH", f"{other}/", {name: body[name] for name in fields})
        refused = self._refusal(caller, other, changes=True)
        if refused is None and what == "rate_limit":
            if not self._has_limit(caller, drawn.limit):
                refused = HTTPStatus.FORBIDDEN
        elif refused is None and not self._is_over(other):
            changed = after != before
            if changed and not self._reach(caller).holds(Reach.of(after)):
                refused = HTTPStatus.FORBIDDEN
        if refused is None and self._is_over(other):
            refused = HTTPStatus.CONFLICT
        assert answer.status_code == (refused or HTTPStatus.OK), (answer.data, what, before, after)
        if refused is None:
            self._changed(other, after)

    @rule(
        caller=made,
        other=made,
        overlap=overlaps,
        late=st.sampled_from([0, 0, 0, 1]),
        lost=st.booleans(),
    )
    def r1_r9_a_key_regenerates_a_key(
        self, caller: UUID, other: UUID, overlap: int | None, late: int, lost: bool
    ) -> None:
        """Sometimes the answer gets lost, and the request is sent again with the same name."""
        fact = self._held(caller)
        if fact is None:
            return
        known = self.ledger.keys[other]
        seen = known.generation + late
        body = {"compromised": True} if overlap == 0 else {"overlap_seconds": overlap}
        headers = {"If-Match": f'"{seen}"', "Idempotency-Key": f'"{uuid4()}"'}
        path = f"{other}/regenerate/"
        before = self._shown(other) if not known.deleted else None
        answer = self._call(fact, "POST", path, body, headers)
        refused = self._refusal(caller, other, changes=True)
        if refused is None and late:
            refused = HTTPStatus.PRECONDITION_FAILED
        if refused is None and not self.ledger.awake(other):
            refused = HTTPStatus.CONFLICT
        assert answer.status_code == (refused or HTTPStatus.OK), answer.data
        if refused is not None:
            return
        told = answer.get_json()
        self.ledger.regenerated(
            _issued(told), timedelta(days=1) if overlap is None else timedelta(seconds=overlap)
        )
        now = self.clock.now().replace(tzinfo=None).isoformat() + "Z"
        assert self._shown(other) == (before or {}) | {
            "generation": seen + 1,
            "secret_created_at": now,
        }, "R1, R2: the secret, its number and its birthday; nothing else"
        if lost and self.ledger.works(fact) and self._manages(caller):
            self._r9_told(self._call(fact, "POST", path, body, headers), other, seen + 1)

    @rule(caller=made, other=made, what=st.sampled_from(["finish", "disable", "enable", "delete"]))
    def a_key_ends_or_wakes_a_key(self, caller: UUID, other: UUID, what: str) -> None:
        fact = self._held(caller)
        if fact is None:
            return
        refused = self._refusal(caller, other, changes=what == "enable")
        known = self.ledger.keys[other]
        if what == "delete":
            answer = self._call(fact, "DELETE", f"{other}/")
            if known.deleted and self._sees(caller, other):
                refused = None  # again the same answer
        else:
            answer = self._call(fact, "POST", f"{other}/{what}/")
        if refused is None and what in {"disable", "enable"} and self.ledger.expired(other):
            refused = HTTPStatus.CONFLICT
        assert answer.status_code == (refused or HTTPStatus.OK), (what, answer.data)
        if refused is not None:
            return
        if what == "finish":
            self.ledger.end(other, {one.generation for one in self.ledger.retiring(other)})
        elif what == "delete":
            self.ledger.end(other)
            known.deleted = True
        else:
            known.disabled = what == "disable"

    @rule(caller=made)
    def z1_a_key_lists_what_it_could_have_made(self, caller: UUID) -> None:
        fact = self._held(caller)
        if fact is None or not self._manages(caller):
            return
        for query, deleted in (("?page_size=100", False), ("?state=deleted&page_size=100", True)):
            listed = self._call(fact, "GET", query).get_json()["results"]
            assert {UUID(one["id"]) for one in listed} == {
                one
                for one in self.grants
                if self._sees(caller, one) and self.ledger.keys[one].deleted is deleted
            }

    @rule(step=st.sampled_from([1, 3600, 9 * 3600, 86_400]))
    def time_passes(self, step: int) -> None:
        self.clock.advance(step)
        self.ledger.seen(self.clock.now())

    @invariant()
    def a1_exactly_the_expected_secrets_open_the_api(self) -> None:
        client = self.app.test_client()
        for fact in self.ledger.facts:
            header = {"Authorization": f"Bearer {fact.client_key}:{fact.client_secret}"}
            came = client.get("/v1/me/", headers=header, environ_overrides={"REMOTE_ADDR": HERE})
            assert (came.status_code == HTTPStatus.OK) == self.ledger.works(fact), fact
            if came.status_code == HTTPStatus.OK:
                assert came.get_json()["key"]["scopes"] == sorted(self._effective(fact.key_id))

    def _draw(self, data: st.DataObject) -> Grant:
        scope = data.draw(
            st.sampled_from([one for one in DataScope if one is not DataScope.LEGACY])
        )
        owner = data.draw(st.sampled_from(sorted(self.people))) if scope.is_personal else None
        after = data.draw(hours)
        end = None if after is None else self.clock.now() + timedelta(hours=after)
        return Grant(
            data.draw(operations), scope, owner, data.draw(networks), end, data.draw(limits)
        )

    def _body(self, grant: Grant) -> dict[str, Any]:
        owner = {} if grant.owner is None else {"owner": self.people[grant.owner].email}
        return owner | {
            "scopes": sorted(grant.operations),
            "data_scope": grant.data,
            "networks": list(grant.networks),
            "expires_at": grant.expires_at and grant.expires_at.isoformat(),
            "rate_limit": grant.limit,
        }

    def _issue(self, grant: Grant) -> UUID:
        name = f"key {next(self.numbers)}"
        with self.parts.services.db.session() as session:
            issued = self.parts.services.keys.create(
                session,
                organization_id=self.organization_id,
                name=name,
                granted=grant.operations,
                data=grant.data,
                owner_id=self.people[grant.owner].id if grant.owner else None,
                expires_at=grant.expires_at,
                allowed=grant.networks,
                rate_limit=grant.limit,
                actor=SYSTEM,
            )
        self.grants[issued.key.id] = grant
        self.ledger.keys[issued.key.id] = Known(name, 1, expires_at=grant.expires_at)
        self.ledger.issued(issued)
        return issued.key.id

    def _write_down(self, made: dict[str, Any], grant: Grant, name: str) -> UUID:
        key_id = UUID(made["id"])
        self.grants[key_id] = grant
        self.ledger.keys[key_id] = Known(name, 1, expires_at=grant.expires_at)
        self.ledger.issued(_issued(made))
        return key_id

    def _changed(self, other: UUID, after: Grant) -> None:
        self.grants[other] = after
        self.ledger.keys[other].expires_at = after.expires_at
        for fact in self.ledger.retiring(other):
            if after.expires_at is not None and fact.until is not None:
                fact.until = min(fact.until, after.expires_at)

    def _held(self, key_id: UUID) -> Fact | None:
        """Return a secret of a key that works: the oldest, as of a client that lost the newer."""
        return next(
            (one for one in self.ledger.facts if one.key_id == key_id and self.ledger.works(one)),
            None,
        )

    def _call(
        self,
        fact: Fact,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> TestResponse:
        return self.app.test_client().open(
            f"/v1/keys/{path}",
            method=method,
            json=body,
            headers={"Authorization": f"Bearer {fact.client_key}:{fact.client_secret}"}
            | (headers or {}),
            environ_overrides={"REMOTE_ADDR": HERE},
        )

    def _effective(self, key_id: UUID) -> frozenset[str]:
        grant = self.grants[key_id]
        by_a_member = grant.owner is not None and grant.owner.startswith("mel")
        return grant.operations & OF_MEMBERS if by_a_member else grant.operations

    def _manages(self, key_id: UUID) -> bool:
        return MANAGE in self._effective(key_id)

    def _reach(self, key_id: UUID) -> Reach:
        return replace(Reach.of(self.grants[key_id]), operations=self._effective(key_id))

    def _has_limit(self, caller: UUID, limit: int | None) -> bool:
        own = self.grants[caller].limit
        if limit is None:
            return own is None
        return limit <= (own or self.parts.services.settings.rate_limit)

    def _sees(self, caller: UUID, other: UUID) -> bool:
        return caller == other or self._reach(caller).shows(Reach.of(self.grants[other]))

    def _is_over(self, key_id: UUID) -> bool:
        return self.ledger.expired(key_id)

    def _refusal(self, caller: UUID, other: UUID, *, changes: bool) -> HTTPStatus | None:
        """Say how a caller is kept from a key, whatever it wants with it."""
        if not self._manages(caller):
            return HTTPStatus.FORBIDDEN
        if not self._sees(caller, other) or self.ledger.keys[other].deleted:
            return HTTPStatus.NOT_FOUND
        if changes and not self._reach(caller).holds(Reach.of(self.grants[other])):
            return HTTPStatus.FORBIDDEN
        return None

    def _shown(self, key_id: UUID) -> dict[str, Any]:
        """Return a key as an admin sees it, everything but its secrets."""
        with self.parts.services.db.session() as session, session.begin():
            key = session.get_one(Key, key_id, populate_existing=True)
            columns = {one.name: getattr(key, one.name) for one in Key.__table__.columns}
        born = columns["secret_created_at"].replace(tzinfo=None).isoformat() + "Z"
        return columns | {"secret_created_at": born}

    @staticmethod
    def _r9_told(again: TestResponse, key_id: UUID, generation: int) -> None:
        assert again.status_code == HTTPStatus.OK, again.data
        told = again.get_json()
        assert (UUID(told["id"]), told["generation"]) == (key_id, generation)
        assert told["client_secret"] is None


def _issued(told: dict[str, Any]) -> Issued:
    key = Key(id=UUID(told["id"]), client_key=told["client_key"], generation=told["generation"])
    return Issued(key, SecretValue(told["client_secret"]))


def test_management(app_settings: Settings) -> None:
    clock = ManualClock()
    parts = assemble(replace(app_settings, spike_ceiling=app_settings.rate_limit), clock)
    try:
        run_state_machine_as_test(
            lambda: Management(parts, clock),  # type: ignore[arg-type]  # any factory will do
            settings=settings(max_examples=40, stateful_step_count=25),
        )
    finally:
        parts.services.db.dispose()
