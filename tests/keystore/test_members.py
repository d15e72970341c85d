"""The organization's say about members' keys, and what is at stake when somebody leaves."""

from uuid import uuid4

import pytest

from keystore import audit
from keystore.audit import SYSTEM, Actor
from keystore.clock import ManualClock
from keystore.db import Database
from keystore.errors import BeyondMembers, NoSuchPerson
from keystore.keys import Keys
from keystore.members import Members
from keystore.models import Organization, User
from keystore.scopes import DataScope


@pytest.fixture
def members(clock: ManualClock) -> Members:
    return Members(clock)


def test_the_policy_is_changed_by_admins_and_audited_once(
    members: Members, database: Database, organization: Organization, admin: User, member: User
) -> None:
    ada = Actor("user", admin.email, id=str(admin.id))
    mel = Actor("user", member.email, id=str(member.id))
    where = {"organization_id": organization.id, "allowed": True}
    with database.session() as session:
        with pytest.raises(BeyondMembers):
            members.set_policy(session, **where, actor=mel)  # type: ignore[arg-type]
        assert not members.hold_keys(session, member)
        members.set_policy(session, **where, actor=ada)  # type: ignore[arg-type]
        members.set_policy(session, **where, actor=ada)  # type: ignore[arg-type]
        assert members.hold_keys(session, member)

    with database.session() as session:
        told = audit.events(session, organization.id)
    [event] = [one for one in told if one.action == "organization.members_keys_changed"]
    assert event.actor_label == admin.email
    assert event.detail == {
        "before": {"members_make_keys": False},
        "after": {"members_make_keys": True},
    }


def test_whoever_has_a_key_has_to_do_with_keys(
    members: Members, database: Database, keys: Keys, admin: User, member: User
) -> None:
    where = {"organization_id": member.organization_id, "actor": SYSTEM}
    with database.session() as session:
        assert members.hold_keys(session, admin)
        assert not members.hold_keys(session, member)
        made = keys.create(
            session,
            name="Mel's",
            data=DataScope.USER_FULL,
            owner_id=member.id,
            **where,  # type: ignore[arg-type]
        )
        assert members.hold_keys(session, member)
        assert members.count_keys(session, member.organization_id) == 1
        keys.delete(session, made.key.id, **where)  # type: ignore[arg-type]
        assert not members.hold_keys(session, member)
        assert members.count_keys(session, member.organization_id) == 0


def test_what_is_at_stake_is_told_before_somebody_leaves(
    members: Members, database: Database, keys: Keys, admin: User, member: User
) -> None:
    where = {"organization_id": member.organization_id, "actor": SYSTEM}
    with database.session() as session:
        for name, values in {
            "Own": {"data": DataScope.USER_FULL, "owner_id": member.id},
            "Hers for the team": {"created_by": member.id},
            "Ada's": {"created_by": admin.id},
        }.items():
            keys.create(session, name=name, **where, **values)  # type: ignore[arg-type]
        stake = members.stake(session, member.id, organization_id=member.organization_id)

    assert stake.person.id == member.id
    assert [key.name for key in stake.stop] == ["Own"]
    assert [key.name for key in stake.stay] == ["Hers for the team"]


def test_nobody_of_elsewhere_has_a_stake(members: Members, database: Database, admin: User) -> None:
    for user_id, organization_id in ((uuid4(), admin.organization_id), (admin.id, uuid4())):
        with database.session() as session, pytest.raises(NoSuchPerson):
            members.stake(session, user_id, organization_id=organization_id)
