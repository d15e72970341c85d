"""What a key may do is changed without a new credential, and counts from the next request on."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.db import Database, writing
from keystore.errors import BadNetworks, BadScopes, KeyNotFound
from keystore.grants import Grants
from keystore.keys import Issued, Keys
from keystore.models import AuditEvent, Key, Organization, Role, User
from keystore.scopes import DataScope, Rights
from keystore.verification import Verification, VerifiedKey

READ = frozenset({"meetings:read"})
WRITE = frozenset({"meetings:write", "keys:manage"})


class Desk:
    """Somebody who changes grants, and the key's holder."""

    def __init__(
        self, database: Database, grants: Grants, verification: Verification, issued: Issued
    ) -> None:
        self.database, self.grants, self.verification = database, grants, verification
        self.issued = issued

    def rescope(
        self,
        granted: frozenset[str],
        data: DataScope = DataScope.ORG_FULL,
        owner_id: UUID | None = None,
    ) -> Key:
        return self._change(self.grants.rescope, granted=granted, data=data, owner_id=owner_id)

    def set_networks(self, *allowed: str) -> Key:
        return self._change(self.grants.set_networks, allowed=allowed)

    def _change(self, change: Callable[..., Key], **values: Any) -> Key:
        key = self.issued.key
        with self.database.session() as session:
            return change(
                session, key.id, organization_id=key.organization_id, actor=SYSTEM, **values
            )

    def look(self) -> VerifiedKey | None:
        secret = self.issued.client_secret.reveal()
        return self.verification.by_secret(self.issued.key.client_key, secret)

    def rights(self) -> Rights:
        found = self.look()
        assert found is not None
        return found.rights

    def audited(self) -> list[tuple[str, str, dict[str, Any]]]:
        with self.database.session() as session, session.begin():
            return [
                (event.action, event.outcome, event.detail)
                for event in session.scalars(select(AuditEvent).order_by(AuditEvent.seq))
                if event.action in {"key.scopes_changed", "key.networks_changed"}
            ]


@pytest.fixture
def desk(
    database: Database, clock: ManualClock, verification: Verification, issued: Issued
) -> Desk:
    return Desk(database, Grants(clock), verification, issued)


def test_new_scopes_count_from_the_next_request_with_the_same_credential(desk: Desk) -> None:
    desk.rescope(READ, DataScope.ORG_NON_PRIVATE)
    assert desk.rights() == Rights(READ, DataScope.ORG_NON_PRIVATE)

    desk.rescope(frozenset())
    assert desk.rights() == Rights(frozenset(), DataScope.ORG_FULL)


def test_a_personal_key_sees_its_persons_data_with_their_role(
    desk: Desk, database: Database, member: User
) -> None:
    desk.rescope(WRITE, DataScope.USER_FULL, member.id)
    assert desk.rights() == Rights(
        frozenset({"meetings:write"}), DataScope.USER_FULL, member.email
    ), "a member manages no keys"

    with database.session() as session, writing(session):
        session.get_one(User, member.id).role = Role.ADMIN
    assert desk.rights().operations == WRITE, "the role counts at the moment of use"


def test_a_personal_key_stops_when_its_person_leaves(
    desk: Desk, database: Database, member: User
) -> None:
    desk.rescope(READ, DataScope.USER_NON_PRIVATE, member.id)

    with database.session() as session, writing(session):
        session.get_one(User, member.id).is_active = False

    assert desk.look() is None


@pytest.mark.parametrize("data", [DataScope.USER_FULL, DataScope.USER_NON_PRIVATE])
def test_a_personal_scope_needs_a_person_of_the_organization(desk: Desk, data: DataScope) -> None:
    for owner_id in (None, uuid4()):
        with pytest.raises(BadScopes, match="needs a person"):
            desk.rescope(READ, data, owner_id)
    assert desk.rights().data is DataScope.ORG_FULL


def test_other_scopes_are_tied_to_nobody(desk: Desk, member: User) -> None:
    with pytest.raises(BadScopes, match="tied to nobody"):
        desk.rescope(READ, DataScope.ORG_FULL, member.id)


def test_a_legacy_key_stays_one_until_another_scope_is_chosen(
    desk: Desk, database: Database
) -> None:
    with pytest.raises(BadScopes, match="legacy"):
        desk.rescope(READ, DataScope.LEGACY)

    with database.session() as session, writing(session):
        session.get_one(Key, desk.issued.key.id).data_scope = DataScope.LEGACY
    desk.rescope(READ, DataScope.LEGACY)
    assert desk.rights() == Rights(READ, DataScope.LEGACY)

    desk.rescope(READ, DataScope.ORG_NON_PRIVATE)
    with pytest.raises(BadScopes):
        desk.rescope(READ, DataScope.LEGACY)


def test_each_change_is_audited_once_with_before_and_after(desk: Desk) -> None:
    desk.rescope(READ)
    desk.rescope(READ)
    with pytest.raises(BadScopes):
        desk.rescope(frozenset({"everything"}))

    (changed, done, detail), (refused, _, why) = desk.audited()
    assert (changed, refused, done) == ("key.scopes_changed", "key.scopes_changed", "done")
    assert detail["after"]["scopes"] == ["meetings:read"]
    assert why == {"reason": "BadScopes"}


def test_networks_are_told_to_whoever_lets_the_key_in(desk: Desk) -> None:
    desk.set_networks("203.0.113.0/24", "2001:db8::1")
    found = desk.look()
    assert found is not None
    assert found.networks == ("203.0.113.0/24", "2001:db8::1/128")

    desk.set_networks()
    found = desk.look()
    assert found is not None
    assert found.networks == ()
    assert [action for action, _, _ in desk.audited()] == ["key.networks_changed"] * 2


def test_a_wrong_network_changes_nothing(desk: Desk) -> None:
    desk.set_networks("203.0.113.0/24")
    with pytest.raises(BadNetworks):
        desk.set_networks("office")
    found = desk.look()
    assert found is not None
    assert found.networks == ("203.0.113.0/24",)


def test_another_organizations_key_is_not_there(
    desk: Desk, database: Database, keys: Keys, organization: Organization
) -> None:
    with database.session() as session, pytest.raises(KeyNotFound):
        desk.grants.rescope(
            session,
            uuid4(),
            organization_id=organization.id,
            granted=READ,
            data=DataScope.ORG_FULL,
            owner_id=None,
            actor=SYSTEM,
        )


def test_a_trial_tells_the_rights_and_makes_no_key(
    desk: Desk, database: Database, organization: Organization, member: User
) -> None:
    where: dict[str, Any] = {"organization_id": organization.id, "actor": SYSTEM}
    with database.session() as session:
        whole = desk.grants.trial(session, granted=WRITE, data=DataScope.ORG_FULL, **where)
        personal = desk.grants.trial(
            session, granted=WRITE, data=DataScope.USER_FULL, owner_id=member.id, **where
        )
        with session.begin():
            assert session.scalars(select(Key.id)).all() == [desk.issued.key.id]

    assert whole == Rights(WRITE, DataScope.ORG_FULL)
    assert personal == Rights(frozenset({"meetings:write"}), DataScope.USER_FULL, member.email), (
        "a member manages no keys"
    )
    assert desk.audited() == []


def test_a_trial_refuses_what_no_key_could_be(
    desk: Desk, database: Database, organization: Organization, member: User
) -> None:
    for granted, data, owner_id in (
        (frozenset({"everything"}), DataScope.ORG_FULL, None),
        (READ, DataScope.LEGACY, None),
        (READ, DataScope.USER_FULL, None),
        (READ, DataScope.USER_FULL, uuid4()),
        (READ, DataScope.ORG_FULL, member.id),
    ):
        with database.session() as session, pytest.raises(BadScopes):
            desk.grants.trial(
                session,
                organization_id=organization.id,
                granted=granted,
                data=data,
                owner_id=owner_id,
                actor=SYSTEM,
            )
