"""A request with a name comes to several processes at the same moment, and is done once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import cycle
from pathlib import Path

import pytest
import requests

from connector.app import Parts, assemble
from keystore.audit import SYSTEM
from keystore.credentials import SecretValue
from keystore.keys import Issued
from keystore.scopes import OPERATIONS
from keystore.settings import Settings
from tests.support.server import installation_environment, running_serve

ROUNDS = 10
AT_ONCE = 4


@pytest.fixture
def here(database_url: str, tmp_path: Path) -> Iterator[Parts]:
    """This test's own process as one more process of the installation."""
    parts = assemble(Settings.from_env(installation_environment(tmp_path, database_url)))
    yield parts
    parts.services.db.dispose()


@pytest.fixture
def manager(here: Parts) -> Issued:
    with here.services.db.session() as session:
        organization = here.services.accounts.found(
            session,
            name="Northwind",
            email="ada@northwind.example",
            password=SecretValue("correct horse battery"),
            actor=SYSTEM,
        )
    with here.services.db.session() as session:
        return here.services.keys.create(
            session,
            organization_id=organization.id,
            name="Terraform",
            granted=frozenset(OPERATIONS),
            actor=SYSTEM,
        )


def post(pair: str, body: object, headers: dict[str, str], url: str) -> requests.Response:
    headers = {"Authorization": f"Bearer {pair}"} | headers
    return requests.post(url, json=body, headers=headers, timeout=60)


def test_r9_the_same_request_in_two_processes_at_once_is_one_change(
    manager: Issued, database_url: str, tmp_path: Path
) -> None:
    """Each round one key is made and its secret replaced, each asked for four times at once."""
    pair = f"{manager.key.client_key}:{manager.client_secret.reveal()}"
    with (
        running_serve(tmp_path, database_url) as one,
        running_serve(tmp_path, database_url) as other,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):

        def at_once(path: str, body: object, **headers: str) -> list[requests.Response]:
            bases = cycle([one, other])
            urls = [f"{next(bases)}/v1/keys/{path}" for _ in range(AT_ONCE)]
            return list(pool.map(partial(post, pair, body, headers), urls))

        for number in range(ROUNDS):
            name = {"Idempotency-Key": f"make-{number}"}
            made = at_once("", {"name": f"key {number}", "scopes": []}, **name)
            assert sorted(one.status_code for one in made) == [200, 200, 200, 201]
            [key_id] = {one.json()["id"] for one in made}
            assert sum(one.json()["client_secret"] is not None for one in made) == 1
            name = {"Idempotency-Key": f"renew-{number}", "If-Match": '"1"'}
            renewed = at_once(f"{key_id}/regenerate/", {}, **name)
            assert [one.status_code for one in renewed] == [200] * AT_ONCE
            assert {one.json()["generation"] for one in renewed} == {2}
            assert sum(one.json()["client_secret"] is not None for one in renewed) == 1
