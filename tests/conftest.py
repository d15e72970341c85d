"""What every story starts with: an empty database of either kind, a clock, Northwind's people."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, settings

from connector.app import Parts, assemble, create_app
from connector.meetings.links import Links
from connector.meetings.store import Meetings
from keystore.accounts import Accounts
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.credentials import SecretValue
from keystore.db import Database
from keystore.expiries import Expiries
from keystore.grants import Grants
from keystore.inventory import Inventory
from keystore.invitations import Invitations
from keystore.keys import Issued, Keys
from keystore.knocks import Knocks
from keystore.leak_feed import LeakFeed
from keystore.leaks import Leaks
from keystore.limits import Limits
from keystore.mail import Mails
from keystore.members import Members
from keystore.models import Organization, Role, User
from keystore.overlaps import Overlaps
from keystore.people import People
from keystore.quotas import Quotas
from keystore.rates import Rates
from keystore.resets import Resets
from keystore.second_factor import SecondFactor
from keystore.services import Services
from keystore.sessions import Sessions
from keystore.settings import Settings
from keystore.teams import Teams
from keystore.throttle import Throttle
from keystore.tokens import Tokens
from keystore.uses import Uses
from keystore.vault import Vault
from keystore.verification import Verification
from tests.support.answers import overhear_answers
from tests.support.apps import make_quickly
from tests.support.canaries import Canaries, log_to
from tests.support.databases import PostgreSQL, fresh_database, sqlite_template
from tests.support.issued import FILE, overhear

settings.register_profile(
    "keyhook",
    deadline=None,  # tests are never timed
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("keyhook")

UNLIMITED = 1_000_000  # requests a minute, so that limits are in no other story's way
PASSWORD = "correct horse battery"
#: argon2 with the least work: these tests are not about its strength.
QUICK_HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
#: What this run of the tests issues and leaves behind.
CANARIES = Canaries()


def pytest_configure() -> None:
    make_quickly()
    overhear(CANARIES.issue, seeded=False)
    overhear_answers(CANARIES)
    log_to(CANARIES)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    for title, text in report.sections:
        CANARIES.trace(f"{report.nodeid}: {title}", text)


@pytest.fixture(scope="session", autouse=True)
def s1_no_issued_secret_is_left_anywhere(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Canaries]:
    """Look through everything when the last test has ended."""
    CANARIES.file = tmp_path_factory.mktemp("issued") / "by other processes"
    os.environ[FILE] = str(CANARIES.file)
    yield CANARIES
    CANARIES.files(tmp_path_factory.getbasetemp())
    assert CANARIES.leaks() == []


@pytest.fixture(autouse=True)
def s1_no_secret_of_a_test_is_left_by_it(request: pytest.FixtureRequest) -> Iterator[None]:
    """Look through what a test has left when all else that it used has ended."""
    folder = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    yield
    if folder is not None:
        CANARIES.files(folder)
    leaks = CANARIES.leaks_of_test()
    CANARIES.next_test()
    assert leaks == []


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    server = PostgreSQL()
    yield server
    server.stop()
    CANARIES.files(server.data)
    server.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty, migrated database; each test that asks for it runs on both kinds."""
    if request.param == "sqlite":
        path = tmp_path / "keyhook.db"
        shutil.copy(sqlite_template(), path)
        yield f"sqlite:///{path}"
    else:
        server: PostgreSQL = request.getfixturevalue("postgresql")
        url = server.create()
        yield url
        CANARIES.trace("a PostgreSQL database", server.drop(url))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with fresh_database(database_url) as database:
        yield database


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def vault() -> Vault:
    return Vault([SecretValue("k" * 64)])


@pytest.fixture
def app_settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings as the demo has them: webhooks may reach loopback."""
    return Settings(
        data_dir=tmp_path,
        database_url=database_url,
        secret_keys=(SecretValue("k" * 64),),
        base_url="http://127.0.0.1:8400",
        allow_networks=(ip_network("127.0.0.0/8"), ip_network("::1/128")),
        trusted_proxies=(),
        metrics_networks=(ip_network("127.0.0.0/8"),),
        delivery_timeout=5.0,
        retry_schedule="contract",
        delivery_retention=timedelta(days=90),
        rate_limit=UNLIMITED,
        spike_ceiling=6000,
        leak_keys_url="http://127.0.0.1:9/",  # where nobody listens
        smtp=None,
        mail_from="",
        log_level="warning",
    )


@pytest.fixture
def accounts(clock: ManualClock) -> Accounts:
    return Accounts(clock, QUICK_HASHER)


@pytest.fixture
def keys(vault: Vault, clock: ManualClock) -> Keys:
    return Keys(vault, clock)


@pytest.fixture
def verification(database: Database, vault: Vault, clock: ManualClock) -> Verification:
    return Verification(database, vault, clock)


@pytest.fixture
def rates(clock: ManualClock, app_settings: Settings) -> Rates:
    return Rates(clock, default=app_settings.rate_limit, ceiling=app_settings.spike_ceiling)


@pytest.fixture
def limits(database: Database, clock: ManualClock, app_settings: Settings) -> Limits:
    return Limits(database, clock, app_settings.rate_limit)


@pytest.fixture
def services(
    app_settings: Settings,
    database: Database,
    clock: ManualClock,
    vault: Vault,
    accounts: Accounts,
    verification: Verification,
    keys: Keys,
    rates: Rates,
    limits: Limits,
) -> Services:
    mails, base_url = Mails(vault), app_settings.base_url
    people = People(accounts, mails, clock, base_url=base_url)
    resets = Resets(accounts, people, mails, clock, base_url=base_url)
    return Services(
        settings=app_settings,
        db=database,
        clock=clock,
        vault=vault,
        accounts=accounts,
        verification=verification,
        keys=keys,
        expiries=Expiries(clock, mails, base_url),
        overlaps=Overlaps(clock),
        grants=Grants(clock),
        inventory=Inventory(clock),
        rates=rates,
        limits=limits,
        quotas=Quotas(clock),
        tokens=Tokens(vault, clock),
        uses=Uses(clock),
        sessions=Sessions(clock),
        throttle=Throttle(vault, clock),
        second_factor=SecondFactor(vault, clock),
        people=people,
        members=Members(clock),
        teams=Teams(clock),
        mail=mails,
        invitations=Invitations(accounts, mails, clock, base_url=base_url),
        resets=resets,
        knocks=Knocks(vault, clock, resets),
        leaks=Leaks(vault, clock, mails, base_url),
        leak_feed=LeakFeed(app_settings.leak_keys_url, clock),
        reach=Meetings(clock, Links(vault, app_settings.base_url)).reach,
    )


@pytest.fixture
def parts(app_settings: Settings, services: Services, clock: ManualClock) -> Parts:
    """The whole installation, put together as in earnest, on this test's database and clock."""
    assembled = assemble(app_settings, clock)
    assembled.services.db.dispose()  # one pool of connections is enough
    whole = assembled.services
    shared = replace(
        services,
        keys=whole.keys,
        leaks=whole.leaks,
        people=whole.people,
        expiries=whole.expiries,
        quotas=whole.quotas,
    )
    return replace(assembled, services=shared)


@pytest.fixture
def app(parts: Parts) -> Flask:
    return create_app(parts)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A caller of the API without a credential."""
    return app.test_client()


@pytest.fixture
def api(app: Flask, issued: Issued) -> FlaskClient:
    """A caller of the API with a key."""
    client = app.test_client()
    pair = f"{issued.key.client_key}:{issued.client_secret.reveal()}"
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {pair}"
    return client


@pytest.fixture
def organization(database: Database, accounts: Accounts) -> Organization:
    with database.session() as session:
        return accounts.create_organization(session, name="Northwind", actor=SYSTEM)


@pytest.fixture
def add_user(
    database: Database, accounts: Accounts, organization: Organization
) -> Callable[[str, Role], User]:
    def add(name: str, role: Role) -> User:
        with database.session() as session:
            return accounts.create_user(
                session,
                organization_id=organization.id,
                email=f"{name.lower()}@northwind.example",
                name=name,
                role=role,
                password=SecretValue(PASSWORD),
                actor=SYSTEM,
            )

    return add


@pytest.fixture
def admin(add_user: Callable[[str, Role], User]) -> User:
    return add_user("Ada", Role.ADMIN)


@pytest.fixture
def member(add_user: Callable[[str, Role], User]) -> User:
    return add_user("Mel", Role.MEMBER)


@pytest.fixture
def issued(database: Database, keys: Keys, organization: Organization) -> Issued:
    """One key with its secret."""
    with database.session() as session:
        return keys.create(session, organization_id=organization.id, name="Zapier", actor=SYSTEM)
