"""An invitation: a mail with a link that is good once, for seven days, until it is taken back."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from itertools import count
from threading import Barrier
from uuid import UUID

import pytest
from sqlalchemy import select, text

from keystore.accounts import Accounts
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.credentials import SecretValue
from keystore.db import Database
from keystore.errors import (
    AccountError,
    AlreadyHere,
    BadMail,
    BadName,
    LinkOver,
    NoSuchInvitation,
)
from keystore.invitations import LIFETIME, Invitations
from keystore.mail_models import Invitation
from keystore.models import AuditEvent, Organization, Outcome, Role, User
from keystore.services import Services
from keystore.vault import Vault
from tests.properties.together import interleaved
from tests.support.mailbox import Letter, letters

NEW = "staple and another horse"
BOB = "bob@northwind.example"


@pytest.fixture
def invitations(services: Services) -> Invitations:
    return services.invitations


def invite(
    services: Services, organization: Organization, email: str = BOB, role: Role = Role.MEMBER
) -> Invitation:
    with services.db.session() as session:
        return services.invitations.invite(
            session,
            organization_id=organization.id,
            email=email,
            role=role,
            inviter="Ada",
            actor=SYSTEM,
        )


def accept(services: Services, token: str, name: str = "Bob", password: str = NEW) -> User:
    with services.db.session() as session:
        return services.invitations.accept(
            session, token, name=name, password=SecretValue(password), address="192.0.2.7"
        )


def mailbox(services: Services) -> list[Letter]:
    return letters(services.db, services.vault)


def log(services: Services) -> list[tuple[str, Outcome]]:
    with services.db.session() as session:
        rows = session.scalars(select(AuditEvent).order_by(AuditEvent.seq)).all()
    return [(row.action, row.outcome) for row in rows if row.action.startswith("invitation.")]


def test_who_is_invited_gets_a_link_and_comes_in_with_it(
    services: Services, organization: Organization
) -> None:
    invite(services, organization, " Bob@Northwind.example ", Role.ADMIN)
    [letter] = mailbox(services)
    assert (letter.to, letter.subject) == (BOB, "Ada invites you to Northwind")

    user = accept(services, letter.token)

    assert (user.email, user.name, user.role) == (BOB, "Bob", Role.ADMIN)
    assert user.organization_id == organization.id
    with services.db.session() as session:
        assert services.accounts.authenticate(session, BOB, SecretValue(NEW)) is not None
        assert services.invitations.list(session, organization.id) == []
    with pytest.raises(LinkOver):
        accept(services, letter.token)
    assert log(services) == [
        ("invitation.created", Outcome.DONE),
        ("invitation.accepted", Outcome.DONE),
        ("invitation.accepted", Outcome.REFUSED),
    ]


def test_the_database_holds_no_link(
    services: Services, organization: Organization, database: Database
) -> None:
    invite(services, organization)
    token = mailbox(services)[0].token

    with database.engine.connect() as connection:
        for table in ("invitations", "mails", "audit_events"):
            stored = str(connection.execute(text(f"SELECT * FROM {table}")).all())
            assert token[3:11] not in stored


def test_a_link_works_strictly_before_its_end(
    services: Services, organization: Organization, clock: ManualClock
) -> None:
    invite(services, organization)
    token = mailbox(services)[0].token
    clock.advance(LIFETIME)
    with pytest.raises(LinkOver):
        accept(services, token)

    clock.advance(-timedelta(microseconds=1))
    accept(services, token)


def test_sending_again_replaces_the_link(
    services: Services, organization: Organization, clock: ManualClock
) -> None:
    invitation = invite(services, organization)
    clock.advance(LIFETIME)
    with services.db.session() as session:
        services.invitations.send_again(
            session,
            invitation.id,
            organization_id=organization.id,
            inviter="Ada",
            actor=SYSTEM,
        )
    old, new = (letter.token for letter in mailbox(services))

    with pytest.raises(LinkOver):
        accept(services, old)
    accept(services, new)


def test_inviting_twice_is_sending_again_with_the_newer_role(
    services: Services, organization: Organization, clock: ManualClock
) -> None:
    first = invite(services, organization)
    clock.advance(1)
    second = invite(services, organization, role=Role.ADMIN)

    assert first.id == second.id
    with services.db.session() as session:
        assert len(services.invitations.list(session, organization.id)) == 1
    old, new = (letter.token for letter in mailbox(services))
    with pytest.raises(LinkOver):
        accept(services, old)
    assert accept(services, new).role is Role.ADMIN


def test_what_is_withdrawn_is_over_at_once(services: Services, organization: Organization) -> None:
    invitation = invite(services, organization)

    def withdraw() -> None:
        with services.db.session() as session:
            services.invitations.withdraw(
                session, invitation.id, organization_id=organization.id, actor=SYSTEM
            )

    withdraw()
    with pytest.raises(LinkOver):
        accept(services, mailbox(services)[0].token)
    with pytest.raises(NoSuchInvitation):
        withdraw()
    # The address can be invited anew.
    invite(services, organization)
    assert log(services)[1:] == [
        ("invitation.withdrawn", Outcome.DONE),
        ("invitation.accepted", Outcome.REFUSED),
        ("invitation.withdrawn", Outcome.REFUSED),
        ("invitation.created", Outcome.DONE),
    ]


def test_nobody_changes_the_invitations_of_another_organization(
    services: Services, accounts: Accounts, organization: Organization
) -> None:
    invitation = invite(services, organization)
    with services.db.session() as session:
        contoso = accounts.create_organization(session, name="Contoso", actor=SYSTEM)
    with services.db.session() as session:
        assert services.invitations.list(session, contoso.id) == []
        with pytest.raises(NoSuchInvitation):
            services.invitations.withdraw(
                session, invitation.id, organization_id=contoso.id, actor=SYSTEM
            )
        with pytest.raises(NoSuchInvitation):
            services.invitations.send_again(
                session,
                invitation.id,
                organization_id=contoso.id,
                inviter="Eve",
                actor=SYSTEM,
            )


def test_who_is_here_already_is_not_invited(
    services: Services, organization: Organization, member: User
) -> None:
    with pytest.raises(AlreadyHere):
        invite(services, organization, member.email)

    assert mailbox(services) == []
    assert log(services) == [("invitation.created", Outcome.REFUSED)]


def test_an_admin_does_not_learn_who_has_an_account_elsewhere(
    services: Services, accounts: Accounts, organization: Organization
) -> None:
    with services.db.session() as session:
        contoso = accounts.create_organization(session, name="Contoso", actor=SYSTEM)
        accounts.create_user(
            session,
            organization_id=contoso.id,
            email=BOB,
            name="Bob",
            role=Role.MEMBER,
            password=SecretValue(NEW),
            actor=SYSTEM,
        )

    known, unknown = (
        invite(services, organization, email) for email in (BOB, "cyd@northwind.example")
    )

    assert known.expires_at == unknown.expires_at
    to_bob, to_cyd = sorted(mailbox(services), key=lambda letter: letter.to)
    assert to_bob.subject == to_cyd.subject
    # Only whoever has the mail is told.
    with pytest.raises(AccountError, match="an address has only one"):
        accept(services, to_bob.token)
    accept(services, to_cyd.token)


@pytest.mark.parametrize(
    ("name", "password", "error"), [("", NEW, BadName), ("Bob", "short", AccountError)]
)
def test_a_bad_name_or_password_uses_nothing_up(
    services: Services, organization: Organization, name: str, password: str, error: type[Exception]
) -> None:
    invite(services, organization)
    token = mailbox(services)[0].token

    with pytest.raises(error):
        accept(services, token, name, password)

    accept(services, token)


@pytest.mark.parametrize(
    ("email", "error"),
    [
        ("nobody", AccountError),
        ("a,b@northwind.example", BadMail),
        ("a@x.example\nBcc: b@x.example", AccountError),
    ],
)
def test_what_is_no_address_is_not_invited(
    services: Services, organization: Organization, email: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        invite(services, organization, email)

    with services.db.session() as session:
        assert services.invitations.list(session, organization.id) == []


def test_of_two_who_use_a_link_at_once_one_comes_in(
    services: Services, organization: Organization, vault: Vault
) -> None:
    invite(services, organization)
    token = mailbox(services)[0].token
    at_once = Barrier(2)

    def come(name: str) -> bool:
        at_once.wait()
        try:
            accept(services, token, name)
        except (LinkOver, AccountError):
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(come, ["Bob", "Eve"])) == [False, True]


def test_of_two_who_invite_the_same_at_once_one_link_works(
    services: Services, organization: Organization
) -> None:
    at_once = Barrier(2)

    def do(_: int) -> None:
        at_once.wait()
        invite(services, organization)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(do, range(2)))

    came = []
    for letter in mailbox(services):
        try:
            came.append(accept(services, letter.token).email)
        except LinkOver:
            continue
    assert came == [BOB]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_who_accepts_one_and_who_sends_it_again_wait_in_no_circle(
    services: Services, organization: Organization
) -> None:
    """On PostgreSQL alone: SQLite lets one write at a time, so nobody meets another."""

    def send_again(invitation_id: UUID) -> Invitation:
        with services.db.session() as session:
            return services.invitations.send_again(
                session,
                invitation_id,
                organization_id=organization.id,
                inviter="Ada",
                actor=SYSTEM,
            )

    for statement in count(1):
        invitation = invite(services, organization, f"bob{statement}@northwind.example")
        [letter] = [letter for letter in mailbox(services) if letter.to == invitation.email]
        (sent, accepted), went_so_far = interleaved(
            services.db.engine,
            partial(send_again, invitation.id),
            partial(accept, services, letter.token),
            statement,
        )
        assert isinstance(sent, Invitation | NoSuchInvitation)
        assert isinstance(accepted, User | LinkOver)
        if not went_so_far:
            break
    assert statement > 3
