"""People: added once, known by their password, all strangers alike."""

import pytest

from keystore.accounts import Accounts, clean_email
from keystore.audit import SYSTEM, events
from keystore.clock import ManualClock
from keystore.credentials import SecretValue
from keystore.db import Database
from keystore.errors import AccountError
from keystore.models import Organization, Role, User
from tests.conftest import PASSWORD, QUICK_HASHER


def signs_in(database: Database, accounts: Accounts, email: str, password: str) -> User | None:
    with database.session() as session:
        return accounts.authenticate(session, email, SecretValue(password))


def test_a_person_signs_in_with_address_and_password(
    database: Database, accounts: Accounts, admin: User
) -> None:
    found = signs_in(database, accounts, "  ADA@Northwind.example ", PASSWORD)

    assert found is not None
    assert (found.id, found.role) == (admin.id, Role.ADMIN)
    assert PASSWORD not in found.password_hash
    assert found.password_hash.startswith("$argon2id$")


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("ada@northwind.example", PASSWORD + " "),
        ("ada@northwind.example", ""),
        ("ada@northwind.example", "\ud800"),
        ("ada@northwind.example", "x" * 100_000),
        ("nobody@northwind.example", PASSWORD),
        ("a\x00b", PASSWORD),
        ("\ud800@northwind.example", PASSWORD),
        ("", ""),
    ],
)
def test_anything_else_is_nobody(
    database: Database, accounts: Accounts, admin: User, email: str, password: str
) -> None:
    assert admin.is_active
    assert signs_in(database, accounts, email, password) is None


def test_an_unknown_address_costs_the_same_hash(database: Database, admin: User) -> None:
    verified: list[str] = []

    class Counting:
        def hash(self, text: str | bytes) -> str:
            return QUICK_HASHER.hash(text)

        def verify(self, stored: str, text: bytes) -> bool:
            verified.append(stored[:10])
            return QUICK_HASHER.verify(stored, text)

    accounts = Accounts(ManualClock(), Counting())  # type: ignore[arg-type]
    signs_in(database, accounts, admin.email, "wrong")
    signs_in(database, accounts, "nobody@northwind.example", "wrong")

    assert verified == ["$argon2id$"] * 2


def test_an_address_belongs_to_one_person(
    database: Database, accounts: Accounts, organization: Organization, admin: User
) -> None:
    with (
        database.session() as session,
        pytest.raises(AccountError, match=r"account for ada@northwind\.example already"),
    ):
        accounts.create_user(
            session,
            organization_id=organization.id,
            email=admin.email.upper(),
            name="Another Ada",
            role=Role.MEMBER,
            password=SecretValue(PASSWORD),
            actor=SYSTEM,
        )


@pytest.mark.parametrize("password", ["", "short", "x" * 11, "x" * 1025])
def test_a_password_has_12_characters_at_least(
    database: Database, accounts: Accounts, organization: Organization, password: str
) -> None:
    with (
        database.session() as session,
        pytest.raises(AccountError, match="12 to 1024 characters"),
    ):
        accounts.create_user(
            session,
            organization_id=organization.id,
            email="new@northwind.example",
            name="New",
            role=Role.MEMBER,
            password=SecretValue(password),
            actor=SYSTEM,
        )


@pytest.mark.parametrize("email", ["", "ada", "@", "a@", "@b", "a b@c", "a@b@c", "a\x00@b"])
def test_what_is_no_address_is_refused(email: str) -> None:
    with pytest.raises(AccountError, match="is not an e-mail address"):
        clean_email(email)


def test_an_organization_is_founded_with_its_admin_or_not_at_all(
    database: Database, accounts: Accounts, admin: User
) -> None:
    with database.session() as session, pytest.raises(AccountError):
        accounts.found(
            session,
            name="Contoso",
            email=admin.email,
            password=SecretValue(PASSWORD),
            actor=SYSTEM,
        )
    with database.session() as session:
        assert [one.name for one in accounts.organizations(session)] == ["Northwind"]

    with database.session() as session:
        contoso = accounts.found(
            session,
            name="Contoso",
            email="cora@contoso.example",
            password=SecretValue(PASSWORD),
            actor=SYSTEM,
        )
    with database.session() as session:
        assert [user.email for user in accounts.admins(session, contoso.id)] == [
            "cora@contoso.example"
        ]
    with database.session() as session:
        assert [event.action for event in events(session, contoso.id)] == [
            "organization.created",
            "user.created",
        ]


def test_admins_are_those_who_can(
    database: Database, accounts: Accounts, admin: User, member: User
) -> None:
    with database.session() as session:
        assert [user.id for user in accounts.admins(session, member.organization_id)] == [admin.id]


def test_two_organizations_never_share_a_name(
    database: Database, accounts: Accounts, organization: Organization
) -> None:
    with database.session() as session, pytest.raises(AccountError, match=organization.name):
        accounts.create_organization(session, name="Northwind", actor=SYSTEM)
