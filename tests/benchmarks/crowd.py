"""An installation with very many keys: a few real ones that are used, and copies around them."""

import sqlite3
from contextlib import closing
from pathlib import Path

from connector.app import Parts, assemble
from keystore.audit import SYSTEM
from keystore.db import Base
from keystore.keys import Issued
from keystore.scopes import DataScope
from keystore.services import Services
from keystore.settings import Settings
from tests.support.server import installation_environment

NETWORKS = ("127.0.0.0/8", "203.0.113.0/24", "2001:db8::/32")
RATE_LIMIT = 6_000_000  # requests a minute: more than can be made here, yet all are counted

# Nobody else is there, and a crash loses nothing that matters; the indexes fit into the cache.
FAST = """
PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF;
PRAGMA cache_size = -1000000;
"""
# The copies have what their original has, whatever columns there are, but for what is unique.
COPY_KEY = """
WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :copies)
INSERT INTO keys ({columns}) SELECT {values} FROM numbers, keys original WHERE original.id = :id
"""
NEW_KEY = {
    "id": "lower(hex(randomblob(16)))",
    "client_key": "'khk' || lower(hex(randomblob(10)))",
    "name": "original.name || ', copy ' || n",
}
COPY_SECRETS = """
INSERT INTO secrets ({columns}) SELECT {values} FROM keys, secrets original
WHERE original.id = 1 AND keys.id NOT IN (SELECT key_id FROM secrets)
"""
NEW_SECRET = {
    "id": "NULL",  # the next one
    "key_id": "keys.id",
    "digest": "substr(original.digest, 1, length(original.digest) - 64)"
    " || lower(hex(randomblob(32)))",
}


def database_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'keyhook.db'}"


def parts(folder: Path) -> Parts:
    """Return the parts of the installation whose data are in this folder."""
    return assemble(Settings.from_env(installation_environment(folder, database_url(folder))))


def settle(folder: Path, *, keys: int, used: int = 1) -> list[str]:
    """Make an installation with so many keys; return the KEY:SECRET of those that are used.

    These have a data scope, networks and a rate limit of their own, and stand evenly among the
    copies.
    """
    services = parts(folder).services
    services.db.upgrade()
    issued = _issue(services, used)
    services.db.dispose()
    with closing(sqlite3.connect(folder / "keyhook.db")) as connection:
        connection.executescript(FAST)
        for one in issued:
            original = {"id": one.key.id.hex, "copies": keys // used - 1}
            connection.execute(_copying("keys", COPY_KEY, NEW_KEY), original)
        connection.execute(_copying("secrets", COPY_SECRETS, NEW_SECRET))
        connection.commit()
    return [f"{one.key.client_key}:{one.client_secret.reveal()}" for one in issued]


def _issue(services: Services, number: int) -> list[Issued]:
    with services.db.session() as session:
        organization = services.accounts.create_organization(session, name="Bench", actor=SYSTEM)
    all_issued = []
    for index in range(number):
        with services.db.session() as session:
            issued = services.keys.create(
                session,
                organization_id=organization.id,
                name=f"Used {index}",
                data=DataScope.ORG_NON_PRIVATE,
                rate_limit=RATE_LIMIT,
                actor=SYSTEM,
            )
        with services.db.session() as session:
            services.grants.set_networks(
                session,
                issued.key.id,
                organization_id=organization.id,
                allowed=NETWORKS,
                actor=SYSTEM,
            )
        all_issued.append(issued)
    return all_issued


def _copying(table: str, statement: str, new: dict[str, str]) -> str:
    names = [column.name for column in Base.metadata.tables[table].columns]
    values = (new.get(name, f"original.{name}") for name in names)
    return statement.format(columns=", ".join(names), values=", ".join(values))
