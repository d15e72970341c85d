"""The benchmarks measure what they say: so many keys, and the used ones verified for real."""

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.benchmarks import crowd, parts


def test_a_crowd_has_as_many_keys_as_asked_for_each_with_a_secret_of_its_own(
    tmp_path: Path,
) -> None:
    crowd.settle(tmp_path, keys=100, used=4)
    with closing(sqlite3.connect(tmp_path / "keyhook.db")) as connection:
        [counts] = connection.execute(
            "SELECT count(*), count(DISTINCT client_key), count(DISTINCT secrets.digest)"
            " FROM keys JOIN secrets ON secrets.key_id = keys.id"
        )
        assert counts == (100, 100, 100)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def test_used_keys_are_verified_with_their_scope_networks_and_rate_limit(tmp_path: Path) -> None:
    pairs = crowd.settle(tmp_path, keys=10, used=2)
    services = crowd.parts(tmp_path).services
    for pair in pairs:
        verified = services.verification.by_secret(*pair.split(":"))
        assert verified is not None
        assert verified.rights.data == "org_non_private"
        assert verified.networks == crowd.NETWORKS
        assert verified.rate_limit == crowd.RATE_LIMIT
    services.db.dispose()


def test_every_part_of_a_request_is_timed(tmp_path: Path) -> None:
    whole, made_of = parts.measure(tmp_path, keys=10, calls=3)
    assert min(whole.values()) > 0
    assert {title for _, _, title in parts.PARTS} < set(made_of)
