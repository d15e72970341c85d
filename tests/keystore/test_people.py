"""Who is in an organization, and as what: changed by its admins, as they are at that moment."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from threading import Barrier

import pytest

from keystore import audit, one_time_codes, trail
from keystore.accounts import Accounts
from keystore.audit import SYSTEM, Actor
from keystore.clock import ManualClock
from keystore.credentials import SecretValue
from keystore.db import Database
from keystore.errors import (
    BadScopes,
    BeyondMembers,
    LastAdmin,
    NoSuchPerson,
    NotOneself,
)
from keystore.keys import Issued, Keys
from keystore.models import Outcome, Role, User
from keystore.people import People
from keystore.scopes import DataScope
from keystore.services import Services
from keystore.sessions import Sessions
from keystore.verification import Verification
from tests.conftest import PASSWORD
from tests.properties.together import interleaved
from tests.support.mailbox import letters


@pytest.fixture
def people(services: Services) -> People:
    return services.people


def test_who_is_deactivated_is_out_at_once_and_may_be_let_in_again(
    database: Database,
    accounts: Accounts,
    people: People,
    clock: ManualClock,
    admin: User,
    member: User,
) -> None:
    sessions, of = Sessions(clock), member.organization_id
    with database.session() as session:
        token = sessions.begin(session, member, address=None, agent="").reveal()
        people.deactivate(session, member.id, organization_id=of, actor=SYSTEM)
        people.deactivate(session, member.id, organization_id=of, actor=SYSTEM)
        assert accounts.authenticate(session, member.email, SecretValue(PASSWORD)) is None

        people.activate(session, member.id, organization_id=of, actor=SYSTEM)
        people.activate(session, member.id, organization_id=of, actor=SYSTEM)
        assert sessions.find(session, token) is None
        assert accounts.authenticate(session, member.email, SecretValue(PASSWORD)) is not None
    with database.session() as session:
        actions = [event.action for event in audit.events(session, of)]
    assert actions[-2:] == ["user.deactivated", "user.activated"]


def test_personal_keys_fall_asleep_with_their_person_and_do_not_wake_by_themselves(
    database: Database,
    people: People,
    keys: Keys,
    clock: ManualClock,
    verification: Verification,
    admin: User,
    member: User,
) -> None:
    where = {"organization_id": member.organization_id, "actor": SYSTEM}
    personal = {"data": DataScope.USER_FULL, "owner_id": member.id}
    with database.session() as session:
        mine, lapsed, asleep = (
            keys.create(session, name=name, **where, **personal, **more)  # type: ignore[arg-type]
            for name, more in {
                "Mel's": {},
                "Mel's for a day": {"expires_at": clock.now() + timedelta(days=1)},
                "Mel's asleep": {},
            }.items()
        )
        shared = keys.create(session, name="Team", created_by=member.id, **where)  # type: ignore[arg-type]
        keys.disable(session, asleep.key.id, **where)  # type: ignore[arg-type]
    clock.advance(24 * 3600)

    def works(issued: Issued) -> bool:
        secret = issued.client_secret.reveal()
        return verification.by_secret(issued.key.client_key, secret) is not None

    assert [works(one) for one in (mine, lapsed, asleep, shared)] == [True, False, False, True]
    with database.session() as session:
        people.deactivate(session, member.id, **where)  # type: ignore[arg-type]
        assert not works(mine)
        with pytest.raises(BadScopes):
            keys.enable(session, mine.key.id, **where)  # type: ignore[arg-type]
        people.activate(session, member.id, **where)  # type: ignore[arg-type]
    assert [works(one) for one in (mine, shared)] == [False, True]

    with database.session() as session:
        keys.enable(session, mine.key.id, **where)  # type: ignore[arg-type]
        told = audit.events(session, member.organization_id)
    assert works(mine)
    tail = [(event.action, event.subject_id) for event in told][-4:]
    assert tail == [
        ("user.deactivated", str(member.id)),
        ("key.disabled", str(mine.key.id)),
        ("user.activated", str(member.id)),
        ("key.enabled", str(mine.key.id)),
    ]
    assert told[-3].detail == {"because": "its person left"}


def test_a_role_is_changed_and_audited_with_before_and_after(
    database: Database, people: People, admin: User, member: User
) -> None:
    of = member.organization_id
    with database.session() as session:
        for _ in range(2):
            people.change_role(session, member.id, Role.ADMIN, organization_id=of, actor=SYSTEM)
        assert [(user.name, user.role) for user in people.list(session, of)] == [
            ("Ada", Role.ADMIN),
            ("Mel", Role.ADMIN),
        ]
        changes = [e for e in audit.events(session, of) if e.action == "user.role_changed"]
    assert [(c.detail["before"], c.detail["after"]) for c in changes] == [("member", "admin")]


def test_nobody_changes_the_people_of_another_organization(
    database: Database, accounts: Accounts, people: People, admin: User
) -> None:
    with database.session() as session:
        contoso = accounts.create_organization(session, name="Contoso", actor=SYSTEM)
    for change in (people.deactivate, people.activate):
        with database.session() as session, pytest.raises(NoSuchPerson):
            change(session, admin.id, organization_id=contoso.id, actor=SYSTEM)
    with database.session() as session:
        assert people.list(session, contoso.id) == []


def test_two_admins_who_step_down_at_once_leave_one(
    database: Database,
    accounts: Accounts,
    people: People,
    admin: User,
    add_user: Callable[[str, Role], User],
) -> None:
    other = add_user("Bob", Role.ADMIN)
    at_once = Barrier(2)

    def step_down(user: User) -> bool:
        at_once.wait()
        with database.session() as session:
            try:
                people.change_role(
                    session,
                    user.id,
                    Role.MEMBER,
                    organization_id=user.organization_id,
                    actor=SYSTEM,
                )
            except LastAdmin:
                return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(step_down, [admin, other])) == [False, True]
    with database.session() as session:
        assert len(accounts.admins(session, admin.organization_id)) == 1


@pytest.mark.parametrize("end", ["demoted", "deactivated"])
def test_once_somebody_is_no_admin_any_more_nobody_becomes_one_through_them(
    database: Database,
    people: People,
    admin: User,
    member: User,
    add_user: Callable[[str, Role], User],
    end: str,
) -> None:
    """Whatever the point at which their leave comes: who is an admin then, is all there will be."""
    bob, of = add_user("Bob", Role.ADMIN), admin.organization_id
    ada, bobs = (Actor("user", one.email, id=str(one.id)) for one in (admin, bob))

    def change(user: User, role: Role, actor: Actor) -> None:
        with database.session() as session:
            people.change_role(session, user.id, role, organization_id=of, actor=actor)

    def roles() -> list[tuple[str, Role]]:
        with database.session() as session:
            return [(user.name, user.role) for user in people.list(session, of)]

    def leave() -> list[tuple[str, Role]]:
        if end == "demoted":
            change(bob, Role.MEMBER, ada)
        else:
            with database.session() as session:
                people.deactivate(session, bob.id, organization_id=of, actor=ada)
        return roles()

    statement, reached, came = 0, True, set()
    while reached:
        statement += 1
        make = partial(change, member, Role.ADMIN, bobs)
        (refused, there), reached = interleaved(database.engine, make, leave, statement)

        assert roles() == there, statement
        assert refused is None or isinstance(refused, BeyondMembers), refused
        came.add(type(refused))
        change(member, Role.MEMBER, SYSTEM)
        change(bob, Role.ADMIN, SYSTEM)
        with database.session() as session:
            people.activate(session, bob.id, organization_id=of, actor=SYSTEM)
    assert came == {type(None), BeyondMembers}


def turn_on(services: Services, clock: ManualClock, user: User) -> None:
    with services.db.session() as session:
        secret = services.second_factor.prepare(session, user)
        step = one_time_codes.step(clock.now())
        code = one_time_codes.code(one_time_codes.as_bytes(secret), step)
        services.second_factor.turn_on(session, user, code, SYSTEM)


def test_an_admin_turns_off_the_second_factor_of_who_has_lost_it(
    services: Services, people: People, clock: ManualClock, admin: User, member: User
) -> None:
    turn_on(services, clock, member)
    of = member.organization_id
    with services.db.session() as session:
        assert services.second_factor.used_by(session, of) == {member.id}
        assert people.reset_second_factor(
            session, member.id, organization_id=of, admin=admin, actor=SYSTEM
        )
        assert not services.second_factor.is_on(session, member.id)
        assert services.second_factor.recovery_codes_left(session, member.id) == 0
        # A second time there is nothing to turn off, and nothing to tell.
        assert not people.reset_second_factor(
            session, member.id, organization_id=of, admin=admin, actor=SYSTEM
        )
        last = audit.events(session, of)[-1]
    assert (last.action, last.subject_id) == ("second_factor.reset", str(member.id))
    [letter] = letters(services.db, services.vault)
    assert (letter.to, letter.subject) == (member.email, "Your second factor was turned off")
    assert "Ada" in letter.text


def test_nobody_turns_off_their_own_this_way_nor_that_of_another_organization(
    services: Services,
    accounts: Accounts,
    people: People,
    clock: ManualClock,
    admin: User,
    member: User,
) -> None:
    turn_on(services, clock, admin)
    of = admin.organization_id
    with services.db.session() as session, pytest.raises(NotOneself):
        people.reset_second_factor(session, admin.id, organization_id=of, admin=admin, actor=SYSTEM)
    with services.db.session() as session:
        contoso = accounts.create_organization(session, name="Contoso", actor=SYSTEM)
        with pytest.raises(NoSuchPerson):
            people.reset_second_factor(
                session, admin.id, organization_id=contoso.id, admin=member, actor=SYSTEM
            )
        assert services.second_factor.is_on(session, admin.id)
        refused = trail.page(session, of, trail.Filter(outcome=Outcome.REFUSED)).events
    assert [(row.action, row.detail["reason"]) for row in refused] == [
        ("second_factor.reset", "NotOneself")
    ]
    assert letters(services.db, services.vault) == []


def test_what_is_refused_to_an_admin_is_on_record(
    services: Services, people: People, admin: User
) -> None:
    of = admin.organization_id
    with services.db.session() as session, pytest.raises(LastAdmin):
        people.deactivate(session, admin.id, organization_id=of, actor=SYSTEM)
    with services.db.session() as session, pytest.raises(LastAdmin):
        people.change_role(session, admin.id, Role.MEMBER, organization_id=of, actor=SYSTEM)
    with services.db.session() as session:
        refused = trail.page(session, of, trail.Filter(outcome=Outcome.REFUSED)).events
    assert [(row.action, row.subject_id, row.detail["reason"]) for row in refused] == [
        ("user.role_changed", str(admin.id), "LastAdmin"),
        ("user.deactivated", str(admin.id), "LastAdmin"),
    ]
